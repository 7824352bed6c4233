//! What every service on the bus exports.

use std::sync::Arc;

use prometheus::{Gauge, Histogram, IntCounter, process_collector::ProcessCollector};

use super::{
    CertificateEnd, Check, CounterFamily, GaugeFamily, GroupMetrics, HistogramFamily, Peer, RebalanceKind,
    Registrar, Stage, TopicMetrics, certificates::Certificates, names::steps,
};
use crate::memory;

/// From a call to a deployment's slowest legitimate batch.
const STEP_SECONDS: [f64; 15] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];
/// From a broker next door to `delivery.timeout.ms`.
const DELIVERY_SECONDS: [f64; 13] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0,
];
/// 600 is the objective: its bucket is what the burn-rate alerts read.
const HINT_AGE_SECONDS: [f64; 11] = [
    30.0, 60.0, 120.0, 180.0, 240.0, 300.0, 450.0, 600.0, 900.0, 1800.0, 3600.0,
];

/// The metrics of consumers, producers, health and memory; cheap to clone, all clones are one.
#[derive(Clone, Debug)]
pub struct BusMetrics(Arc<Families>);

#[derive(Debug)]
pub(super) struct Families {
    pub(super) messages: CounterFamily<3>,
    pub(super) message_bytes: CounterFamily<3>,
    pub(super) consumed: CounterFamily<2>,
    pub(super) errors: CounterFamily<3>,
    pub(super) committed: GaugeFamily<3>,
    pub(super) high_watermark: GaugeFamily<3>,
    pub(super) lag_messages: GaugeFamily<3>,
    pub(super) lag_seconds: GaugeFamily<3>,
    pub(super) assigned: GaugeFamily<2>,
    rebalances: CounterFamily<1>,
    queue_bytes: GaugeFamily<0>,
    buffer_bytes: GaugeFamily<0>,
    buffer_records: GaugeFamily<0>,
    pub(super) delivered: CounterFamily<2>,
    pub(super) failed: CounterFamily<2>,
    pub(super) delivery_duration: HistogramFamily<1>,
    producer_queue: GaugeFamily<0>,
    step_duration: HistogramFamily<1>,
    dead_letters: CounterFamily<1>,
    health_status: GaugeFamily<1>,
    health_failures: CounterFamily<1>,
    hint_age: HistogramFamily<2>,
    certificates: Certificates,
}

impl BusMetrics {
    /// Registers them, with `build_info`, the allocator's figures and `process_*`; every combination of a closed
    /// label set stands at 0 from now on, so that the first increment is seen as one.
    ///
    /// # Errors
    /// The registry has one of them already.
    pub fn register(registrar: &Registrar) -> prometheus::Result<Self> {
        let metrics = Self(Arc::new(Families::register(registrar)?));
        build_info(registrar)?;
        memory::register(registrar.registry())?;
        registrar
            .registry()
            .register(Box::new(ProcessCollector::for_self()))?;
        metrics.create_closed(registrar.service());
        Ok(metrics)
    }

    fn create_closed(&self, service: &str) {
        for kind in RebalanceKind::ALL {
            drop(self.rebalances(kind));
        }
        for check in Check::ALL {
            drop((self.health_status(check), self.health_failures(check)));
        }
        for step in steps(service) {
            drop(self.step(step));
        }
        drop((self.queue_bytes(), self.producer_queue()));
        drop((self.buffer_bytes(), self.buffer_records()));
    }

    /// The time of a service's step, one observation a batch, in seconds.
    #[must_use = "nothing is observed yet"]
    pub fn step(&self, step: &'static str) -> Histogram {
        self.0.step_duration.with([step])
    }

    /// Records or URLs given up, by the topic they went to.
    #[must_use = "nothing is counted yet"]
    pub fn dead_letters(&self, topic: &str) -> IntCounter {
        self.0.dead_letters.with([topic])
    }

    /// A hint's age at a stage in seconds, from its event; `partner` is empty but for what is delivered.
    #[must_use = "nothing is observed yet"]
    pub fn hint_age(&self, stage: Stage, partner: &str) -> Histogram {
        self.0.hint_age.with([stage.label(), partner])
    }

    /// Those of one consumer group on one topic, with every error reason at 0.
    #[must_use = "nothing is counted yet"]
    pub fn group(&self, group: &str, topic: &str) -> GroupMetrics {
        GroupMetrics::new(self.clone(), group, topic)
    }

    /// Those of what is produced to one topic, with every failure at 0.
    pub(crate) fn topic(&self, topic: &str) -> TopicMetrics {
        TopicMetrics::new(self.clone(), topic)
    }

    /// Of one client's certificate towards `peer`; nothing is exported before its end is known.
    #[must_use = "a certificate counts while this lives"]
    pub fn certificate(&self, peer: Peer) -> CertificateEnd {
        self.0.certificates.end(peer)
    }

    pub(crate) fn rebalances(&self, kind: RebalanceKind) -> IntCounter {
        self.0.rebalances.with([kind.label()])
    }

