//! The world around the two state machines: input, log, Redis, and the processes that do what the machines say.
//!
//! A rule that a row leaves out is left out here, in what the machines are told and in what is done with their
//! answers; the machines are the product's own, unchanged.

mod action;
mod drain;
mod enabled;
mod fair;
mod flipper;
mod log;
mod promises;
mod redis;
mod sets;
mod start;
mod trouble;
mod writer;

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use generations::ClusterName;
use hint_schema::generation_event::Generation;
use messagebus::clock::BootInstant;

pub use action::Action;
pub use promises::Promise;

use crate::scenario::{Faults, Rule, Scenario, Url};
use crate::shared::Shared;
use drain::Unlinked;
use fair::Fate;
use flipper::FlipperProcess;
use log::Log;
use redis::Redis;
use writer::WriterProcess;

/// A name in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// The generation it was written under.
    pub generation: Generation,
    /// What it names.
    pub url: Url,
}

impl Name {
    /// Any hash will do that tells small names apart.
    fn hash(self) -> u128 {
        u128::from(self.generation) * 1_000_003 + u128::from(self.url) * 7_919 + 1
    }
}

/// The input topic and who reads it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Input {
    /// The writer that each partition is assigned to.
    owner: Vec<usize>,
    committed: Vec<usize>,
    /// Assignments so far: what was polled under an older one is not committed.
    epoch: Vec<u8>,
}

/// What an observer who sees everything writes down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Facts {
    /// A bit a record: polled at least once.
    consumed: u32,
    /// A bit a record: in a batch that was acknowledged after it had been polled.
    covered: u32,
    /// The highest generation whose barrier a flipper considers passed.
    barrier: Option<Generation>,
    /// Names whose first answer counted.
    counted: BTreeSet<Name>,
    /// Names of these that were lost before they stood in a batch, and whether nothing showed it.
    lost: BTreeSet<(Name, bool)>,
    /// A failed generation was read again to its end.
    replayed: bool,
    /// A name was drained under a later generation than its own.
    late: bool,
    /// The first promise that was broken.
    broken: Option<Promise>,
}

/// What all states of a row have in common; it tells none from another.
#[derive(Clone, Debug)]
struct Common {
    scenario: Arc<Scenario>,
    /// Generations are opened on and on, to see what comes through.
    endless: bool,
}

impl Hash for Common {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl PartialEq for Common {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// What comes of a state, worked out when it is asked for; it tells none from another.
#[derive(Clone, Debug, Default)]
struct Known(OnceLock<Fate>);

impl Hash for Known {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl PartialEq for Known {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// One state.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct World {
    common: Common,
    /// How often time has passed.
    clock: u8,
    incarnations: u8,
    writers: Vec<Shared<WriterProcess>>,
    flippers: Vec<Shared<FlipperProcess>>,
    log: Shared<Log>,
    redis: Shared<Redis>,
    input: Shared<Input>,
    facts: Shared<Facts>,
    spent: Faults,
    fate: Known,
}

/// A cluster as an index.
fn cluster_of(generation: Generation) -> usize {
    usize::from(ClusterName::of(generation) == ClusterName::B)
}

fn offset(offset: usize) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

fn partition_number(partition: usize) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

impl World {
    fn scenario(&self) -> &Scenario {
        &self.common.scenario
    }

    /// The last generation that is opened.
    fn last(&self) -> Generation {
        if self.common.endless {
            Generation::MAX
        } else {
            self.scenario().last
        }
    }

    fn leaves_out(&self, rule: Rule) -> bool {
        self.scenario().left_out == Some(rule)
    }

    /// The generation as the row's names tell it.
    fn keyed(&self, generation: Generation) -> Generation {
        if self.leaves_out(Rule::GenerationInKey) {
            generation % 2
        } else {
            generation
        }
    }

    fn writers_clock(&self, clock: u8) -> BootInstant {
        BootInstant::from_nanos(60_000_000_000) + self.scenario().pace.of_writers() * u32::from(clock)
    }

