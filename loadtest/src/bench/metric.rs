//! What is measured: the goals, each with its gate, and the figures behind them. A new row is a line here.

/// One row's name, unit and goal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// What it is; names are unique.
    pub name: &'static str,
    /// Of what it measures.
    pub unit: &'static str,
    /// What it must reach, where it is a goal.
    pub gate: Option<f64>,
    /// What we wish it to reach.
    pub stretch: Option<f64>,
    /// Small values are good.
    pub lower_is_better: bool,
    /// Other programs on the machine change it.
    pub is_timed: bool,
}

const fn at_least(name: &'static str, unit: &'static str, gate: f64, stretch: Option<f64>) -> Metric {
    Metric {
        name,
        unit,
        gate: Some(gate),
        stretch,
        lower_is_better: false,
        is_timed: true,
    }
}

const fn at_most(name: &'static str, unit: &'static str, gate: f64, stretch: Option<f64>) -> Metric {
    Metric {
        lower_is_better: true,
        ..at_least(name, unit, gate, stretch)
    }
}

/// A goal that the same build meets or misses on any machine, however busy.
const fn untimed(metric: Metric) -> Metric {
    Metric {
        is_timed: false,
        ..metric
    }
}

/// A figure that shows what a ratio is made of.
const fn figure(name: &'static str, unit: &'static str, lower_is_better: bool) -> Metric {
    Metric {
        name,
        unit,
        gate: None,
        stretch: None,
        lower_is_better,
        is_timed: true,
    }
}

const fn cost(name: &'static str, unit: &'static str) -> Metric {
    figure(name, unit, true)
}

const fn rate(name: &'static str, unit: &'static str) -> Metric {
    figure(name, unit, false)
}

/// The ingestor on unique URLs against Redis' own benchmark with keys of as many bytes.
pub(crate) const VERSUS_REDIS: Metric = at_least("ingestor / redis-benchmark", "ratio", 0.5, Some(0.7));
/// The same against a service as it is usually written.
pub(crate) const VERSUS_ORDINARY: Metric = at_least("ingestor / ordinary stack", "ratio", 1.8, Some(2.5));
/// The same against a consumer that awaits each SET.
pub(crate) const VERSUS_NAIVE: Metric = at_least("ingestor / naive consumer", "ratio", 40.0, None);
/// What the ingestor spends.
pub(crate) const INGEST_CPU: Metric = at_most("ingestor CPU a record", "µs", 1.2, Some(0.9));
/// Allocations of our code for one more valid canonical record.
pub(crate) const ALLOCATIONS: Metric = untimed(at_most("allocations a record", "allocations", 0.0, None));
/// What the recent filter gains.
pub(crate) const REPEATS: Metric = at_least("90 % repeats / 0 % repeats", "ratio", 1.5, Some(2.0));
/// A generation's drain against reading and removing the same names and nothing else.
pub(crate) const VERSUS_BARE_DRAIN: Metric =
    at_least("drain / bare read and UNLINK", "ratio", 0.7, Some(0.9));
/// The dispatcher against its HTTP client alone.
pub(crate) const VERSUS_REQWEST: Metric = at_least("dispatcher / bare reqwest", "ratio", 0.85, Some(0.95));
/// All of it on one machine.
pub(crate) const EVERYTHING: Metric = at_least(
    "everything on this machine, half repeats",
    "records/s",
    150_000.0,
    Some(250_000.0),
);
/// How soon the ingest group's lag is below a second after a burst.
pub(crate) const BURST: Metric = at_most("recovery from a burst", "s", 120.0, None);
/// Time a record of an input ten times as large.
pub(crate) const GROWTH_TIME: Metric = at_most("growth: time a record at 10×", "ratio", 1.1, None);
/// The flipper's memory when it drains twenty times as many keys.
pub(crate) const GROWTH_MEMORY: Metric = untimed(at_most("growth: flipper RSS at 20×", "ratio", 1.1, None));

/// Every goal that this measures.
pub const GOALS: [Metric; 12] = [
    VERSUS_REDIS,
    VERSUS_ORDINARY,
    VERSUS_NAIVE,
    INGEST_CPU,
    ALLOCATIONS,
    REPEATS,
    VERSUS_BARE_DRAIN,
    VERSUS_REQWEST,
    EVERYTHING,
    BURST,
    GROWTH_TIME,
    GROWTH_MEMORY,
];

/// Raw rates of the trials.
pub(super) const REDIS_RATE: Metric = rate("redis-benchmark", "SETs/s");
pub(super) const INGEST_RATE: Metric = rate("ingestor, unique URLs", "records/s");
pub(super) const REPEATS_RATE: Metric = rate("ingestor, 90 % repeats", "records/s");
pub(super) const ORDINARY_RATE: Metric = rate("ordinary stack", "records/s");
pub(super) const NAIVE_RATE: Metric = rate("naive consumer", "records/s");
pub(super) const DRAIN_RATE: Metric = rate("flipper's drain", "keys/s");
pub(super) const BARE_DRAIN_RATE: Metric = rate("bare read and UNLINK", "keys/s");
pub(super) const DISPATCH_RATE: Metric = rate("dispatcher", "requests/s");
pub(super) const REQWEST_RATE: Metric = rate("bare reqwest", "requests/s");

/// Costs of one item, which [`crate::plan`] multiplies.
pub(crate) const REDIS_CPU: Metric = cost("Redis CPU a SET", "µs");
/// Of the broker, writing and reading, a record of the input.
pub(crate) const BROKER_CPU: Metric = cost("broker CPU a record", "µs");
/// Of the flipper.
pub(crate) const DRAIN_CPU: Metric = cost("flipper CPU a URL", "µs");
/// Of Redis, read and removed.
pub(crate) const REDIS_DRAIN_CPU: Metric = cost("Redis CPU a drained URL", "µs");
/// Of the dispatcher, with ten URLs in a request.
pub(crate) const REQUEST_CPU: Metric = cost("dispatcher CPU a request", "µs");
/// Memory of one key.
pub(crate) const KEY_BYTES: Metric = cost("Redis bytes a key", "bytes");
/// On the broker's disk, before replication.
pub(crate) const RECORD_BYTES: Metric = cost("Kafka bytes a record", "bytes");
/// Of `batches` on the broker's disk.
pub(crate) const BATCH_BYTES: Metric = cost("Kafka bytes a URL in batches", "bytes");
/// Of a request's body.
pub(crate) const EGRESS_BYTES: Metric = cost("request bytes a URL", "bytes");
/// Largest resident memory after the larger input.
pub(crate) const INGESTOR_RSS: Metric = cost("ingestor RSS", "MiB");
/// The same.
pub(crate) const FLIPPER_RSS: Metric = cost("flipper RSS", "MiB");
/// The same.
pub(crate) const DISPATCHER_RSS: Metric = cost("dispatcher RSS", "MiB");

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_every_goal_has_a_gate() {
        let names: HashSet<_> = GOALS.iter().map(|goal| goal.name).collect();
        assert_eq!(names.len(), GOALS.len());
        assert!(GOALS.iter().all(|goal| goal.gate.is_some()));
    }
}