    pub(crate) fn health_status(&self, check: Check) -> Gauge {
        self.0.health_status.with([check.label()])
    }

    pub(crate) fn health_failures(&self, check: Check) -> IntCounter {
        self.0.health_failures.with([check.label()])
    }

    pub(crate) fn queue_bytes(&self) -> Gauge {
        self.0.queue_bytes.with([])
    }

    pub(crate) fn buffer_bytes(&self) -> Gauge {
        self.0.buffer_bytes.with([])
    }

    pub(crate) fn buffer_records(&self) -> Gauge {
        self.0.buffer_records.with([])
    }

    pub(crate) fn producer_queue(&self) -> Gauge {
        self.0.producer_queue.with([])
    }

    pub(super) fn families(&self) -> &Families {
        &self.0
    }
}

impl Families {
    fn register(registrar: &Registrar) -> prometheus::Result<Self> {
        let partition = ["group", "topic", "partition"];
        let topic = ["group", "topic"];
        Ok(Self {
            messages: registrar.counter("kafka_consumer_messages_total", "Records polled", partition)?,
            message_bytes: registrar.counter(
                "kafka_consumer_bytes_total",
                "Bytes of keys and values of records polled",
                partition,
            )?,
            consumed: registrar.counter(
                "kafka_consumer_consumed_total",
                "Records whose work was reported done, rejected and filtered ones included",
                topic,
            )?,
            errors: registrar.counter(
                "kafka_consumer_errors_total",
                "What went wrong while consuming, by reason",
                ["group", "topic", "reason"],
            )?,
            committed: registrar.gauge(
                "kafka_consumer_committed_offset",
                "Offset that a restart would go on from",
                partition,
            )?,
            high_watermark: registrar.gauge(
                "kafka_consumer_high_watermark_offset",
                "End of the partition as last heard",
                partition,
            )?,
            lag_messages: registrar.gauge(
                "kafka_consumer_lag_messages",
                "Records between the committed offset and the end",
                partition,
            )?,
            lag_seconds: registrar.gauge(
                "kafka_consumer_lag_seconds",
                "Age of the oldest record not committed, 0 when there is none",
                partition,
            )?,
            assigned: registrar.gauge("kafka_consumer_assigned_partitions", "Partitions held", topic)?,
            rebalances: registrar.counter(
                "kafka_consumer_rebalances_total",
                "Changes of the assignment, by kind",
                ["kind"],
            )?,
            queue_bytes: registrar.gauge(
                "kafka_consumer_queue_bytes",
                "Bytes that librdkafka has prefetched",
                [],
            )?,
            buffer_bytes: registrar.gauge(
                "buffer_bytes",
                "Bytes of records polled whose work is not done: what a backlog holds",
                [],
            )?,
            buffer_records: registrar.gauge(
                "buffer_records",
                "Records polled whose work is not begun: in flight in book A",
                [],
            )?,
            delivered: registrar.counter(
                "kafka_producer_delivered_total",
                "Records acknowledged by Kafka",
                ["topic", "partition"],
            )?,
            failed: registrar.counter(
                "kafka_producer_failed_total",
                "Records not acknowledged, by reason",
                ["topic", "reason"],
            )?,
            delivery_duration: registrar.histogram(
                "kafka_producer_delivery_duration_seconds",
                "Time from handing a record over to its acknowledgement",
                ["topic"],
                &DELIVERY_SECONDS,
            )?,
            producer_queue: registrar.gauge(
                "kafka_producer_queue_messages",
                "Records handed over and not acknowledged",
                [],
            )?,
            step_duration: registrar.histogram(
                "step_duration_seconds",
                "Time of a step, one observation a batch",
                ["step"],
                &STEP_SECONDS,
            )?,
            dead_letters: registrar.counter(
                "dead_letters_total",
                "Records or URLs given up, by the topic that holds them",
                ["topic"],
            )?,
            health_status: registrar.gauge("health_status", "1 while the check passes", ["check"])?,
            health_failures: registrar.counter(
                "health_failures_total",
                "Checks that came out unhealthy",
                ["check"],
            )?,
            hint_age: registrar.histogram(
                "hint_age_seconds",
                "Age of a hint at a stage, from its event",
                ["stage", "partner"],
                &HINT_AGE_SECONDS,
            )?,
            certificates: Certificates::new(registrar.gauge(
                "tls_cert_not_after_seconds",
                "End of the certificate that a client shows, the soonest of all clients, in Unix seconds; absent \
                 without one",
                ["peer"],
            )?),
        })
    }
}

fn build_info(registrar: &Registrar) -> prometheus::Result<()> {
    let family = registrar.gauge("build_info", "1, for its labels", ["version", "revision"])?;
    let revision = option_env!("CRAWLER_HINTS_REVISION").unwrap_or("unknown");
    family.with([env!("CARGO_PKG_VERSION"), revision]).set(1.0);
    Ok(())
}