    fn flippers_clock(&self) -> BootInstant {
        BootInstant::from_nanos(60_000_000_000) + self.scenario().pace.of_flippers() * u32::from(self.clock)
    }

    /// The bit of a record in [`Facts`].
    fn bit(&self, partition: usize, offset: usize) -> u32 {
        let before: usize = self.scenario().input[..partition].iter().map(Vec::len).sum();
        1 << (before + offset)
    }

    /// The bits of all records that name a URL.
    fn bits_of(&self, url: Url) -> u32 {
        let mut bits = 0;
        for (partition, records) in self.scenario().input.iter().enumerate() {
            for (offset, named) in records.iter().enumerate() {
                if *named == url {
                    bits |= self.bit(partition, offset);
                }
            }
        }
        bits
    }

    fn all_bits(&self) -> u32 {
        let records: usize = self.scenario().input.iter().map(Vec::len).sum();
        (1 << records) - 1
    }

    fn fresh_incarnation(&mut self) -> u64 {
        self.incarnations += 1;
        u64::from(self.incarnations)
    }

    /// Does one thing. Nothing else happens meanwhile.
    pub fn act(&mut self, action: Action) {
        self.fate = Known::default();
        match action {
            Action::BindFirst(writer) => self.bind_first(writer),
            Action::Poll { writer, partition } => self.poll(writer, partition),
            Action::Reread(writer) => self.reread(writer),
            Action::Answer { writer, batch, url } => self.answer(writer, batch, url),
            Action::Unanswered { writer, batch, url } => self.unanswered(writer, batch, url),
            Action::Refuse { writer, batch } => self.refuse(writer, batch),
            Action::Resend { writer, batch } => self.resend(writer, batch),
            Action::Blocked(writer) => self.blocked(writer),
            Action::Commit { writer, partition } => self.commit_offsets(writer, partition),
            Action::WriterReads(writer) => self.writer_reads(writer),
            Action::PublishHeartbeat(writer) => self.publish_heartbeat(writer),
            Action::PublishSeal(writer) => self.publish_seal(writer),
            Action::Tick(writer) => self.tick(writer),
            Action::FlipperReads(flipper) => self.flipper_reads(flipper),
            Action::Publish(flipper) => self.publish(flipper),
            Action::Snapshot(flipper, generation) => self.snapshot(flipper, generation),
            Action::ReadEnds(flipper, generation) => self.read_ends(flipper, generation),
            Action::Emit(flipper, generation, name) => self.emit(flipper, generation, name),
            Action::Unlink(flipper, generation) => self.unlink(flipper, generation, Unlinked::Answered),
            Action::UnlinkUnknown(flipper, generation, true) => {
                self.unlink(flipper, generation, Unlinked::UnknownAndGone);
            }
            Action::UnlinkUnknown(flipper, generation, false) => {
                self.unlink(flipper, generation, Unlinked::UnknownAndThere);
            }
            Action::Complete(flipper, generation) => self.complete(flipper, generation),
            Action::Pass => self.pass(),
            Action::Arrive(name) => self.arrive(name),
            Action::Crash(writer) => self.crash(writer),
            Action::Shutdown(writer) => self.shut_down(writer),
            Action::Restart(writer) => self.restart(writer),
            Action::TakeOver { flipper, compacted } => self.take_over(flipper, compacted),
            Action::Elect(flipper) => self.elect(flipper),
            Action::Rebalance(partition) => self.rebalance(partition),
            Action::Lose { cluster, shard } => self.lose(cluster, shard),
            Action::LoseSilently(name) => self.lose_silently(name),
            Action::Cut {
                cluster,
                shard,
                whose,
            } => self.cut(cluster, shard, whose),
            Action::Return { cluster, empty } => self.give_back(cluster, empty),
            Action::BeginMove { cluster, url } => self.begin_move(cluster, url),
            Action::MoveKey(name) => self.move_key(name),
            Action::EndMove => self.end_move(),
        }
    }
}
