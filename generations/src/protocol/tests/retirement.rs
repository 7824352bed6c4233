//! When a barrier waits for a writer no more.

use hint_schema::generation_event::{
    Generation, GenerationEvent, Heartbeat, Incarnation, Opened, Sealed, Settled,
};

use crate::protocol::History;

fn opened(generation: Generation) -> GenerationEvent {
    GenerationEvent::Opened(Opened {
        generation,
        flipper: Incarnation(7),
        opened_at_ms: 0,
        closed_through: None,
        start_offsets: Vec::new(),
        nodes: Vec::new(),
    })
}

fn heartbeat(sequence: u64) -> GenerationEvent {
    GenerationEvent::Heartbeat(Heartbeat {
        writer: "w".to_owned(),
        incarnation: Incarnation(1),
        sequence,
        first_generation: 0,
    })
}

fn settled(generation: Generation) -> GenerationEvent {
    GenerationEvent::Settled(Settled {
        generation,
        flipper: Incarnation(7),
        keys: 0,
        batches: 0,
        late_keys: 0,
        merged_keys: 0,
        audited: false,
    })
}

fn sealed(generation: Generation) -> GenerationEvent {
    GenerationEvent::Sealed(Sealed {
        generation,
        writer: "w".to_owned(),
        incarnation: Incarnation(1),
        new_keys: 0,
        new_hash: 0,
        repeated_keys: 0,
        unknown: 0,
        live: Vec::new(),
        replayed: Vec::new(),
        is_final: false,
    })
}

fn waits_for(events: &[GenerationEvent], generation: Generation) -> bool {
    let mut history = History::default();
    events.iter().for_each(|event| history.apply(event));
    !history.missing_seals(generation).is_empty()
}

#[test]
fn a_writer_that_fell_silent_is_waited_for_until_a_verdict_without_its_seal() {
    let log = [opened(0), heartbeat(1), opened(1), settled(0), opened(2)];
    assert!(waits_for(&log[..3], 0));
    assert!(!waits_for(&log, 1));
}

#[test]
fn a_writer_heard_behind_the_next_opened_is_waited_for_though_its_seal_is_late() {
    // It holds a lease for generation 1 and writes under it: without it barrier(1) would be none (I2).
    let log = [
        opened(0),
        heartbeat(1),
        opened(1),
        heartbeat(2),
        settled(0),
        opened(2),
    ];
    assert!(waits_for(&log, 1));
    let late = [&log[..], &[sealed(0), sealed(1)]].concat();
    assert!(!waits_for(&late, 1));
}
