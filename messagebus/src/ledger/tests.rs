use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn ledger(partitions: &[i32]) -> Ledger {
    let mut ledger = Ledger::default();
    ledger.assign(partitions.iter().copied());
    ledger
}

fn epoch(ledger: &Ledger, partition: i32) -> u64 {
    ledger
        .views()
        .iter()
        .find(|view| view.partition == partition)
        .unwrap()
        .epoch
}

fn deliver(ledger: &mut Ledger, partition: i32, from: i64, to: i64) -> Span {
    let epoch = epoch(ledger, partition);
    let span = Span {
        partition,
        epoch,
        from,
        to,
        records: 1,
        first_timestamp_ms: from * 10,
    };
    assert!(ledger.deliver(&span));
    span
}

#[test]
fn only_a_contiguous_prefix_is_committed() {
    let mut ledger = ledger(&[0]);
    let spans: Vec<_> = (0..3)
        .map(|n| deliver(&mut ledger, 0, n * 10, n * 10 + 10))
        .collect();
    assert!(spans.iter().all(|span| ledger.begin(span)));
    assert!(ledger.complete(&spans[2]));
    assert!(ledger.take_commits().is_empty());
    assert!(ledger.complete(&spans[0]));
    assert_eq!(ledger.take_commits(), [(0, 10)]);
    assert!(ledger.complete(&spans[1]));
    assert_eq!(ledger.take_commits(), [(0, 30)]);
    assert!(ledger.take_commits().is_empty());
}

#[test]
fn a_refused_commit_is_due_again() {
    let mut ledger = ledger(&[0]);
    let span = deliver(&mut ledger, 0, 0, 10);
    ledger.complete(&span);
    assert_eq!(ledger.take_commits(), [(0, 10)]);
    ledger.refuse(0);
    assert_eq!(ledger.take_commits(), [(0, 10)]);
    ledger.acknowledge(0, 10);
    ledger.refuse(0);
    assert!(ledger.take_commits().is_empty());
}

#[test]
fn a_commit_that_nobody_answers_is_due_again() {
    let mut ledger = ledger(&[0, 1]);
    for partition in [0, 1] {
        let span = deliver(&mut ledger, partition, 0, 10);
        ledger.complete(&span);
    }
    assert_eq!(ledger.take_commits(), [(0, 10), (1, 10)]);
    ledger.acknowledge(0, 10);
    ledger.refuse_all();
    assert_eq!(ledger.take_commits(), [(1, 10)]);
}

#[test]
fn a_rewind_makes_every_earlier_span_stale() {
    let mut ledger = ledger(&[0, 1]);
    let done = deliver(&mut ledger, 0, 0, 10);
    let begun = deliver(&mut ledger, 0, 10, 20);
    let waiting = deliver(&mut ledger, 1, 5, 6);
    assert!(ledger.complete(&done));
    assert!(ledger.begin(&begun));
    ledger.rewind();
    assert!(!ledger.complete(&begun));
    assert!(!ledger.begin(&waiting));
    assert!(!ledger.deliver(&Span {
        from: 20,
        to: 30,
        ..begun
    }));
    assert!(!ledger.has_begun(&[0, 1]));
    assert_eq!(ledger.views()[0].done, Some(10));
    assert_eq!(ledger.take_commits(), [(0, 10)]);
}

#[test]
fn a_revoked_partition_waits_for_what_has_begun_and_begins_nothing() {
    let mut ledger = ledger(&[0, 1]);
    let begun = deliver(&mut ledger, 0, 0, 10);
    let waiting = deliver(&mut ledger, 0, 10, 20);
    let other = deliver(&mut ledger, 1, 0, 1);
    assert!(ledger.begin(&begun));
    assert!(!ledger.is_leaving(&begun));
    ledger.start_revoking(&[0]);
    assert!(ledger.is_leaving(&begun) && !ledger.is_leaving(&other));
    assert!(!ledger.begin(&waiting));
    assert!(ledger.begin(&other));
    assert!(ledger.has_begun(&[0]));
    assert!(ledger.complete(&begun));
    assert!(!ledger.has_begun(&[0]));
    assert_eq!(ledger.unacknowledged(&[0]), [(0, 10)]);
    ledger.remove(&[0]);
    assert!(!ledger.complete(&waiting) && !ledger.is_leaving(&begun));
    assert_eq!(ledger.assigned(), [1]);
}

