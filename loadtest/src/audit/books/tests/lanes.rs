//! (E) and (F).

use super::logs::{OTHER_HOST, Topics};
use crate::audit::report::{Book, Report};

fn residues(report: &Report) -> [u64; 2] {
    [report.residue(Book::E), report.residue(Book::F)]
}

#[test]
fn what_is_behind_the_committed_offset_is_in_flight() {
    let mut topics = Topics::new();
    topics.batch(1, 0, &["/a", "/b"]);
    topics.batch(2, 0, &["/c"]);
    topics.receipt(1, 2);
    topics.receipt(2, 1);
    let report = topics.look(1);
    assert_eq!(residues(&report), [0, 0], "{report}");
    let north = &report.partners[0];
    assert_eq!((north.batches, north.finished, north.lag), (2, 1, 1));
    assert_eq!((north.delivered, north.in_flight, north.residue), (3, 1, 0));
    let report = topics.look(2);
    assert_eq!((report.partners[0].in_flight, report.repeats), (0, 0));
    assert_eq!(report.kept.batches, 1, "let go of behind the report");
}

#[test]
fn a_batch_that_a_lane_passed_over_is_named_by_its_place() {
    let mut topics = Topics::new();
    topics.batch(1, 0, &["/a"]);
    topics.batch(2, 0, &["/b", "/c"]);
    topics.batch(3, 0, &["/d"]);
    topics.receipt(1, 1);
    topics.receipt(3, 1);
    let report = topics.look(3);
    assert_eq!(residues(&report), [0, 2], "{report}");
    assert_eq!(report.residues().next().unwrap().subject, "north, batches[0]@1");
    assert_eq!(residues(&topics.look(3)), [0, 2], "it stays named");
}

#[test]
fn given_up_urls_are_outcomes_and_those_of_a_host_that_opted_out_are_explained() {
    let mut topics = Topics::new();
    topics.batch(1, 0, &["/a", "/b", "/c"]);
    topics.receipt(1, 1);
    topics.give_up(1, &["/b"]);
    topics.zone(false);
    let report = topics.look(1);
    assert_eq!(residues(&report), [0, 0], "{report}");
    let north = &report.partners[0];
    assert_eq!((north.delivered, north.opted_out), (1, 1));
    assert_eq!(north.undeliverable["unprocessable"], 1);
}

#[test]
fn a_repeat_does_not_stand_in_for_what_another_host_never_got() {
    let mut topics = Topics::new();
    let mut batch = super::logs::batch(1, 0, &["/a"]);
    let mut other = batch.hosts[0].clone();
    other.host = OTHER_HOST.to_owned();
    batch.hosts.push(other);
    topics.batch_again(&batch);
    for _ in 0..3 {
        topics.receipt(1, 1);
    }
    let report = topics.look(1);
    assert_eq!((report.repeats, report.residue(Book::F)), (2, 1), "{report}");
}

#[test]
fn what_a_lane_sent_at_once_for_several_batches_is_accounted_for_by_the_newest() {
    let mut topics = Topics::new();
    topics.batch(1, 0, &["/a", "/b"]);
    topics.batch(2, 0, &["/b", "/c"]);
    topics.batch(3, 0, &["/c", "/d"]);
    // Four URLs in one request, for six of three batches.
    topics.receipt_of(3, 4, 2);
    for committed in [1, 2, 3] {
        let report = topics.look(committed);
        assert_eq!(residues(&report), [0, 0], "{report}");
    }
    let north = &topics.look(3).partners[0];
    assert_eq!((north.delivered, north.merged, north.repeats), (4, 2, 0));
}

#[test]
fn hosts_that_stand_in_for_each_other_in_the_sum_are_told_apart() {
    let mut topics = Topics::new();
    let with_other = |id, other: &[&str]| {
        let mut batch = super::logs::batch(id, 0, &["/a"]);
        let urls = other.iter().map(|path| format!("https://{OTHER_HOST}{path}"));
        let mut host = batch.hosts[0].clone();
        (host.host, host.urls) = (OTHER_HOST.to_owned(), urls.collect());
        batch.hosts.push(host);
        batch
    };
    topics.batch(1, 0, &["/z"]);
    topics.batch_again(&with_other(2, &["/x", "/y"]));
    topics.batch_again(&with_other(3, &["/z"]));
    // The first host's request took batches 1 and 2; the other's were too large for all of it, and the second took
    // the rest of 2, and 3. Batch 2 has as many outcomes as URLs, and one host's are the other's.
    topics.receipt(2, 2);
    topics.receipt_at(OTHER_HOST, 2, 1);
    topics.receipt_at(OTHER_HOST, 3, 2);
    topics.receipt(3, 1);
    let report = topics.look(3);
    assert_eq!((residues(&report), report.repeats), ([0, 0], 0), "{report}");
}

#[test]
fn what_an_older_batch_got_does_not_account_for_a_newer_one() {
    let mut topics = Topics::new();
    topics.batch(1, 0, &["/a"]);
    topics.batch(2, 0, &["/a"]);
    topics.receipt(1, 1);
    topics.receipt(1, 1);
    let report = topics.look(2);
    assert_eq!((residues(&report), report.repeats), ([0, 1], 1), "{report}");
}

#[test]
fn a_batch_that_was_sent_again_counts_once_and_apart() {
    let mut topics = Topics::new();
    topics.miss("/a");
    topics.miss("/b");
    let batch = topics.batch(1, 0, &["/a", "/b"]);
    topics.batch_again(&batch);
    topics.receipt(1, 2);
    topics.open(1, 2);
    topics.close(0, 2, (0, 0));
    let report = topics.look(2);
    assert!(report.balances(), "{report}");
    assert_eq!(topics.books.batches.resent, 1);
    assert_eq!((report.partners[0].batches, report.repeats), (2, 0));
}

#[test]
fn batches_that_retention_took_from_a_lane_are_named_with_their_partition() {
    let mut topics = Topics::new();
    topics.lose_batches(4);
    topics.batch(5, 0, &["/a"]);
    let report = topics.look(1);
    assert_eq!(residues(&report), [3, 0], "{report}");
    let finding = report.residues().next().unwrap();
    assert!(finding.subject == "north, batches[0]" && finding.means.contains("retention"));
}

#[test]
fn more_committed_than_the_topic_holds_is_named() {
    let mut topics = Topics::new();
    topics.batch(1, 0, &["/a"]);
    topics.receipt(1, 1);
    assert_eq!(residues(&topics.look(3)), [2, 0]);
}

#[test]
fn batches_older_than_the_receipts_that_are_left_are_not_judged() {
    let mut topics = Topics::new();
    topics.batch(1, 0, &["/a"]);
    topics.lose_receipts(1);
    topics.batch(2, 0, &["/b"]);
    topics.receipt(2, 1);
    assert_eq!(residues(&topics.look(2)), [0, 0]);
}

#[test]
fn outcomes_of_batches_that_nobody_wrote_are_named_and_those_that_came_first_are_not() {
    let mut topics = Topics::new();
    topics.receipt(1, 1);
    topics.batch(1, 0, &["/a"]);
    assert_eq!(residues(&topics.look(1)), [0, 0]);
    topics.receipt(9, 5);
    let report = topics.look(1);
    assert_eq!(residues(&report), [0, 1], "{report}");
}
