//! (C) and (D).

use hint_schema::generation_event::{FailedReason, GenerationEvent, Settled};

use super::logs::{ME, OTHER, Topics, opened, sealed, settled};
use crate::audit::report::{Book, Report};

fn residues(report: &Report) -> [u64; 2] {
    [report.residue(Book::C), report.residue(Book::D)]
}

fn why(report: &Report, generation: u64) -> &str {
    let row = report
        .generation_rows
        .iter()
        .find(|row| row.generation == generation);
    &row.unwrap().why
}

#[test]
fn a_generation_whose_books_agree_leaves_nothing() {
    let mut topics = Topics::new();
    topics.batch(1, 0, &["/a", "/b"]);
    topics.open(1, 2);
    topics.close(0, 2, (0, 2));
    let report = topics.look(0);
    assert_eq!(residues(&report), [0, 0], "{report}");
    assert_eq!((report.generations.settled, report.generations.open), (1, 1));
}

#[test]
fn keys_that_writers_made_and_an_audited_drain_did_not_find_are_named() {
    let mut topics = Topics::new();
    topics.batch(1, 0, &["/a", "/b"]);
    topics.open(1, 2);
    topics.seal(0, 5, (0, 5));
    topics.drain(0, ME);
    topics.settle(0, 2, true);
    let report = topics.look(0);
    assert_eq!(residues(&report), [3, 0], "{report}");
    let finding = report.residues().next().unwrap();
    assert_eq!((finding.subject.as_str(), finding.count), ("generation 0", 3));
}

#[test]
fn a_batch_that_is_not_in_the_topic_and_one_that_nobody_drained_are_named() {
    let mut topics = Topics::new();
    topics.batch(1, 0, &["/a", "/b"]);
    topics.open(1, 2);
    topics.close(0, 3, (0, 3));
    topics.batch(2, 1, &["/c", "/d"]);
    topics.open(2, 4);
    topics.close(1, 1, (3, 4));
    let report = topics.look(0);
    assert_eq!(residues(&report), [0, 2], "{report}");
    let subjects: Vec<&str> = report
        .residues()
        .map(|finding| finding.subject.as_str())
        .collect();
    assert_eq!(subjects[..2], ["generation 0", "generation 1"]);
}

#[test]
fn after_two_drainings_more_may_stand_in_the_topic_and_never_less() {
    let mut topics = Topics::new();
    topics.batch(1, 0, &["/a", "/b"]);
    topics.batch(2, 0, &["/b", "/c"]);
    topics.open(1, 3);
    topics.seal(0, 3, (0, 3));
    topics.drain(0, ME);
    topics.drain(0, OTHER);
    topics.settle(0, 2, false);
    let report = topics.look(0);
    assert_eq!(residues(&report), [0, 0], "{report}");
    assert_eq!(why(&report, 0), "2 flippers drained it");

    let mut topics = Topics::new();
    topics.batch(1, 0, &["/a"]);
    topics.open(1, 3);
    topics.drain(0, ME);
    topics.drain(0, OTHER);
    topics.settle(0, 3, false);
    assert_eq!(residues(&topics.look(0)), [0, 2]);
}

#[test]
fn late_names_are_added_and_merged_ones_counted_once() {
    let mut topics = Topics::new();
    topics.batch(1, 0, &["/a", "/b", "/c"]);
    topics.open(1, 2);
    topics.seal(0, 2, (0, 2));
    topics.drain(0, ME);
    let GenerationEvent::Settled(settled) = settled(0, 2, true) else {
        unreachable!()
    };
    topics.event(&GenerationEvent::Settled(Settled {
        late_keys: 2,
        merged_keys: 1,
        ..settled
    }));
    assert_eq!(residues(&topics.look(0)), [0, 0]);
}

#[test]
fn the_first_verdict_counts_and_what_is_sealed_behind_it_does_not() {
    let mut topics = Topics::new();
    topics.batch(1, 0, &["/a"]);
    topics.open(1, 1);
    topics.drain(0, ME);
    topics.settle(0, 1, false);
    topics.settle(0, 9, true);
    topics.seal(0, 7, (0, 7));
    let report = topics.look(0);
    assert_eq!(residues(&report), [0, 0], "{report}");
    assert_eq!(report.generations.unaudited, 1);
}

