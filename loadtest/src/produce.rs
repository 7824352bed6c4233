//! Zones into Kafka, and cache misses at a rate.

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use hint_schema::Zone;
use messagebus::metrics::{BusMetrics, Registrar};
use messagebus::{Delivered, Delivery, KafkaArgs, OutRecord, ProduceError, Producer, now_ms};
use prometheus::Registry;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::traffic::{Generated, Traffic, TrafficArgs};

/// A producer sends a partition's records in a request of their own: with ten times the ticks a broker has little else to
/// do at a thousand records a second.
const TICK: Duration = Duration::from_millis(100);
/// Records handed over and not acknowledged.
const IN_FLIGHT: usize = 8_000;

/// What to produce.
#[derive(Args, Clone, Debug)]
pub struct ProduceArgs {
    /// Records a second; 0 for as many as Kafka takes
    #[arg(long, default_value_t = 2_000)]
    pub rate: u64,
    /// Records in all
    #[arg(long, default_value_t = 100_000)]
    pub count: u64,
    /// What they look like.
    #[command(flatten)]
    pub traffic: TrafficArgs,
}

/// Produces the records, whose zones are there already: see [`produce_zones`]. Shows in `sent` how many are
/// acknowledged. Ends early at `stop`.
///
/// # Errors
/// Kafka does not take a record.
pub async fn produce(
    kafka: &KafkaArgs,
    args: &ProduceArgs,
    sent: watch::Sender<u64>,
    stop: CancellationToken,
) -> anyhow::Result<u64> {
    let traffic = Traffic::new(args.traffic.clone())?;
    let mut flow = Flow::new(kafka)?;
    let mut pace = Pace::new(args);
    let mut next = 0;
    while next < args.count && !stop.is_cancelled() {
        let due = pace.due().await;
        while next < due && !stop.is_cancelled() {
            flow.send(&traffic.record(next, now_ms())).await?;
            next += 1;
        }
        flow.look()?;
        sent.send_replace(flow.acknowledged);
    }
    flow.finish().await?;
    sent.send_replace(flow.acknowledged);
    Ok(flow.acknowledged)
}

/// Produces zones; returns when Kafka has all of them.
///
/// Where books are to balance, this comes before services start: an ingestor reads every zone that is there before it
/// is ready. Of a zone that comes later it may read a record first, and rightly filters it.
///
/// # Errors
/// Kafka does not take one.
pub async fn produce_zones(kafka: &KafkaArgs, zones: &[Zone]) -> anyhow::Result<()> {
    let (producer, topic) = (producer(kafka)?, kafka.topics().zones());
    let mut reports = Vec::new();
    for zone in zones {
        let (key, payload) = (zone.id.to_string(), zone.encode());
        let record = OutRecord {
            topic: &topic,
            partition: None,
            key: key.as_bytes(),
            payload: Some(&payload),
            headers: &[],
        };
        let report = producer.enqueue(record).await;
        reports.push(report.with_context(|| format!("producing to {topic}"))?);
    }
    for report in reports {
        report.await.with_context(|| format!("producing to {topic}"))?;
    }
    Ok(())
}

/// A producer whose metrics nobody reads.
///
/// # Errors
/// The client cannot be created.
pub fn producer(kafka: &KafkaArgs) -> anyhow::Result<Producer> {
    let bus = BusMetrics::register(&Registrar::new(&Registry::new(), "loadtest"))?;
    Producer::new(kafka, bus)
}

/// How many records are due, by the clock.
struct Pace {
    rate: u64,
    count: u64,
    ticks: Interval,
    started: Instant,
}

impl Pace {
    fn new(args: &ProduceArgs) -> Self {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            rate: args.rate,
            count: args.count,
            ticks,
            started: Instant::now(),
        }
    }

    /// Waits for the next tick, and tells how many should have been sent since the start.
    async fn due(&mut self) -> u64 {
        if self.rate == 0 {
            return self.count;
        }
        self.ticks.tick().await;
        let due = self.started.elapsed().as_secs_f64() * precise(self.rate);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count so far"
        )]
        self.count.min(due as u64)
    }
}

/// Records on their way into Kafka.
struct Flow {
    producer: Producer,
    topic: String,
    /// Of records handed over and not acknowledged.
    reports: FuturesUnordered<Delivery>,
    acknowledged: u64,
}

impl Flow {
    fn new(kafka: &KafkaArgs) -> anyhow::Result<Self> {
        Ok(Self {
            producer: producer(kafka)?,
            topic: kafka.topics().cache_misses(),
            reports: FuturesUnordered::new(),
            acknowledged: 0,
        })
    }

    /// Hands a record over, and waits until there is room for another.
    async fn send(&mut self, record: &Generated) -> anyhow::Result<()> {
        let delivery = self.producer.enqueue(OutRecord {
            topic: &self.topic,
            partition: None,
            key: record.host.as_bytes(),
            payload: Some(&record.payload),
            headers: &[],
        });
        let report = delivery
            .await
            .with_context(|| format!("producing to {}", self.topic))?;
        self.reports.push(report);
        self.wait_until_below(IN_FLIGHT).await
    }

    /// Takes the reports that have come.
    fn look(&mut self) -> anyhow::Result<()> {
        while let Some(Some(report)) = self.reports.next().now_or_never() {
            self.take(report)?;
        }
        Ok(())
    }

    /// Waits for every report.
    async fn finish(&mut self) -> anyhow::Result<()> {
        self.wait_until_below(1).await
    }

    async fn wait_until_below(&mut self, bound: usize) -> anyhow::Result<()> {
        while self.reports.len() >= bound
            && let Some(report) = self.reports.next().await
        {
            self.take(report)?;
        }
        Ok(())
    }

    fn take(&mut self, report: Result<Delivered, ProduceError>) -> anyhow::Result<()> {
        report.with_context(|| format!("producing to {}", self.topic))?;
        self.acknowledged += 1;
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate is small")]
fn precise(rate: u64) -> f64 {
    rate as f64
}
