//! A flipper's process: what it does with the flipper's effects, and what it tells it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use generations::ClusterName;
use generations::protocol::{
    BARRIER_BY_TIME, DrainReport, Flipper, FlipperEffect, FlipperEvent, FlipperSettings, UNREACHABLE_AFTER,
};
use hint_schema::generation_event::{
    Generation, GenerationEvent, Incarnation, OffsetInterval, PartitionOffset, Sealed,
};
use messagebus::clock::BootInstant;

use super::drain::Drain;
use super::log::Record;
use super::{World, cluster_of, offset, partition_number};
use crate::scenario::Rule;

/// A record on its way to the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Write {
    Event(GenerationEvent),
    Tombstone(String),
}

/// One flipper.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct FlipperProcess {
    pub(super) incarnation: Incarnation,
    pub(super) machine: Flipper,
    pub(super) elected: bool,
    /// Records of the log that it has not read.
    pub(super) inbox: VecDeque<Record>,
    /// Records that wait for the log, in their order.
    pub(super) writes: VecDeque<Write>,
    pub(super) snapshots: BTreeSet<Generation>,
    pub(super) ends: BTreeSet<Generation>,
    pub(super) drains: BTreeMap<Generation, Drain>,
    /// What its drains of a generation found, until the verdict.
    pub(super) found: BTreeMap<Generation, DrainReport>,
}

impl FlipperProcess {
    pub(super) fn new(incarnation: u64, settings: FlipperSettings) -> Self {
        let incarnation = Incarnation(incarnation);
        Self {
            incarnation,
            machine: Flipper::new(incarnation, settings),
            elected: false,
            inbox: VecDeque::new(),
            writes: VecDeque::new(),
            snapshots: BTreeSet::new(),
            ends: BTreeSet::new(),
            drains: BTreeMap::new(),
            found: BTreeMap::new(),
        }
    }
}

impl World {
    pub(super) fn tell_flipper(&mut self, index: usize, event: FlipperEvent) {
        let now = self.flippers_clock();
        self.tell_flipper_at(index, event, now);
    }

    fn tell_flipper_at(&mut self, index: usize, event: FlipperEvent, now: BootInstant) {
        for effect in self.flippers[index].change().machine.step(now, event) {
            self.flipper_does(index, effect);
        }
    }

    fn flipper_does(&mut self, index: usize, effect: FlipperEffect) {
        match effect {
            FlipperEffect::Publish(event) => {
                if let GenerationEvent::Draining(draining) = &event {
                    self.pass_barrier(draining.generation);
                }
                self.flippers[index]
                    .change()
                    .writes
                    .push_back(Write::Event(event));
            }
            FlipperEffect::Snapshot(generation) => {
                self.flippers[index].change().snapshots.insert(generation);
            }
            FlipperEffect::ReadEndOffsets(generation) => {
                self.pass_barrier(generation);
                self.flippers[index].change().ends.insert(generation);
            }
            FlipperEffect::Drain(generation) => self.begin_drain(index, generation),
            FlipperEffect::StopDrain(generation) => self.stop_drain(index, generation),
            FlipperEffect::Tombstone(keys) => {
                if self.scenario().compacts {
                    let writes = keys.into_iter().map(Write::Tombstone);
                    self.flippers[index].change().writes.extend(writes);
                }
            }
            // Who is elected is the adversary's choice.
            FlipperEffect::Resign | FlipperEffect::RefuseToStart { .. } => {}
        }
    }

    /// A flipper considers this barrier passed: what is polled from now on must not count under it (I2).
    fn pass_barrier(&mut self, generation: Generation) {
        if self.facts.barrier < Some(generation) {
            self.facts.change().barrier = Some(generation);
        }
    }

    pub(super) fn flipper_reads(&mut self, index: usize) {
        while let Some(record) = self.flippers[index].change().inbox.pop_front() {
            self.flipper_takes(index, record);
        }
        self.flipper_ticks(index);
    }

    fn flipper_ticks(&mut self, index: usize) {
        if self.leaves_out(Rule::FailBehindBarrier) {
            self.forge_seals(index);
        }
        self.tell_flipper(index, FlipperEvent::Tick);
    }

    pub(super) fn flipper_takes(&mut self, index: usize, record: Record) {
        let event = match record {
            Record::Tombstone(key) => return self.tell_flipper(index, FlipperEvent::Tombstone(key)),
            Record::Event(event) => (*event).clone(),
        };
        let mut now = self.flippers_clock();
        match &event {
            GenerationEvent::Settled(_) | GenerationEvent::Failed(_) => {
                if let Some(generation) = event.generation() {
                    self.flippers[index].change().found.remove(&generation);
                }
            }
            GenerationEvent::Opened(_) if self.leaves_out(Rule::OwnClock) => {
                let earlier = now.as_nanos() - u64::try_from(BARRIER_BY_TIME.as_nanos()).unwrap_or(0);
                now = BootInstant::from_nanos(earlier);
            }
            _ => {}
        }
        let event = self.as_told(event);
        self.tell_flipper_at(index, FlipperEvent::Control(event), now);
    }