#[test]
fn a_failed_generation_is_no_residue_while_it_is_read_again_and_says_how_far() {
    let mut topics = Topics::new();
    topics.batch(1, 0, &["/a"]);
    topics.open(1, 4);
    topics.seal(0, 4, (0, 4));
    topics.drain(0, ME);
    topics.fail(0, 1, FailedReason::Shortfall, (0, 4));
    let report = topics.look(0);
    assert_eq!(residues(&report), [0, 0], "{report}");
    let note = report
        .findings
        .iter()
        .find(|finding| !finding.is_residue)
        .unwrap();
    assert_eq!((note.subject.as_str(), note.count), ("generation 0", 3));
    assert!(
        note.means.contains("shortfall") && note.means.contains("0 % done"),
        "{}",
        note.means
    );

    let GenerationEvent::Sealed(mut seal) = sealed(1, 3, (4, 4)) else {
        unreachable!()
    };
    seal.replayed = vec![hint_schema::generation_event::ReplayProgress {
        generation: 0,
        intervals: vec![hint_schema::generation_event::OffsetInterval {
            partition: 0,
            from: 0,
            to: 3,
        }],
    }];
    topics.event(&GenerationEvent::Sealed(seal));
    let report = topics.look(0);
    assert_eq!(report.generations.replays_open, 1);
    let row = report
        .generation_rows
        .iter()
        .find(|row| row.generation == 0)
        .unwrap();
    assert_eq!(row.replay, Some(0.75));
    assert_eq!(topics.books.frontier.open, 0);
    topics.replayed(0);
    let report = topics.look(0);
    assert_eq!(
        (report.generations.replays_open, topics.books.frontier.open),
        (0, 1)
    );
}

#[test]
fn a_generation_that_was_given_up_in_the_middle_has_batches_that_its_verdict_does_not_count() {
    let mut topics = Topics::new();
    topics.batch(1, 0, &["/a", "/b"]);
    topics.open(1, 3);
    topics.drain(0, ME);
    topics.fail(0, 0, FailedReason::Unreachable, (0, 3));
    assert_eq!(residues(&topics.look(0)), [0, 0]);
}

#[test]
fn a_verdict_that_outlives_its_compacted_seals_is_not_judged() {
    let mut topics = Topics::new();
    // Generation 1's records stand in front of their tombstones; compaction has taken all but its verdict.
    topics.batch(1, 1, &["/a", "/b"]);
    topics.compact_log(5);
    topics.event(&settled(1, 2, true));
    topics.tombstone(&opened(1, 0).key());
    topics.tombstone(&sealed(1, 0, (0, 0)).key());
    topics.open(2, 2);
    let report = topics.look(0);
    assert_eq!(residues(&report), [0, 0], "{report}");
    assert_eq!(report.generations.settled, 1);
}

#[test]
fn a_seal_that_compaction_took_between_its_opening_and_its_verdict_is_not_missed() {
    let mut topics = Topics::new();
    topics.batch(1, 0, &["/a", "/b"]);
    topics.open(1, 2);
    topics.compact_log(1);
    topics.drain(0, ME);
    topics.settle(0, 2, true);
    assert_eq!(residues(&topics.look(0)), [2, 0]);
    topics.tombstone(&opened(0, 0).key());
    topics.tombstone(&sealed(0, 2, (0, 2)).key());
    assert_eq!(residues(&topics.look(0)), [0, 0]);
}

#[test]
fn a_verdict_read_behind_the_batches_waits_for_the_next_look() {
    let mut topics = Topics::new();
    topics.open(1, 2);
    topics.books.generations.begin_second_reading();
    topics.close(0, 2, (0, 2));
    assert_eq!(residues(&topics.look(0)), [0, 0]);
    assert_eq!(residues(&topics.look(0)), [0, 2]);
}

#[test]
fn batches_that_retention_has_removed_are_not_missed() {
    let mut topics = Topics::new();
    topics.open(1, 2);
    topics.close(0, 2, (0, 2));
    topics.open(2, 3);
    topics.lose_batches(3);
    topics.batch(4, 1, &["/c"]);
    topics.close(1, 2, (2, 4));
    let report = topics.look(3);
    assert_eq!(residues(&report), [0, 0], "{report}");
    topics.batch(5, 3, &["/x"]);
    topics.open(3, 4);
    topics.open(4, 5);
    topics.close(3, 2, (4, 5));
    assert_eq!(residues(&topics.look(3)), [0, 1]);
}

#[test]
fn a_batch_of_a_generation_that_was_never_opened_is_named() {
    let mut topics = Topics::new();
    topics.batch(1, 77, &["/a"]);
    let report = topics.look(0);
    assert_eq!(residues(&report), [0, 1], "{report}");
    assert_eq!(report.residues().next().unwrap().subject, "generation 77");
}

#[test]
fn old_closed_generations_go_into_a_total_unless_something_remains_of_them() {
    let mut topics = Topics::new();
    topics.batch(1, 0, &["/a"]);
    for generation in 0..700 {
        topics.open(generation + 1, 0);
        topics.close(generation, u64::from(generation == 0) * 9, (0, 0));
    }
    let report = topics.look(0);
    assert_eq!((report.residue(Book::D), report.generations.settled), (8, 700));
    let report = topics.look(0);
    assert_eq!((report.residue(Book::D), report.generations.settled), (8, 700));
    assert_eq!(report.kept.generations, 500);
}
