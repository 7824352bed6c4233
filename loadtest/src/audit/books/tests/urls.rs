//! (G).

use std::collections::BTreeMap;

use hint_schema::generation_event::{GenerationEvent, OffsetInterval, ReplayProgress};

use super::logs::{ME, NOW_MS, Topics, sealed};
use crate::audit::report::Book;

#[test]
fn a_url_above_the_frontier_is_in_flight_and_one_below_has_to_stand_in_a_batch() {
    let mut topics = Topics::new();
    topics.miss("/a");
    topics.miss("/b");
    let report = topics.look(0);
    assert_eq!((report.in_flight(Book::G), report.residue(Book::G)), (2, 0));
    topics.batch(1, 0, &["/a"]);
    topics.open(1, 2);
    topics.close(0, 1, (0, 2));
    let report = topics.look(0);
    assert_eq!(
        (report.in_flight(Book::G), report.residue(Book::G)),
        (0, 1),
        "{report}"
    );
    assert_eq!((report.lost, report.accepted_urls), (1, 2));
    let finding = report.residues().next().unwrap();
    assert_eq!(finding.subject, "cache-misses[0]@1");
}

#[test]
fn a_batch_of_an_older_generation_does_not_stand_in_for_one_of_its_own() {
    let mut topics = Topics::new();
    topics.miss("/a");
    topics.batch(1, 0, &["/a"]);
    topics.open(1, 1);
    topics.close(0, 1, (0, 1));
    assert_eq!(topics.look(0).lost, 0);
    topics.miss("/a");
    topics.open(2, 2);
    topics.close(1, 0, (1, 2));
    assert_eq!(topics.look(0).lost, 1);
}

#[test]
fn a_record_that_was_committed_late_is_compared_with_the_generation_that_consumed_it() {
    let mut topics = Topics::new();
    topics.miss("/a");
    topics.batch(1, 0, &["/a"]);
    topics.seal(0, 1, (0, 1));
    topics.drain(0, ME);
    topics.settle(0, 1, true);
    for generation in 1..10 {
        topics.open(generation, 0);
        topics.close(generation, 0, (1, 1));
        assert_eq!(topics.look(0).in_flight(Book::G), 1);
    }
    topics.open(10, 1);
    let report = topics.look(0);
    assert_eq!((report.lost, topics.books.urls.found), (0, 1), "{report}");
}

#[test]
fn a_record_that_no_seal_speaks_of_may_stand_in_any_batch() {
    let mut topics = Topics::new();
    // Partition 0 was consumed under generation 1; of partition 1 a writer crashed before it sealed.
    topics.miss_at(1, 0, "/a");
    topics.batch(1, 0, &["/a"]);
    topics.open(1, 0);
    topics.seal(1, 0, (0, 100));
    let below = BTreeMap::from([(1, 1)]);
    let live = topics.books.generations.live();
    topics.books.urls.settle(&below, &BTreeMap::new(), &live);
    assert_eq!((topics.books.urls.missing, topics.books.urls.found), (0, 1));
}

#[test]
fn each_of_two_records_of_a_url_is_compared_with_its_own_generation() {
    let mut topics = Topics::new();
    topics.miss("/a");
    topics.miss("/a");
    topics.batch(1, 0, &["/a"]);
    topics.open(1, 1);
    topics.close(0, 1, (0, 1));
    assert_eq!(topics.look(0).in_flight(Book::G), 1);
    topics.open(2, 2);
    topics.close(1, 0, (1, 2));
    assert_eq!(topics.look(0).lost, 1);
}

#[test]
fn a_generation_that_failed_is_waited_for_until_it_is_read_again() {
    let mut topics = Topics::new();
    topics.miss("/a");
    topics.open(1, 1);
    topics.drain(0, ME);
    topics.fail(
        0,
        0,
        hint_schema::generation_event::FailedReason::Shortfall,
        (0, 1),
    );
    assert_eq!(topics.look(0).lost, 0);
    topics.batch(1, 1, &["/a"]);
    topics.replayed(0);
    topics.open(2, 1);
    topics.close(1, 1, (1, 1));
    let report = topics.look(0);
    assert_eq!(
        (report.lost, report.invented, topics.books.urls.found),
        (0, 0, 1),
        "{report}"
    );
}

