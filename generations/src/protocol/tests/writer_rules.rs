//! A writer's rules, one by one.

use std::time::Duration;

use hint_schema::generation_event::{
    Generation, GenerationEvent, Heartbeat, Incarnation, OffsetInterval, Opened, Sealed,
};
use messagebus::clock::BootInstant;

use crate::protocol::{LEASE, Writer, WriterEffect, WriterEvent};

fn at(seconds: u64) -> BootInstant {
    BootInstant::from_nanos(seconds * 1_000_000_000)
}

fn opened(generation: Generation) -> WriterEvent {
    WriterEvent::Control(GenerationEvent::Opened(Opened {
        generation,
        flipper: Incarnation(7),
        opened_at_ms: 0,
        closed_through: None,
        start_offsets: Vec::new(),
        nodes: Vec::new(),
    }))
}

fn heartbeat(effects: &[WriterEffect]) -> WriterEvent {
    let sent: Vec<&Heartbeat> = effects
        .iter()
        .filter_map(|effect| match effect {
            WriterEffect::Heartbeat(heartbeat) => Some(heartbeat),
            _ => None,
        })
        .collect();
    WriterEvent::Control(GenerationEvent::Heartbeat(sent[0].clone()))
}

fn seals(effects: &[WriterEffect]) -> Vec<Sealed> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            WriterEffect::Seal(sealed) => Some(sealed.clone()),
            _ => None,
        })
        .collect()
}

fn polled(batch: u64) -> WriterEvent {
    let span = OffsetInterval {
        partition: 0,
        from: 10 * batch as i64,
        to: 10 * batch as i64 + 10,
    };
    WriterEvent::Polled {
        batch,
        spans: vec![span],
        replay: None,
    }
}

/// A writer with a lease for generation 3 that ends at second 10.
fn leased() -> Writer {
    let mut writer = Writer::new("w".to_owned(), Incarnation(1));
    let sent = writer.step(at(0), WriterEvent::Tick);
    writer.step(at(0), opened(3));
    assert_eq!(writer.step(at(1), heartbeat(&sent)), [WriterEffect::Resume]);
    writer
}

/// The same with batch 1 bound, one SET under way.
fn writing() -> Writer {
    let mut writer = leased();
    assert!(writer.step(at(1), polled(1)).contains(&WriterEffect::Bind {
        batch: 1,
        generation: 3
    }));
    writer.step(at(1), WriterEvent::Sent { batch: 1, copies: 1 });
    writer.step(
        at(1),
        WriterEvent::Judged {
            batch: 1,
            sets: 1,
            acks: 0,
        },
    );
    writer
}

fn answer(seconds: u64) -> WriterEvent {
    WriterEvent::Answered {
        batch: 1,
        new: 1,
        new_hash: 5,
        repeated: 0,
        at: at(seconds),
    }
}

#[test]
fn an_answer_inside_the_lease_commits() {
    assert!(
        writing()
            .step(at(9), answer(9))
            .contains(&WriterEffect::Commit { batch: 1 })
    );
}

#[test]
fn an_answer_after_the_lease_drops_and_rewinds_everything() {
    let effects = writing().step(at(11), answer(11));
    assert!(
        effects.contains(&WriterEffect::Rewind { dropped: vec![1] }),
        "{effects:?}"
    );
    assert!(effects.contains(&WriterEffect::Pause));
    assert!(!effects.contains(&WriterEffect::Commit { batch: 1 }));
}

#[test]
fn copies_dropped_with_a_lease_are_unknown_in_the_seal() {
    let mut writer = writing();
    writer.step(at(9) + LEASE, WriterEvent::Tick);
    let effects = writer.step(at(20), opened(4));
    assert_eq!(seals(&effects)[0].unknown, 1);
}

#[test]
fn a_heartbeat_behind_the_next_opened_gives_no_lease_for_the_closed_generation() {
    let mut writer = writing();
    let sent = writer.step(at(8), WriterEvent::Tick);
    writer.step(at(8), opened(4));
    writer.step(at(9), heartbeat(&sent));
    let effects = writer.step(at(11), answer(11));
    assert!(effects.contains(&WriterEffect::Rewind { dropped: vec![1] }));
}

#[test]
fn what_is_in_flight_is_finished_before_the_seal_and_later_batches_wait_for_it() {
    let mut writer = writing();
    assert!(seals(&writer.step(at(2), opened(4))).is_empty());
    let held = writer.step(at(3), polled(2));
    assert!(
        !held
            .iter()
            .any(|effect| matches!(effect, WriterEffect::Bind { .. }))
    );
    let effects = writer.step(at(4), answer(4));
    let sealed = &seals(&effects)[0];
    assert_eq!((sealed.generation, sealed.new_keys, sealed.new_hash), (3, 1, 5));
    assert_eq!(
        sealed.live,
        [OffsetInterval {
            partition: 0,
            from: 10,
            to: 20
        }]
    );
    assert!(effects.contains(&WriterEffect::EmptyFilter));
    assert!(effects.contains(&WriterEffect::Bind {
        batch: 2,
        generation: 4
    }));
}

