//! A flipper's rules, one by one.

use std::time::Duration;

use hint_schema::generation_event::{
    Draining, Generation, GenerationEvent, Heartbeat, Incarnation, NodeSeen, Opened, Role, Sealed, Settled,
};
use messagebus::clock::BootInstant;

use crate::ClusterName;
use crate::protocol::{
    BooksPolicy, ClusterView, DrainReport, Flipper, FlipperEffect, FlipperEvent, FlipperSettings,
};

const ME: Incarnation = Incarnation(7);

fn at(seconds: u64) -> BootInstant {
    BootInstant::from_nanos(seconds * 1_000_000_000)
}

fn node() -> NodeSeen {
    NodeSeen {
        node_id: "n".to_owned(),
        run_id: "run".to_owned(),
        role: Role::Master,
        replication_id: "replication".to_owned(),
        evicted_keys: 0,
    }
}

fn opened(generation: Generation) -> GenerationEvent {
    GenerationEvent::Opened(Opened {
        generation,
        flipper: ME,
        opened_at_ms: 0,
        closed_through: None,
        start_offsets: Vec::new(),
        nodes: vec![node()],
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

fn sealed(generation: Generation, new_keys: u64) -> GenerationEvent {
    GenerationEvent::Sealed(Sealed {
        generation,
        writer: "w".to_owned(),
        incarnation: Incarnation(1),
        new_keys,
        new_hash: u128::from(new_keys),
        repeated_keys: 0,
        unknown: 0,
        live: Vec::new(),
        replayed: Vec::new(),
        is_final: false,
    })
}

fn draining(flipper: Incarnation) -> GenerationEvent {
    GenerationEvent::Draining(Draining {
        generation: 0,
        flipper,
    })
}

/// A flipper that has begun to read; both clusters answer.
fn new_flipper(books: BooksPolicy) -> Flipper {
    let settings = FlipperSettings {
        interval: Duration::from_secs(3_600),
        max_urls: 1_000,
        books,
    };
    let mut flipper = Flipper::new(ME, settings);
    for cluster in ClusterName::ALL {
        let view = ClusterView {
            reachable: true,
            ..ClusterView::default()
        };
        flipper.step(at(0), FlipperEvent::Seen { cluster, view });
    }
    flipper.step(at(0), FlipperEvent::Elected(true));
    flipper
}

fn read(flipper: &mut Flipper, now: BootInstant, events: &[GenerationEvent]) -> Vec<FlipperEffect> {
    let steps = events.iter().cloned().map(FlipperEvent::Control);
    steps.flat_map(|event| flipper.step(now, event)).collect()
}

/// The same with the log read to its end.
fn working(books: BooksPolicy, log: &[GenerationEvent]) -> (Flipper, Vec<FlipperEffect>) {
    let mut flipper = new_flipper(books);
    let mut effects = read(&mut flipper, at(0), log);
    effects.extend(flipper.step(at(0), FlipperEvent::CaughtUp));
    (flipper, effects)
}

fn announced(effects: &[FlipperEffect]) -> bool {
    effects.contains(&FlipperEffect::Publish(draining(ME)))
}

fn drained(flipper: &mut Flipper, generation: Generation, keys: u64) -> Vec<FlipperEffect> {
    let report = DrainReport {
        keys,
        hash: u128::from(keys),
        nodes: vec![node()],
        slot_owners: vec!["n".to_owned()],
        ..DrainReport::default()
    };
    flipper.step(at(20), FlipperEvent::Drained { generation, report })
}

/// Whether the verdict is `Settled`, and audited.
fn settled(effects: &[FlipperEffect]) -> Option<bool> {
    effects.iter().find_map(|effect| match effect {
        FlipperEffect::Publish(GenerationEvent::Settled(settled)) => Some(settled.audited),
        _ => None,
    })
}

#[test]
fn a_drain_begins_when_its_own_announcement_is_read_back() {
    let log = [opened(0), heartbeat(1), opened(1), sealed(0, 1)];
    let (mut flipper, effects) = working(BooksPolicy::Visible, &log);
    assert!(announced(&effects) && !effects.contains(&FlipperEffect::Drain(0)));
    assert!(read(&mut flipper, at(1), &[draining(ME)]).contains(&FlipperEffect::Drain(0)));
    assert_eq!(settled(&drained(&mut flipper, 0, 1)), Some(true));
}

#[test]
fn a_shortfall_fails_unless_somebody_drained_before() {
    // Judged before the own announcement is read back, the first would settle and the second fail.
    let log = [opened(0), heartbeat(1), opened(1), sealed(0, 1)];
    let (mut alone, _) = working(BooksPolicy::Visible, &log);
    read(&mut alone, at(1), &[draining(ME)]);
    assert!(drained(&mut alone, 0, 0).contains(&FlipperEffect::ReadEndOffsets(0)));

    let (mut second, _) = working(BooksPolicy::Visible, &log);
    read(&mut second, at(1), &[draining(Incarnation(6)), draining(ME)]);
    assert_eq!(settled(&drained(&mut second, 0, 0)), Some(false));
}

#[test]
fn no_barrier_is_passed_before_the_log_was_read_to_its_end() {
    // What compaction leaves: the writer's latest heartbeat, behind the `Opened` that its lease is older than.
    let (mut flipper, effects) = working(BooksPolicy::Visible, &[opened(0), opened(1), heartbeat(9)]);
    assert!(!announced(&effects));
    assert!(announced(&read(&mut flipper, at(1), &[sealed(0, 0)])));
}

#[test]
fn a_writer_that_was_silent_at_the_barrier_before_leaves_the_books_inexact() {
    // Its lease reached into generation 1, and nobody waits for it there: what it wrote is in no seal (I5).
    let log = [opened(0), heartbeat(1), opened(1)];
    for (late_seals, audited) in [(&[][..], None), (&[sealed(0, 0), sealed(1, 0)], Some(true))] {
        let (mut flipper, _) = working(BooksPolicy::Strict, &log);
        flipper.step(at(12), FlipperEvent::Tick);
        let settled_0 = GenerationEvent::Settled(Settled {
            generation: 0,
            flipper: Incarnation(6),
            keys: 0,
            batches: 0,
            late_keys: 0,
            merged_keys: 0,
            audited: false,
        });
        read(&mut flipper, at(13), &[settled_0, opened(2)]);
        let draining_1 = GenerationEvent::Draining(Draining {
            generation: 1,
            flipper: ME,
        });
        read(&mut flipper, at(14), &[draining_1]);
        read(&mut flipper, at(15), late_seals);
        let effects = drained(&mut flipper, 1, 0);
        assert_eq!(settled(&effects), audited);
        if audited.is_none() {
            assert!(effects.contains(&FlipperEffect::ReadEndOffsets(1)));
        }
    }
}

/// How often a record of this key was to be published.
fn published(effects: &[FlipperEffect], key: &str) -> usize {
    let is_it =
        |effect: &&FlipperEffect| matches!(effect, FlipperEffect::Publish(event) if event.key() == key);
    effects.iter().filter(is_it).count()
}

fn elected_anew(flipper: &mut Flipper) -> Vec<FlipperEffect> {
    flipper.step(at(21), FlipperEvent::Elected(false));
    flipper.step(at(21), FlipperEvent::Elected(true))
}

#[test]
fn an_incarnation_publishes_one_opened_of_a_generation_though_it_is_elected_anew() {
    let (mut flipper, _) = working(BooksPolicy::Visible, &[opened(0)]);
    let snapshot = |at_ms| FlipperEvent::Snapshot {
        generation: 1,
        nodes: vec![node()],
        start_offsets: Vec::new(),
        at_ms,
    };
    flipper.step(at(1), FlipperEvent::FlipAsked);
    let mut effects = flipper.step(at(1), snapshot(1));
    effects.extend(elected_anew(&mut flipper));
    effects.extend(flipper.step(at(2), FlipperEvent::FlipAsked));
    effects.extend(flipper.step(at(2), snapshot(2)));
    assert_eq!(published(&effects, &opened(1).key()), 1);
}

#[test]
fn an_incarnation_publishes_one_verdict_on_a_generation_though_it_is_elected_anew() {
    let log = [opened(0), heartbeat(1), opened(1), sealed(0, 1), draining(ME)];
    let (mut flipper, effects) = working(BooksPolicy::Visible, &log[..4]);
    assert!(announced(&effects));
    let mut effects = read(&mut flipper, at(1), &log[4..]);
    effects.extend(drained(&mut flipper, 0, 1));
    effects.extend(elected_anew(&mut flipper));
    effects.extend(read(&mut flipper, at(22), &[draining(ME)]));
    effects.extend(drained(&mut flipper, 0, 0));
    assert_eq!(settled(&effects), Some(true));
    assert_eq!(published(&effects, &format!("verdict/0/{ME}")), 1);
    assert!(!effects.contains(&FlipperEffect::ReadEndOffsets(0)));
}