#[test]
fn a_url_that_nobody_sent_is_invented() {
    let mut topics = Topics::new();
    topics.miss("/a");
    topics.batch(1, 0, &["/a", "/invented"]);
    let report = topics.look(0);
    assert_eq!(report.invented, 1, "{report}");
    assert_eq!(report.residues().next().unwrap().subject, "generation 0");
}

#[test]
fn a_batch_may_be_read_before_its_input() {
    let mut topics = Topics::new();
    topics.batch(1, 0, &["/a"]);
    topics.miss("/a");
    assert_eq!(topics.look(0).invented, 0);
}

/// Input of generation 0 is forgotten, and so may be what generation 1 holds of it.
fn forgetful() -> Topics {
    let mut topics = Topics::new();
    topics.miss("/a");
    topics.batch(1, 0, &["/a"]);
    topics.open(1, 1);
    topics.close(0, 1, (0, 1));
    topics.look(0);
    topics.miss("/b");
    topics.look(0);
    assert_eq!(
        topics.books.urls.accepted().count(),
        1,
        "what was sent before /b is forgotten"
    );
    topics
}

#[test]
fn what_was_forgotten_is_not_invented_by_a_replay() {
    let mut topics = forgetful();
    topics.batch(2, 1, &["/b", "/a"]);
    topics.open(2, 2);
    let GenerationEvent::Sealed(mut seal) = sealed(1, 2, (1, 2)) else {
        unreachable!()
    };
    let intervals = vec![OffsetInterval {
        partition: 0,
        from: 0,
        to: 1,
    }];
    seal.replayed = vec![ReplayProgress {
        generation: 0,
        intervals,
    }];
    topics.event(&GenerationEvent::Sealed(seal));
    topics.drain(1, ME);
    topics.settle(1, 2, true);
    let report = topics.look(0);
    assert_eq!(
        (report.invented, topics.books.urls.of_unknown_origin),
        (0, 1),
        "{report}"
    );
}

#[test]
fn what_no_replay_explains_is_invented_once_its_generation_is_judged() {
    let mut topics = forgetful();
    topics.batch(2, 1, &["/b", "/invented"]);
    assert_eq!(topics.look(0).invented, 0);
    topics.open(2, 2);
    topics.close(1, 2, (1, 2));
    assert_eq!(topics.look(0).invented, 1);
}

#[test]
fn a_record_near_its_zones_change_is_not_certain_to_be_accepted() {
    let mut topics = Topics::new();
    topics.zone_at(false, NOW_MS - 9_000);
    topics.zone_at(true, NOW_MS - 8_000);
    topics.miss("/a");
    topics.open(1, 1);
    topics.close(0, 0, (0, 1));
    let report = topics.look(0);
    assert_eq!((report.lost, report.in_flight(Book::G)), (0, 0), "{report}");
}

#[test]
fn a_host_that_opted_out_since_had_been_sent_all_the_same() {
    let mut topics = Topics::new();
    topics.zone(false);
    topics.miss("/a");
    topics.batch(1, 0, &["/a"]);
    assert_eq!(topics.look(0).invented, 0);
}

#[test]
fn beyond_the_limit_urls_are_not_compared_and_the_audit_says_so() {
    let mut topics = Topics::with_limit(3);
    for path in ["/a", "/b", "/c", "/d"] {
        topics.miss(path);
    }
    topics.open(1, 4);
    topics.close(0, 0, (0, 4));
    let report = topics.look(0);
    assert_eq!((report.lost, report.kept.urls), (0, 0), "{report}");
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.means.contains("--max-urls"))
    );
}
