//! A flipper's rules, one by one.

use std::time::Duration;

use hint_schema::generation_event::{
    Draining, Generation, GenerationEvent, Heartbeat, Incarnation, NodeSeen, OffsetInterval, Opened,
    PartitionOffset, Role, Sealed, Settled,
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

fn opening(generation: Generation) -> Opened {
    Opened {
        generation,
        flipper: ME,
        opened_at_ms: 0,
        closed_through: None,
        start_offsets: Vec::new(),
        nodes: vec![node()],
    }
}

fn opened(generation: Generation) -> GenerationEvent {
    GenerationEvent::Opened(opening(generation))
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

/// What a look at a cluster that answers shows.
fn answers() -> ClusterView {
    ClusterView {
        reachable: true,
        ..ClusterView::default()
    }
}

fn look(
    flipper: &mut Flipper,
    now: BootInstant,
    cluster: ClusterName,
    view: ClusterView,
) -> Vec<FlipperEffect> {
    flipper.step(now, FlipperEvent::Seen { cluster, view })
}

fn opens(effects: &[FlipperEffect], generation: Generation) -> bool {
    effects.contains(&FlipperEffect::Snapshot(generation))
}

fn verdict_of_another(generation: Generation) -> GenerationEvent {
    GenerationEvent::Settled(Settled {
        generation,
        flipper: Incarnation(6),
        keys: 0,
        batches: 0,
        late_keys: 0,
        merged_keys: 0,
        audited: true,
    })
}

#[test]
fn an_empty_log_over_clusters_that_hold_keys_is_refused() {
    for (keys, refused) in [(0, false), (3, true)] {
        let mut flipper = new_flipper(BooksPolicy::Visible);
        let view = ClusterView { keys, ..answers() };
        look(&mut flipper, at(0), ClusterName::B, view);
        let effects = flipper.step(at(0), FlipperEvent::CaughtUp);
        assert_eq!(effects.contains(&FlipperEffect::RefuseToStart { keys }), refused);
        assert_eq!(opens(&effects, 0), !refused);
    }
}

#[test]
fn the_next_generation_is_opened_at_its_time_or_for_its_size_or_a_master_short_of_memory() {
    let full = ClusterView {
        keys: 1_000,
        ..answers()
    };
    let short = ClusterView {
        under_pressure: true,
        ..answers()
    };
    for (view, seconds, is_opened) in [
        (answers(), 3_599, false),
        (answers(), 3_600, true),
        (full, 1, true),
        (short, 1, true),
    ] {
        let (mut flipper, effects) = working(BooksPolicy::Visible, &[opened(0)]);
        assert!(!opens(&effects, 1));
        let effects = look(&mut flipper, at(seconds), ClusterName::A, view);
        assert_eq!(opens(&effects, 1), is_opened, "{view:?} at {seconds}");
    }
}

#[test]
fn nothing_is_opened_while_the_generation_before_has_no_verdict() {
    let (mut flipper, _) = working(BooksPolicy::Visible, &[opened(0), heartbeat(1), opened(1)]);
    assert!(!opens(&flipper.step(at(3_600), FlipperEvent::Tick), 2));
    assert!(opens(&read(&mut flipper, at(3_600), &[verdict_of_another(0)]), 2));
}

#[test]
fn a_silent_cluster_makes_a_flipper_hand_over_once_and_ends_the_turn() {
    let (mut flipper, _) = working(BooksPolicy::Visible, &[opened(0)]);
    look(&mut flipper, at(1), ClusterName::A, ClusterView::default());
    let mut tick = |seconds| flipper.step(at(seconds), FlipperEvent::Tick);
    assert!(tick(10).is_empty());
    assert_eq!(tick(11), [FlipperEffect::Resign]);
    assert!(tick(20).is_empty());
    assert_eq!(tick(21), [FlipperEffect::Snapshot(1)]);
}

#[test]
fn a_generation_out_of_reach_fails_behind_its_barrier_alone() {
    // A writer that still reached it would write beyond the range that is read again (I1).
    let (mut flipper, _) = working(BooksPolicy::Visible, &[opened(0), heartbeat(1)]);
    look(&mut flipper, at(1), ClusterName::A, ClusterView::default());
    read(&mut flipper, at(15), &[opened(1)]);
    let fails = FlipperEffect::ReadEndOffsets(0);
    assert!(!flipper.step(at(26), FlipperEvent::Tick).contains(&fails));
    assert!(flipper.step(at(27), FlipperEvent::Tick).contains(&fails));
}

#[test]
fn the_verdict_of_another_stops_a_drain() {
    let log = [opened(0), heartbeat(1), opened(1), sealed(0, 1)];
    let (mut flipper, _) = working(BooksPolicy::Visible, &log);
    assert!(read(&mut flipper, at(1), &[draining(ME)]).contains(&FlipperEffect::Drain(0)));
    let effects = read(&mut flipper, at(2), &[verdict_of_another(0)]);
    assert!(effects.contains(&FlipperEffect::StopDrain(0)));
}

#[test]
fn who_stands_by_does_nothing() {
    let mut flipper = new_flipper(BooksPolicy::Visible);
    flipper.step(at(0), FlipperEvent::Elected(false));
    let log = [opened(0), heartbeat(1), opened(1), sealed(0, 1)];
    assert!(read(&mut flipper, at(0), &log).is_empty());
    assert!(flipper.step(at(0), FlipperEvent::CaughtUp).is_empty());
    assert!(flipper.step(at(3_600), FlipperEvent::Tick).is_empty());
}

#[test]
fn a_failed_generation_is_read_again_from_its_first_start_offsets_to_the_end_of_the_log() {
    let first = GenerationEvent::Opened(Opened {
        start_offsets: vec![PartitionOffset {
            partition: 0,
            offset: 40,
        }],
        ..opening(0)
    });
    let log = [first, heartbeat(1), opened(1), sealed(0, 1), draining(ME)];
    let (mut flipper, _) = working(BooksPolicy::Visible, &log[..4]);
    read(&mut flipper, at(1), &log[4..]);
    drained(&mut flipper, 0, 0);
    let interval = |partition, from| OffsetInterval {
        partition,
        from,
        to: 100,
    };
    // Partition 1 was not known yet when the generation was opened.
    let ends = FlipperEvent::EndOffsets {
        generation: 0,
        log: vec![interval(0, 10), interval(1, 20)],
    };
    let effects = flipper.step(at(20), ends);
    let range = effects.iter().find_map(|effect| match effect {
        FlipperEffect::Publish(GenerationEvent::Failed(failed)) => Some(failed.range.clone()),
        _ => None,
    });
    assert_eq!(range, Some(vec![interval(0, 40), interval(1, 20)]));
}

#[test]
fn an_opened_says_what_is_closed_and_forgotten() {
    let log = [opened(0), opened(1), verdict_of_another(0)];
    let (mut flipper, _) = working(BooksPolicy::Visible, &log);
    for key in [log[0].key(), log[2].key()] {
        flipper.step(at(1), FlipperEvent::Tombstone(key));
    }
    assert!(opens(&flipper.step(at(1), FlipperEvent::FlipAsked), 2));
    let snapshot = FlipperEvent::Snapshot {
        generation: 2,
        nodes: vec![node()],
        start_offsets: Vec::new(),
        at_ms: 0,
    };
    let effects = flipper.step(at(1), snapshot);
    let closed = effects.iter().find_map(|effect| match effect {
        FlipperEffect::Publish(GenerationEvent::Opened(opened)) => Some(opened.closed_through),
        _ => None,
    });
    assert_eq!(closed, Some(Some(0)));
}

/// What a flipper does that loses the election before it gets what it has asked for.
fn too_late(flipper: &mut Flipper, event: FlipperEvent) -> Vec<FlipperEffect> {
    let mut effects = flipper.step(at(30), FlipperEvent::Elected(false));
    effects.extend(flipper.step(at(30), event));
    effects
}

#[test]
fn who_loses_the_election_publishes_nothing_of_what_it_had_begun() {
    let ends = || FlipperEvent::EndOffsets {
        generation: 0,
        log: Vec::new(),
    };
    let (mut opening, _) = working(BooksPolicy::Visible, &[opened(0)]);
    assert!(opens(&opening.step(at(1), FlipperEvent::FlipAsked), 1));
    let snapshot = FlipperEvent::Snapshot {
        generation: 1,
        nodes: vec![node()],
        start_offsets: Vec::new(),
        at_ms: 0,
    };
    assert_eq!(too_late(&mut opening, snapshot), []);

    let log = [opened(0), heartbeat(1), opened(1), sealed(0, 1)];
    let (mut failing, _) = working(BooksPolicy::Visible, &log);
    read(&mut failing, at(1), &[draining(ME)]);
    assert!(drained(&mut failing, 0, 0).contains(&FlipperEffect::ReadEndOffsets(0)));
    assert_eq!(too_late(&mut failing, ends()), [FlipperEffect::StopDrain(0)]);

    let log = [opened(0), opened(1), verdict_of_another(0)];
    let (mut asked, _) = working(BooksPolicy::Visible, &log);
    let effects = asked.step(at(1), FlipperEvent::ReplayAsked(0));
    assert!(effects.contains(&FlipperEffect::ReadEndOffsets(0)));
    assert_eq!(too_late(&mut asked, ends()), []);
}