#[test]
fn what_is_forgotten_is_not_waited_for_and_not_passed() {
    let mut ledger = ledger(&[0]);
    let first = deliver(&mut ledger, 0, 0, 10);
    let second = deliver(&mut ledger, 0, 10, 20);
    assert!(ledger.begin(&first));
    ledger.forget(&first);
    assert!(!ledger.has_begun(&[0]));
    assert!(ledger.complete(&second));
    assert!(ledger.take_commits().is_empty());
}

#[test]
fn a_partition_that_comes_back_is_another_epoch() {
    let mut ledger = ledger(&[0]);
    let old = deliver(&mut ledger, 0, 0, 10);
    ledger.remove(&[0]);
    ledger.assign([0]);
    let new = deliver(&mut ledger, 0, 0, 10);
    assert!(!ledger.complete(&old));
    assert!(ledger.take_commits().is_empty());
    assert!(ledger.complete(&new));
    assert_eq!(ledger.take_commits(), [(0, 10)]);
}

#[test]
fn a_stopped_partition_finishes_what_has_begun_and_goes_on_from_there() {
    let mut ledger = ledger(&[0]);
    let begun = deliver(&mut ledger, 0, 0, 10);
    let waiting = deliver(&mut ledger, 0, 10, 20);
    assert!(ledger.begin(&begun));
    assert!(ledger.stop(0));
    assert!(!ledger.begin(&waiting));
    assert!(ledger.complete(&begun));
    assert_eq!(ledger.take_commits(), [(0, 10)]);
    assert!(ledger.resume(0));
    assert!(!ledger.resume(0));
    assert!(!ledger.stop(9));
    let view = ledger.views()[0];
    assert_eq!((view.done, view.stopped), (Some(10), false));
    assert_ne!(view.epoch, waiting.epoch);
    assert!(!ledger.complete(&waiting));
}

#[test]
fn the_oldest_open_record_is_that_of_the_first_open_span() {
    let mut ledger = ledger(&[0]);
    let first = deliver(&mut ledger, 0, 1, 2);
    let second = deliver(&mut ledger, 0, 2, 3);
    assert_eq!(ledger.progress()[&0].oldest_ms, Some(10));
    assert!(ledger.complete(&second));
    assert_eq!(ledger.progress()[&0].oldest_ms, Some(10));
    assert!(ledger.complete(&first));
    assert_eq!(ledger.progress()[&0].oldest_ms, None);
}

/// What may happen to a consumer, in any order.
#[derive(Clone, Debug)]
enum Event {
    Deliver { partition: i32, records: i64, gap: i64 },
    Begin(usize),
    Complete(usize),
    Forget(usize),
    Rewind,
    Stop(i32),
    Resume(i32),
    Revoke(i32),
    Assign(i32),
    Commit { refused: bool },
}

fn event() -> impl Strategy<Value = Event> {
    let partition = 0..3i32;
    prop_oneof![
        6 => (partition.clone(), 1..4i64, 0..3i64)
            .prop_map(|(partition, records, gap)| Event::Deliver { partition, records, gap }),
        6 => any::<usize>().prop_map(Event::Begin),
        8 => any::<usize>().prop_map(Event::Complete),
        1 => any::<usize>().prop_map(Event::Forget),
        1 => Just(Event::Rewind),
        1 => partition.clone().prop_map(Event::Stop),
        1 => partition.clone().prop_map(Event::Resume),
        1 => partition.clone().prop_map(Event::Revoke),
        2 => partition.prop_map(Event::Assign),
        4 => any::<bool>().prop_map(|refused| Event::Commit { refused }),
    ]
}

/// A consumer and its broker, with every offset whose work is durable.
struct World {
    ledger: Ledger,
    spans: Vec<Span>,
    durable: BTreeMap<i32, BTreeSet<i64>>,
    committed: BTreeMap<i32, i64>,
    /// The next offset to deliver of each partition held, and the epoch that it belongs to.
    positions: BTreeMap<i32, (u64, i64)>,
}

