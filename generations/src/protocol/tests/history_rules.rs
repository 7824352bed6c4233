//! What the order of the log decides: which of several records counts, when a replay is over, what is forgotten.

use hint_schema::generation_event::{
    Draining, Failed, FailedReason, Generation, GenerationEvent, Incarnation, OffsetInterval, Opened,
    ReplayAsked, Replayed, Sealed, Settled,
};

use crate::protocol::History;
use crate::protocol::history::Verdict;

const ONE: Incarnation = Incarnation(7);
const OTHER: Incarnation = Incarnation(8);

fn offsets(from: i64, to: i64) -> OffsetInterval {
    OffsetInterval {
        partition: 0,
        from,
        to,
    }
}

fn opened(generation: Generation, flipper: Incarnation) -> GenerationEvent {
    GenerationEvent::Opened(Opened {
        generation,
        flipper,
        opened_at_ms: 0,
        closed_through: None,
        start_offsets: Vec::new(),
        nodes: Vec::new(),
    })
}

fn sealed(generation: Generation, live: OffsetInterval) -> GenerationEvent {
    GenerationEvent::Sealed(Sealed {
        generation,
        writer: "w".to_owned(),
        incarnation: Incarnation(1),
        new_keys: 0,
        new_hash: 0,
        repeated_keys: 0,
        unknown: 0,
        live: vec![live],
        replayed: Vec::new(),
        is_final: false,
    })
}

fn draining(generation: Generation) -> GenerationEvent {
    GenerationEvent::Draining(Draining {
        generation,
        flipper: ONE,
    })
}

fn settled(generation: Generation, flipper: Incarnation) -> GenerationEvent {
    GenerationEvent::Settled(Settled {
        generation,
        flipper,
        keys: 0,
        batches: 0,
        late_keys: 0,
        merged_keys: 0,
        audited: true,
    })
}

/// Offsets 0 to 100 are to be read again.
fn failed(generation: Generation) -> GenerationEvent {
    GenerationEvent::Failed(Failed {
        generation,
        flipper: ONE,
        reason: FailedReason::Shortfall,
        range: vec![offsets(0, 100)],
        keys: 0,
        batches: 0,
        late_keys: 0,
        merged_keys: 0,
    })
}

/// The same, by hand.
fn asked(generation: Generation) -> GenerationEvent {
    GenerationEvent::ReplayAsked(ReplayAsked {
        generation,
        flipper: ONE,
        range: vec![offsets(0, 100)],
    })
}

fn replayed(generation: Generation) -> GenerationEvent {
    GenerationEvent::Replayed(Replayed {
        generation,
        flipper: ONE,
    })
}

fn history(log: &[&[GenerationEvent]]) -> History {
    let mut history = History::default();
    log.concat().iter().for_each(|event| history.apply(event));
    history
}

#[test]
fn the_first_opened_of_a_generation_counts() {
    // Compaction keeps the last record of a key: run ids and offsets of a later one may hide a loss (I4, I5).
    let history = history(&[&[opened(0, ONE), opened(0, OTHER)]]);
    let counts = history.generation(0).unwrap().opened.as_ref().unwrap();
    assert_eq!(counts.flipper, ONE);
}

#[test]
fn the_first_verdict_on_a_generation_counts() {
    let log = [opened(0, ONE), opened(1, ONE), failed(0), settled(0, OTHER)];
    assert!(matches!(history(&[&log]).verdict(0), Some(Verdict::Failed(_))));
}

#[test]
fn a_replay_is_over_once_its_whole_range_stands_in_settled_generations() {
    let log = [opened(0, ONE), opened(1, ONE), failed(0)];
    let is_covered = |more: &[GenerationEvent]| history(&[&log, more]).replay_is_covered(0);
    let (part, whole) = (sealed(1, offsets(0, 99)), sealed(1, offsets(0, 100)));
    let behind = |seal: &GenerationEvent, verdict| [seal.clone(), opened(2, ONE), verdict];
    assert!(!is_covered(std::slice::from_ref(&whole)), "it may still fail");
    assert!(!is_covered(&behind(&whole, failed(1))));
    assert!(!is_covered(&behind(&part, settled(1, ONE))));
    assert!(is_covered(&behind(&whole, settled(1, ONE))));
}

#[test]
fn what_a_generation_consumed_itself_is_no_replay_of_it() {
    let log = [opened(0, ONE), sealed(0, offsets(0, 100)), opened(1, ONE)];
    let history = history(&[&log, &[settled(0, ONE), asked(0)]]);
    assert_eq!(history.open_replays().count(), 1);
    assert!(!history.replay_is_covered(0));
}

#[test]
fn a_replay_that_is_asked_for_again_is_open_again() {
    let log = [
        opened(0, ONE),
        opened(1, ONE),
        settled(0, ONE),
        asked(0),
        replayed(0),
    ];
    let open = |more: &[GenerationEvent]| history(&[&log, more]).open_replays().count();
    assert_eq!(open(&[]), 0);
    assert_eq!(open(&[asked(0)]), 1);
}

#[test]
fn opened_is_forgotten_first_and_nothing_of_what_is_to_be_read_again() {
    let log = [
        opened(0, ONE),
        sealed(0, offsets(0, 100)),
        opened(1, ONE),
        draining(0),
    ];
    let garbage = |verdict| history(&[&log, &[verdict]]).garbage();
    let closed = garbage(settled(0, ONE));
    assert_eq!((closed.len(), &closed[0]), (4, &opened(0, ONE).key()));
    assert!(garbage(failed(0)).is_empty());
}
