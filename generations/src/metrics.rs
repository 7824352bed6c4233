//! Metrics of every Redis command and connection.

use std::time::Duration;

use messagebus::metrics::{BusMetrics, CounterFamily, HistogramFamily, Registrar};

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
}

impl Command {
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
        }
    }
}

/// From a page read on loopback to the response timeout of three seconds, behind which there is no answer.
const BUCKETS: &[f64] = &[
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0,
];

/// The Redis metrics that every service with a cluster exports; cheap to clone.
#[derive(Clone, Debug)]
pub struct RedisMetrics {
    durations: HistogramFamily<2>,
    errors: CounterFamily<2>,
    bus: BusMetrics,
}

impl RedisMetrics {
    /// Registers them beside those of the bus, every error at 0, so that the first one already shows as an increase.
    ///
    /// # Errors
    /// A name that is registered already.
    pub fn register(registrar: &Registrar, bus: &BusMetrics) -> anyhow::Result<Self> {
        let durations = registrar.histogram(
            "redis_command_duration_seconds",
            "How long does Redis take to answer a command, or a pipeline of the same command?",
            ["redis_cluster", "command"],
            BUCKETS,
        )?;
        let errors = registrar.counter(
            "redis_errors_total",
            "How many commands, chunks of SETs and connections failed, and how?",
            ["redis_cluster", "kind"],
        )?;
        for cluster in ClusterName::ALL {
            for kind in ErrorKind::ALL {
                errors.with([cluster.label(), kind.label()]).inc_by(0);
            }
        }
        Ok(Self {
            durations,
            errors,
            bus: bus.clone(),
        })
    }

    pub(crate) fn bus(&self) -> &BusMetrics {
        &self.bus
    }

    /// Times one command or pipeline.
    pub(crate) fn answered(&self, cluster: ClusterName, command: Command, took: Duration) {
        self.durations
            .with([cluster.label(), command.label()])
            .observe(took.as_secs_f64());
    }

    /// Counts one failed command, chunk or connection.
    pub(crate) fn failed(&self, cluster: ClusterName, kind: ErrorKind) {
        self.errors.with([cluster.label(), kind.label()]).inc();
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;

    #[test]
    fn every_kind_of_error_is_exported_from_the_start() {
        let registry = Registry::new();
        let registrar = Registrar::new(&registry, "flipper");
        let bus = BusMetrics::register(&registrar).unwrap();
        let metrics = RedisMetrics::register(&registrar, &bus).unwrap();
        metrics.failed(ClusterName::B, ErrorKind::Timeout);
        metrics.answered(ClusterName::A, Command::Set, Duration::from_millis(1));
        let families = registry.gather();
        let errors = families
            .iter()
            .find(|family| family.name() == "crawlerhints_redis_errors_total");
        assert_eq!(errors.unwrap().get_metric().len(), 2 * ErrorKind::ALL.len());
    }
}
