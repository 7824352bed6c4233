//! `GenerationEvent`: the records of the flip protocol's log.
//!
//! What each of them means for readers is the protocol's business (crate `generations`); this module fixes
//! fields, keys and bytes.

use std::fmt;

mod decode;
mod encode;

/// A generation's number; it only grows.
pub type Generation = u64;

/// One start of one process: random, new each time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A place in one partition of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PartitionOffset {
    /// Partition of `cache-misses`.
    pub partition: i32,
    /// The next offset to read.
    pub offset: i64,
}

/// A half-open interval of one partition's offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OffsetInterval {
    /// Partition of `cache-misses`.
    pub partition: i32,
    /// First offset.
    pub from: i64,
    /// First offset behind it.
    pub to: i64,
}

/// What a Redis node says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It owns slots, or could.
    Master,
    /// It copies a master.
    Replica,
}

/// A Redis node as it answered once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeSeen {
    /// Its id in the cluster.
    pub node_id: String,
    /// New at each start of the process.
    pub run_id: String,
    /// As the node itself says.
    pub role: Role,
    /// Changes with promotion, demotion and restart.
    pub replication_id: String,
    /// Keys evicted since the process started.
    pub evicted_keys: u64,
}

/// A generation becomes the active one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Opened {
    /// The generation.
    pub generation: Generation,
    /// Who opened it.
    pub flipper: Incarnation,
    /// Unix milliseconds; ages are told from it, nothing else.
    pub opened_at_ms: u64,
    /// Every generation up to it is closed and tombstoned.
    pub closed_through: Option<Generation>,
    /// Committed by the ingest group just before.
    pub start_offsets: Vec<PartitionOffset>,
    /// The nodes of its cluster that answered.
    pub nodes: Vec<NodeSeen>,
}

/// A writer lives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Heartbeat {
    /// The ingestor's name.
    pub writer: String,
    /// Its start.
    pub incarnation: Incarnation,
    /// 1, 2, 3 … of this incarnation.
    pub sequence: u64,
    /// The lowest generation it could write under.
    pub first_generation: Generation,
}

/// Input read again under one generation for a failed one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReplayProgress {
    /// The generation that failed.
    pub generation: Generation,
    /// The offsets read again.
    pub intervals: Vec<OffsetInterval>,
}

/// A writer writes nothing more under a generation; what it wrote.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sealed {
    /// The generation.
    pub generation: Generation,
    /// The ingestor's name.
    pub writer: String,
    /// Its start.
    pub incarnation: Incarnation,
    /// SETs answered "new".
    pub new_keys: u64,
    /// The wrapping sum of the new names' hashes.
    pub new_hash: u128,
    /// SETs answered "repeated".
    pub repeated_keys: u64,
    /// Copies sent without an answer of their own that counted.
    pub unknown: u64,
    /// Offsets consumed live.
    pub live: Vec<OffsetInterval>,
    /// Offsets read again.
    pub replayed: Vec<ReplayProgress>,
    /// The writer leaves.
    pub is_final: bool,
}

/// A flipper begins to drain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Draining {
    /// The generation.
    pub generation: Generation,
    /// Who drains it.
    pub flipper: Incarnation,
}

/// Every hint of a generation is durable in Kafka and gone from Redis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settled {
    /// The generation.
    pub generation: Generation,
    /// Who says so.
    pub flipper: Incarnation,
    /// Its names that were drained.
    pub keys: u64,
    /// Acknowledged batches.
    pub batches: u64,
    /// Names of older generations, drained with it.
    pub late_keys: u64,
    /// Names that stood under two generations and were emitted once.
    pub merged_keys: u64,
    /// The books were exact and agreed.
    pub audited: bool,
}

/// Why a generation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailedReason {
    /// Run id, role or replication id of a node changed.
    NodeChanged,
    /// A slot is owned by a node that `Opened` does not name.
    NodeUnknown,
    /// Redis evicted keys.
    Evicted,
    /// Fewer keys drained than writers made.
    Shortfall,
    /// Exact books that do not agree.
    Mismatch,
    /// Strict books that could not be exact.
    Inexact,
    /// The cluster was out of reach.
    Unreachable,
}

/// Part of a generation may be lost; its input is read again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Failed {
    /// The generation.
    pub generation: Generation,
    /// Who says so.
    pub flipper: Incarnation,
    /// Why.
    pub reason: FailedReason,
    /// Input to read again.
    pub range: Vec<OffsetInterval>,
    /// Its names that were drained.
    pub keys: u64,
    /// Acknowledged batches.
    pub batches: u64,
    /// Names of older generations, drained with it.
    pub late_keys: u64,
    /// Names that stood under two generations and were emitted once.
    pub merged_keys: u64,
}

/// On-call asked to read a range again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReplayAsked {
    /// The generation it concerns.
    pub generation: Generation,
    /// Who was asked.
    pub flipper: Incarnation,
    /// Input to read again.
    pub range: Vec<OffsetInterval>,
}

/// All that a generation had to read again stands in settled ones.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replayed {
    /// The generation.
    pub generation: Generation,
    /// Who says so.
    pub flipper: Incarnation,
}

/// One record of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GenerationEvent {
    /// A generation becomes the active one.
    Opened(Opened),
    /// A writer lives.
    Heartbeat(Heartbeat),
    /// A writer writes nothing more under a generation.
    Sealed(Sealed),
    /// A flipper begins to drain.
    Draining(Draining),
    /// A generation is done.
    Settled(Settled),
    /// A generation may have lost something.
    Failed(Failed),
    /// On-call asked for a replay.
    ReplayAsked(ReplayAsked),
    /// A replay is done.
    Replayed(Replayed),
}

impl GenerationEvent {
    /// The Kafka key: it names who wrote the record, so nobody overwrites another's.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Opened(record) => by_flipper("opened", record.generation, record.flipper),
            Self::Heartbeat(record) => format!("writer/{}/{}", record.writer, record.incarnation),
            Self::Sealed(record) => {
                format!(
                    "sealed/{}/{}/{}",
                    record.generation, record.writer, record.incarnation
                )
            }
            Self::Draining(record) => by_flipper("draining", record.generation, record.flipper),
            Self::Settled(record) => by_flipper("verdict", record.generation, record.flipper),
            Self::Failed(record) => by_flipper("verdict", record.generation, record.flipper),
            Self::ReplayAsked(record) => by_flipper("replay-asked", record.generation, record.flipper),
            Self::Replayed(record) => by_flipper("replayed", record.generation, record.flipper),
        }
    }

    /// The generation it speaks of; none for a heartbeat.
    #[must_use]
    pub fn generation(&self) -> Option<Generation> {
        match self {
            Self::Heartbeat(_) => None,
            Self::Opened(record) => Some(record.generation),
            Self::Sealed(record) => Some(record.generation),
            Self::Draining(record) => Some(record.generation),
            Self::Settled(record) => Some(record.generation),
            Self::Failed(record) => Some(record.generation),
            Self::ReplayAsked(record) => Some(record.generation),
            Self::Replayed(record) => Some(record.generation),
        }
    }
}

fn by_flipper(kind: &str, generation: Generation, flipper: Incarnation) -> String {
    format!("{kind}/{generation}/{flipper}")
}
