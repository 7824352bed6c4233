//! Metrics of every Redis command and connection.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use crate::cluster_name::ClusterName;
use crate::error_kind::ErrorKind;

/// What is timed: one command, or one pipeline of the same command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// A chunk of SETs, from its first byte written to its last answer.
    Set,
    /// SETs that were told to ask another node.
    AskingSet,
    /// A group of `CLUSTER COUNTKEYSINSLOT`.
    CountKeysInSlot,
    /// `CLUSTER GETKEYSINSLOT`.
    GetKeysInSlot,
    /// `MGET` of a page.
    Mget,
    /// `UNLINK` of a page.
    Unlink,
    /// `CLUSTER NODES`, with `INFO` where both are asked.
    Nodes,
    /// `DBSIZE`.
    DbSize,
}

impl Command {
    /// Every command.
    pub const ALL: [Self; 8] = [
        Self::Set,
        Self::AskingSet,
        Self::CountKeysInSlot,
        Self::GetKeysInSlot,
        Self::Mget,
        Self::Unlink,
        Self::Nodes,
        Self::DbSize,
    ];

    /// Value of the metric label `command`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::AskingSet => "asking_set",
            Self::CountKeysInSlot => "countkeysinslot",
            Self::GetKeysInSlot => "getkeysinslot",
            Self::Mget => "mget",
            Self::Unlink => "unlink",
            Self::Nodes => "nodes",
            Self::DbSize => "dbsize",
        }
    }
}

/// The shared Redis metrics; cheap to clone.
#[derive(Clone, Debug)]
pub struct RedisMetrics {
    durations: HistogramVec,
    errors: IntCounterVec,
}

impl RedisMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// A name that is registered already.
    pub fn register(registry: &Registry) -> anyhow::Result<Self> {
        let durations = HistogramVec::new(
            HistogramOpts::new("crawlerhints_redis_command_duration_seconds", "help")
                .buckets(BUCKETS.to_vec()),
            &["redis_cluster", "command"],
        )?;
        registry.register(Box::new(durations.clone()))?;
        let errors = IntCounterVec::new(
            Opts::new("crawlerhints_redis_errors_total", "help"),
            &["redis_cluster", "kind"],
        )?;
        registry.register(Box::new(errors.clone()))?;
        Ok(Self { durations, errors })
    }

    /// Times one command or pipeline.
    pub(crate) fn answered(&self, cluster: ClusterName, command: Command, took: Duration) {
        self.durations
            .with_label_values(&[cluster.label(), command.label()])
            .observe(took.as_secs_f64());
    }

    /// Counts one failed command, chunk or connection.
    pub(crate) fn failed(&self, cluster: ClusterName, kind: ErrorKind) {
        self.errors
            .with_label_values(&[cluster.label(), kind.label()])
            .inc();
    }
}

/// From a page read on loopback to the response timeout of three seconds, where the chunk is counted as cut off.
const BUCKETS: &[f64] = &[
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0,
];