impl World {
    fn step(&mut self, event: Event) {
        match event {
            Event::Deliver {
                partition,
                records,
                gap,
            } => self.deliver(partition, records, gap),
            Event::Begin(index) => {
                if let Some(span) = self.span(index) {
                    self.ledger.begin(&span);
                }
            }
            Event::Complete(index) => {
                if let Some(span) = self.span(index) {
                    self.complete(span);
                }
            }
            Event::Forget(index) => {
                if let Some(span) = self.span(index) {
                    self.ledger.forget(&span);
                }
            }
            Event::Rewind => self.ledger.rewind(),
            Event::Stop(partition) => drop(self.ledger.stop(partition)),
            Event::Resume(partition) => drop(self.ledger.resume(partition)),
            Event::Revoke(partition) => self.revoke(partition),
            Event::Assign(partition) => {
                if !self.ledger.assigned().contains(&partition) {
                    self.ledger.assign([partition]);
                }
            }
            Event::Commit { refused } => self.commit(refused),
        }
    }

    fn span(&self, index: usize) -> Option<Span> {
        self.spans.get(index % self.spans.len().max(1)).copied()
    }

    fn deliver(&mut self, partition: i32, records: i64, gap: i64) {
        let Some(view) = self
            .ledger
            .views()
            .into_iter()
            .find(|view| view.partition == partition)
        else {
            return;
        };
        let start = view
            .done
            .unwrap_or_else(|| self.committed.get(&partition).copied().unwrap_or(0));
        let position = self.positions.entry(partition).or_insert((view.epoch, start));
        if position.0 != view.epoch {
            *position = (view.epoch, start);
        }
        let (from, to) = (position.1, position.1 + records + gap);
        position.1 = to;
        let records = u32::try_from(records).unwrap();
        let span = Span {
            partition,
            epoch: view.epoch,
            from,
            to,
            records,
            first_timestamp_ms: 0,
        };
        assert!(self.ledger.deliver(&span));
        self.spans.push(span);
    }

    fn complete(&mut self, span: Span) {
        let counted = self.ledger.complete(&span);
        assert!(
            !counted || self.ledger.is_current(&span),
            "a stale span was counted"
        );
        if counted {
            self.durable
                .entry(span.partition)
                .or_default()
                .extend(span.from..span.to);
        }
    }

    fn revoke(&mut self, partition: i32) {
        self.ledger.start_revoking(&[partition]);
        for (partition, offset) in self.ledger.unacknowledged(&[partition]) {
            self.check(partition, offset);
            self.committed.insert(partition, offset);
        }
        self.ledger.remove(&[partition]);
        self.positions.remove(&partition);
    }

    fn commit(&mut self, refused: bool) {
        for (partition, offset) in self.ledger.take_commits() {
            self.check(partition, offset);
            if refused {
                self.ledger.refuse(partition);
            } else {
                self.ledger.acknowledge(partition, offset);
                self.committed.insert(partition, offset);
            }
        }
    }

    /// A commit never passes an offset whose work is not durable, and never goes back.
    fn check(&self, partition: i32, offset: i64) {
        let durable = self.durable.get(&partition);
        for passed in 0..offset {
            assert!(
                durable.is_some_and(|durable| durable.contains(&passed)),
                "{passed} passed by {offset}"
            );
        }
        assert!(
            self.committed
                .get(&partition)
                .is_none_or(|&committed| committed <= offset),
            "went back"
        );
    }
}

proptest! {
    #[test]
    fn offsets_committed_never_pass_an_unfinished_record(events in prop::collection::vec(event(), 1..200)) {
        let mut world = World {
            ledger: ledger(&[0, 1]),
            spans: Vec::new(),
            durable: BTreeMap::new(),
            committed: BTreeMap::new(),
            positions: BTreeMap::new(),
        };
        events.into_iter().for_each(|event| world.step(event));
    }

    #[test]
    fn when_everything_is_complete_everything_is_committed(
        sizes in prop::collection::vec(1..20i64, 1..50),
        seed in any::<u64>(),
    ) {
        let mut ledger = ledger(&[0]);
        let mut position = 0;
        let mut spans = Vec::new();
        for size in sizes {
            spans.push(deliver(&mut ledger, 0, position, position + size));
            position += size;
        }
        let rotation = usize::try_from(seed % 1_000).unwrap() % spans.len();
        spans.rotate_left(rotation);
        for span in spans.iter().rev() {
            prop_assert!(ledger.begin(span));
            prop_assert!(ledger.complete(span));
        }
        prop_assert_eq!(ledger.take_commits(), vec![(0, position)]);
    }
}
