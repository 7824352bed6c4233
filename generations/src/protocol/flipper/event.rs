//! What a flipper is told and what it answers.

use std::time::Duration;

use hint_schema::generation_event::{Generation, GenerationEvent, NodeSeen, OffsetInterval, PartitionOffset};

use crate::ClusterName;
use crate::protocol::books::{BooksPolicy, DrainReport};

/// What makes a flipper open the next generation early, and how it judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlipperSettings {
    /// `FLIP_INTERVAL`.
    pub interval: Duration,
    /// `FLIP_MAX_URLS`: keys in the active cluster.
    pub max_urls: u64,
    /// `BOOKS`.
    pub books: BooksPolicy,
}

/// What the latest look at one cluster showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClusterView {
    /// The owner of every slot answered.
    pub reachable: bool,
    /// A master uses more than 70 % of its maxmemory.
    pub under_pressure: bool,
    /// Keys on all masters that answered.
    pub keys: u64,
}

/// What happened to the flipper.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FlipperEvent {
    /// The next record of the log of generations.
    Control(GenerationEvent),
    /// The next record is a tombstone of this key.
    Tombstone(String),
    /// The log was read to the end that it had at the start.
    CaughtUp,
    /// The election's owner is this process, or no longer.
    Elected(bool),
    /// A look at a cluster.
    Seen {
        /// Which.
        cluster: ClusterName,
        /// What it showed.
        view: ClusterView,
    },
    /// What [`FlipperEffect::Snapshot`] asked for.
    Snapshot {
        /// The generation to open.
        generation: Generation,
        /// The nodes of its cluster that answered.
        nodes: Vec<NodeSeen>,
        /// The ingest group's committed offsets, the log's start where there is none.
        start_offsets: Vec<PartitionOffset>,
        /// The wall clock in Unix milliseconds; it decides nothing.
        at_ms: u64,
    },
    /// A complete pass: every slot counts 0.
    Drained {
        /// The generation.
        generation: Generation,
        /// All passes of this incarnation together.
        report: DrainReport,
    },
    /// What [`FlipperEffect::ReadEndOffsets`] asked for.
    EndOffsets {
        /// The generation that failed, or whose replay was asked for.
        generation: Generation,
        /// The input's log start and log end per partition.
        log: Vec<OffsetInterval>,
    },
    /// On-call asked for a flip.
    FlipAsked,
    /// On-call asked to read the input of this generation again.
    ReplayAsked(Generation),
    /// Time passed.
    Tick,
}

/// What the flipper has to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FlipperEffect {
    /// Both clusters must be empty when the log is; they are not. Say so and stop.
    RefuseToStart {
        /// Keys found.
        keys: u64,
    },
    /// Collect what `Opened` of this generation has to say.
    Snapshot(Generation),
    /// Publish, the same bytes again and again until Kafka acknowledged them.
    Publish(GenerationEvent),
    /// Drain this generation's cluster until every slot counts 0, and report.
    Drain(Generation),
    /// Stop draining this generation: it has a verdict, or another flipper works.
    StopDrain(Generation),
    /// Read the input's log start and end now, after the barrier.
    ReadEndOffsets(Generation),
    /// Tombstone these keys, in this order.
    Tombstone(Vec<String>),
    /// Hand the election over: a cluster is out of our reach, and another flipper may reach it.
    Resign,
}

/// Why a generation is opened before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// The log was empty.
    Bootstrap,
    /// The interval has passed.
    Interval,
    /// The active cluster holds too many keys.
    Size,
    /// A master is short of memory.
    Memory,
    /// The active cluster has been unreachable for 2T.
    Unreachable,
    /// On-call asked.
    Asked,
}
