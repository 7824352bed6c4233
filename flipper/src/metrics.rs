//! What on-call sees of flips and drains.

use std::time::Duration;

use generations::ClusterName;
use messagebus::metrics::{CounterFamily, GaugeFamily, HistogramFamily, Registrar};

/// A generation from empty to ten million URLs.
const RUN_BUCKETS: [f64; 8] = [
    0.0,
    100.0,
    1_000.0,
    10_000.0,
    100_000.0,
    1_000_000.0,
    5_000_000.0,
    10_000_000.0,
];
/// A batch up to its limit.
const BATCH_BUCKETS: [f64; 7] = [1.0, 10.0, 100.0, 1_000.0, 5_000.0, 9_999.0, 10_000.0];
/// A drain, against the flip interval of two minutes.
const DRAIN_BUCKETS: [f64; 9] = [0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];

/// Outcomes of `flips_total`: why a generation was opened.
const FLIPS: [&str; 6] = ["bootstrap", "interval", "size", "memory", "unreachable", "asked"];
const VERDICTS: [&str; 3] = ["settled", "unaudited", "failed"];
const PUBLISHED: [&str; 2] = ["acknowledged", "refused"];

/// Every metric of the flipper's own.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Generations opened, by why.
    pub flips: CounterFamily<1>,
    /// When the last generation was opened, Unix seconds.
    pub last_flip: GaugeFamily<0>,
    /// `FLIP_INTERVAL`, so that alerts follow it.
    pub interval: GaugeFamily<0>,
    /// 1 in the process that is elected.
    pub leader: GaugeFamily<0>,
    /// 1 for the cluster being written.
    pub active_cluster: GaugeFamily<1>,
    /// 1 while a generation is drained.
    pub draining: GaugeFamily<0>,
    drain_seconds: HistogramFamily<0>,
    last_drain_seconds: GaugeFamily<0>,
    /// Keys left in each cluster.
    pub remaining: GaugeFamily<1>,
    run_urls: HistogramFamily<0>,
    last_run_urls: GaugeFamily<0>,
    /// URLs in acknowledged batches.
    pub drained: CounterFamily<0>,
    batch_urls: HistogramFamily<0>,
    published: CounterFamily<1>,
    /// Names of older generations met while draining.
    pub late: CounterFamily<0>,
    /// Verdicts.
    pub verdicts: CounterFamily<1>,
    /// Failed generations whose input is not read again yet.
    pub replays_open: GaugeFamily<0>,
    /// Failed generations whose input is read again.
    pub recovered: CounterFamily<0>,
}

impl Metrics {
    /// Registers them all, at 0.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn register(registrar: &Registrar) -> prometheus::Result<Self> {
        let metrics = Self {
            flips: registrar.counter(
                "flipper_flips_total",
                "How often do we flip, and why?",
                ["outcome"],
            )?,
            last_flip: registrar.gauge(
                "flipper_last_flip_timestamp_seconds",
                "When was the last flip?",
                [],
            )?,
            interval: registrar.gauge("flipper_flip_interval_seconds", "How often should we flip?", [])?,
            leader: registrar.gauge("flipper_leader", "Does this one work, or stand by?", [])?,
            active_cluster: registrar.gauge(
                "flipper_active_cluster",
                "Which cluster is written?",
                ["redis_cluster"],
            )?,
            draining: registrar.gauge("flipper_drain_in_progress", "Is a generation being drained?", [])?,
            drain_seconds: registrar.histogram(
                "flipper_drain_duration_seconds",
                "How long does a drain take?",
                [],
                &DRAIN_BUCKETS,
            )?,
            last_drain_seconds: registrar.gauge(
                "flipper_last_drain_duration_seconds",
                "How long did the last drain take?",
                [],
            )?,
            remaining: registrar.gauge(
                "flipper_generation_remaining_urls",
                "What is still in each cluster?",
                ["redis_cluster"],
            )?,
            run_urls: registrar.histogram(
                "flipper_run_urls",
                "How many URLs does a generation hold?",
                [],
                &RUN_BUCKETS,
            )?,
            last_run_urls: registrar.gauge(
                "flipper_last_run_urls",
                "How many URLs did the last generation hold?",
                [],
            )?,
            drained: registrar.counter(
                "flipper_urls_drained_total",
                "How many URLs are in acknowledged batches?",
                [],
            )?,
            batch_urls: registrar.histogram(
                "flipper_batch_urls",
                "How full are batches?",
                [],
                &BATCH_BUCKETS,
            )?,
            published: registrar.counter(
                "flipper_batches_published_total",
                "What becomes of batches?",
                ["outcome"],
            )?,
            late: registrar.counter(
                "flipper_late_writes_total",
                "How many names of older generations turn up?",
                [],
            )?,
            verdicts: registrar.counter(
                "flipper_generations_total",
                "How do generations end?",
                ["verdict"],
            )?,
            replays_open: registrar.gauge(
                "flipper_replays_open",
                "How many failed generations are not read again yet?",
                [],
            )?,
            recovered: registrar.counter(
                "flipper_generations_recovered_total",
                "How many failed generations are read again?",
                [],
            )?,
        };
        FLIPS.iter().for_each(|why| metrics.flips.with([why]).reset());
        VERDICTS
            .iter()
            .for_each(|verdict| metrics.verdicts.with([verdict]).reset());
        PUBLISHED
            .iter()
            .for_each(|outcome| metrics.published.with([outcome]).reset());
        for counter in [&metrics.drained, &metrics.late, &metrics.recovered] {
            drop(counter.with([]));
        }
        for gauge in [&metrics.leader, &metrics.draining, &metrics.replays_open] {
            drop(gauge.with([]));
        }
        for cluster in ClusterName::ALL {
            metrics.active_cluster.set([cluster.label()], 0);
            metrics.remaining.set([cluster.label()], 0);
        }
        Ok(metrics)
    }

    /// A batch of so many URLs was acknowledged.
    #[expect(clippy::cast_precision_loss, reason = "histograms are floats")]
    pub fn batch_published(&self, urls: usize) {
        self.published.with(["acknowledged"]).inc();
        self.batch_urls.with([]).observe(urls as f64);
        self.drained.with([]).inc_by(urls as u64);
    }

    /// Kafka will not take a batch.
    pub fn batch_refused(&self) {
        self.published.with(["refused"]).inc();
    }

    /// A generation of so many URLs was drained.
    #[expect(clippy::cast_precision_loss, reason = "histograms are floats")]
    pub fn run_finished(&self, urls: u64, took: Duration) {
        self.run_urls.with([]).observe(urls as f64);
        self.last_run_urls.set([], urls);
        self.drain_seconds.with([]).observe(took.as_secs_f64());
        self.last_drain_seconds.with([]).set(took.as_secs_f64());
    }
}