    /// A record as the flipper is told of it.
    fn as_told(&self, event: GenerationEvent) -> GenerationEvent {
        match event {
            GenerationEvent::Sealed(sealed) if self.leaves_out(Rule::UnknownIsInexact) => {
                GenerationEvent::Sealed(Sealed { unknown: 0, ..sealed })
            }
            other => other,
        }
    }

    pub(super) fn publish(&mut self, index: usize) {
        match self.flippers[index].change().writes.pop_front() {
            None => {}
            Some(Write::Tombstone(key)) => self.append_tombstone(key),
            Some(Write::Event(event)) => self.append(event),
        }
    }

    pub(super) fn snapshot(&mut self, index: usize, generation: Generation) {
        self.flippers[index].change().snapshots.remove(&generation);
        let committed = self.input.committed.iter().enumerate();
        let start_offsets = committed
            .map(|(partition, committed)| PartitionOffset {
                partition: partition_number(partition),
                offset: offset(*committed),
            })
            .collect();
        let event = FlipperEvent::Snapshot {
            generation,
            nodes: self.nodes(index, generation),
            start_offsets,
            at_ms: 0,
        };
        self.tell_flipper(index, event);
    }

    /// The input's end: a record that nobody has polled is not there yet, which is the worst it can be.
    pub(super) fn read_ends(&mut self, index: usize, generation: Generation) {
        self.flippers[index].change().ends.remove(&generation);
        let end_of = |partition: usize| {
            if self.leaves_out(Rule::RangeToLogEnd) {
                return self.input.committed[partition];
            }
            let records = 0..self.scenario().input[partition].len();
            let polled = |offset: &usize| self.facts.consumed & self.bit(partition, *offset) != 0;
            records.rev().find(polled).map_or(0, |last| last + 1)
        };
        let log = (0..self.scenario().input.len())
            .map(|partition| OffsetInterval {
                partition: partition_number(partition),
                from: 0,
                to: offset(end_of(partition)),
            })
            .collect();
        self.tell_flipper(index, FlipperEvent::EndOffsets { generation, log });
    }

    /// Every flipper looks at a cluster.
    pub(super) fn look(&mut self, cluster: usize) {
        for index in 0..self.flippers.len() {
            let event = FlipperEvent::Seen {
                cluster: [ClusterName::A, ClusterName::B][cluster],
                view: self.view(index, cluster),
            };
            self.tell_flipper(index, event);
        }
    }

    pub(super) fn pass(&mut self) {
        self.clock += 1;
        self.spent.passes = self.spent.passes.saturating_add(1);
        for index in 0..self.writers.len() {
            // One that has batches may sleep through it.
            if self.writers[index].batches.is_empty() {
                self.tick(index);
            }
        }
        for index in 0..self.flippers.len() {
            self.flipper_ticks(index);
        }
    }

    /// Whether a flipper has reached some shard of a cluster no more for as long as makes it unreachable.
    fn is_unreachable(&self, index: usize, cluster: usize) -> bool {
        let silent = self.redis.cuts[cluster].map(|cut| self.clock - cut.since);
        !self.flipper_reaches_all(index, cluster)
            && silent.is_some_and(|passes| {
                self.scenario().pace.of_flippers() * u32::from(passes) >= UNREACHABLE_AFTER
            })
    }

    /// Makes a flipper believe the barrier of every closed generation whose cluster it does not reach.
    fn forge_seals(&mut self, index: usize) {
        let history = self.flippers[index].machine.history();
        let unjudged = history.generations().filter(|(generation, entry)| {
            entry.verdict.is_none() && history.active().is_some_and(|active| *generation < active)
        });
        let missing: Vec<_> = unjudged
            .filter(|(generation, _)| self.is_unreachable(index, cluster_of(*generation)))
            .flat_map(|(generation, _)| {
                history
                    .missing_seals(generation)
                    .into_iter()
                    .map(move |writer| (generation, writer))
            })
            .collect();
        for (generation, (writer, incarnation)) in missing {
            let sealed = Sealed {
                generation,
                writer,
                incarnation,
                new_keys: 0,
                new_hash: 0,
                repeated_keys: 0,
                unknown: 0,
                live: Vec::new(),
                replayed: Vec::new(),
                is_final: false,
            };
            self.tell_flipper(index, FlipperEvent::Control(GenerationEvent::Sealed(sealed)));
        }
    }
}
