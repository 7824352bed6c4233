//! What one item of each step costs, as `bench` measured it.

use anyhow::Context;
use serde::Serialize;

use crate::bench::metric::{
    BATCH_BYTES, BROKER_CPU, DISPATCHER_RSS, DRAIN_CPU, EGRESS_BYTES, FLIPPER_RSS, INGEST_CPU, INGESTOR_RSS,
    KEY_BYTES, RECORD_BYTES, REDIS_CPU, REDIS_DRAIN_CPU, REQUEST_CPU,
};
use crate::bench::{Metric, Report};

/// Costs; times in microseconds of one core.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Costs {
    /// Of the ingestor, a record.
    pub ingest: f64,
    /// Of Redis, a SET.
    pub set: f64,
    /// Of the flipper, a URL.
    pub drain: f64,
    /// Of Redis, a URL that is read and removed.
    pub redis_drain: f64,
    /// Of the dispatcher, a request of ten URLs.
    pub request: f64,
    /// Of the broker, a record.
    pub broker: f64,
    /// Bytes of a key in Redis, its name included.
    pub key_bytes: f64,
    /// Bytes of a record on one broker's disk.
    pub record_bytes: f64,
    /// Bytes of a URL in `batches` on one broker's disk.
    pub batch_bytes: f64,
    /// Bytes of a URL in a request.
    pub egress_bytes: f64,
    /// Resident memory of one process, in MiB.
    pub ingestor_mib: f64,
    /// The same.
    pub flipper_mib: f64,
    /// The same.
    pub dispatcher_mib: f64,
}

impl Costs {
    /// The costs of a report.
    ///
    /// # Errors
    /// One is missing: that part of the benchmark failed.
    pub fn of(report: &Report) -> anyhow::Result<Self> {
        let cost = |metric: &Metric| {
            let row = report.row(metric);
            let row = row.with_context(|| {
                format!(
                    "the report has no row {:?}: run `make bench` to its end, and see what it says has failed",
                    metric.name
                )
            })?;
            anyhow::Ok(row.measured)
        };
        Ok(Self {
            ingest: cost(&INGEST_CPU)?,
            set: cost(&REDIS_CPU)?,
            drain: cost(&DRAIN_CPU)?,
            redis_drain: cost(&REDIS_DRAIN_CPU)?,
            request: cost(&REQUEST_CPU)?,
            broker: cost(&BROKER_CPU)?,
            key_bytes: cost(&KEY_BYTES)?,
            record_bytes: cost(&RECORD_BYTES)?,
            batch_bytes: cost(&BATCH_BYTES)?,
            egress_bytes: cost(&EGRESS_BYTES)?,
            ingestor_mib: cost(&INGESTOR_RSS)?,
            flipper_mib: cost(&FLIPPER_RSS)?,
            dispatcher_mib: cost(&DISPATCHER_RSS)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_that_is_missing_is_named() {
        let error = Costs::of(&Report::default()).unwrap_err().to_string();
        assert!(
            error.contains(INGEST_CPU.name) && error.contains("make bench"),
            "{error}"
        );
    }
}