#[test]
fn a_batch_with_rejected_records_waits_for_their_acknowledgement() {
    let mut writer = leased();
    writer.step(at(1), polled(1));
    assert!(
        writer
            .step(
                at(1),
                WriterEvent::Judged {
                    batch: 1,
                    sets: 0,
                    acks: 2
                }
            )
            .is_empty()
    );
    assert!(
        writer
            .step(at(1), WriterEvent::Acknowledged { batch: 1, acks: 1 })
            .is_empty()
    );
    let effects = writer.step(at(1), WriterEvent::Acknowledged { batch: 1, acks: 1 });
    assert_eq!(effects, [WriterEffect::Commit { batch: 1 }]);
}

#[test]
fn an_unanswered_copy_stays_unknown_though_a_later_copy_is_answered() {
    let mut writer = writing();
    writer.step(at(2), WriterEvent::Unanswered { batch: 1, copies: 1 });
    assert!(writer.may_send(at(2), 1));
    writer.step(at(2), WriterEvent::Sent { batch: 1, copies: 1 });
    assert!(
        writer
            .step(at(3), answer(3))
            .contains(&WriterEffect::Commit { batch: 1 })
    );
    let sealed = seals(&writer.step(at(4), opened(4)));
    assert_eq!((sealed[0].unknown, sealed[0].new_keys), (1, 1));
}

#[test]
fn no_copy_is_sent_again_without_a_lease() {
    let writer = writing();
    assert!(writer.may_send(at(9), 1));
    assert!(!writer.may_send(at(10), 1));
    assert!(!writer.may_send(at(9), 2));
}

#[test]
fn a_shutdown_finishes_what_is_in_flight_and_seals_finally() {
    let mut writer = writing();
    assert!(seals(&writer.step(at(2), WriterEvent::Shutdown)).is_empty());
    let effects = writer.step(at(3), answer(3));
    let sealed = &seals(&effects)[0];
    assert!(sealed.is_final);
    assert_eq!(sealed.new_keys, 1);
    assert_eq!(
        writer.step(at(4), WriterEvent::FinalSealAcknowledged),
        [WriterEffect::Finished]
    );
}

#[test]
fn generations_that_were_slept_through_are_sealed_empty() {
    let mut writer = leased();
    writer.step(at(30), WriterEvent::Tick);
    let first: Vec<Generation> = seals(&writer.step(at(30), opened(4)))
        .iter()
        .map(|s| s.generation)
        .collect();
    let second: Vec<Generation> = seals(&writer.step(at(30), opened(5)))
        .iter()
        .map(|s| s.generation)
        .collect();
    assert_eq!((first, second), (vec![3], vec![4]));
}

#[test]
fn a_heartbeat_is_sent_every_fifth_of_a_lease() {
    let mut writer = leased();
    let beats = (1..=20_u64)
        .flat_map(|half| writer.step(at(0) + Duration::from_millis(half * 500), WriterEvent::Tick))
        .filter(|effect| matches!(effect, WriterEffect::Heartbeat(_)))
        .count();
    assert_eq!(beats, 5);
}

#[test]
fn a_heartbeat_names_the_first_generation_that_its_writer_had_a_lease_for() {
    // The barrier waits for whoever may have written under its generation: a later number would hide a writer (I2).
    let mut writer = leased();
    writer.step(at(1), opened(4));
    let effects = writer.step(at(2), WriterEvent::Tick);
    let first = effects.iter().find_map(|effect| match effect {
        WriterEffect::Heartbeat(heartbeat) => Some(heartbeat.first_generation),
        _ => None,
    });
    assert_eq!((first, writer.bound()), (Some(3), Some(4)));
}

/// Batch 1 bound under generation 3, its SET refused, and generation 4 opened.
fn blocked() -> Writer {
    let mut writer = writing();
    writer.step(at(2), WriterEvent::Refused { batch: 1, copies: 1 });
    assert!(seals(&writer.step(at(3), opened(4))).is_empty());
    writer
}

#[test]
fn a_closed_generation_that_takes_no_more_keys_is_given_up_and_sealed_exactly() {
    let effects = blocked().step(at(4), WriterEvent::Blocked);
    assert!(effects.contains(&WriterEffect::Rewind { dropped: vec![1] }));
    let sealed = &seals(&effects)[0];
    assert_eq!((sealed.generation, sealed.unknown), (3, 0));
}

#[test]
fn a_generation_that_is_active_is_not_given_up_nor_one_with_copies_under_way() {
    let mut active = writing();
    active.step(at(2), WriterEvent::Refused { batch: 1, copies: 1 });
    let effects = active.step(at(4), WriterEvent::Blocked);
    assert!(!effects.contains(&WriterEffect::Rewind { dropped: vec![1] }));
    let mut under_way = blocked();
    under_way.step(at(3), WriterEvent::Sent { batch: 1, copies: 1 });
    let effects = under_way.step(at(3), WriterEvent::Blocked);
    assert!(!effects.contains(&WriterEffect::Rewind { dropped: vec![1] }));
}
