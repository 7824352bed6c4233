//! `produce`: zones and cache misses into Kafka, at a rate.

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use messagebus::metrics::{BusMetrics, Registrar};
use messagebus::{KafkaArgs, OutRecord, Producer, now_ms};
use prometheus::Registry;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::traffic::{Traffic, TrafficArgs};

const TICK: Duration = Duration::from_millis(10);
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

/// Produces the zones, then the records; shows in `sent` how many are acknowledged. Ends early at `stop`.
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
    let producer = producer(kafka)?;
    produce_zones(&producer, kafka, &traffic).await?;
    let topic = kafka.topics().cache_misses();
    let mut reports = FuturesUnordered::new();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let started = Instant::now();
    let (mut next, mut acknowledged) = (0, 0_u64);
    while next < args.count && !stop.is_cancelled() {
        let due = if args.rate == 0 {
            args.count
        } else {
            ticks.tick().await;
            let due = started.elapsed().as_secs_f64() * precise(args.rate);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a count so far"
            )]
            args.count.min(due as u64)
        };
        while next < due {
            let record = traffic.record(next, now_ms());
            let delivery = producer.enqueue(OutRecord {
                topic: &topic,
                partition: None,
                key: record.host.as_bytes(),
                payload: Some(&record.payload),
                headers: &[],
            });
            reports.push(
                delivery
                    .await
                    .with_context(|| format!("producing record {next} to {topic}"))?,
            );
            next += 1;
            while reports.len() >= IN_FLIGHT
                && let Some(report) = reports.next().await
            {
                report.with_context(|| format!("producing to {topic}"))?;
                acknowledged += 1;
            }
            if stop.is_cancelled() {
                break;
            }
        }
        while let Some(Some(report)) = reports.next().now_or_never() {
            report.with_context(|| format!("producing to {topic}"))?;
            acknowledged += 1;
        }
        sent.send_replace(acknowledged);
    }
    while let Some(report) = reports.next().await {
        report.with_context(|| format!("producing to {topic}"))?;
        acknowledged += 1;
    }
    sent.send_replace(acknowledged);
    Ok(acknowledged)
}

/// Produces the zones of the traffic, all opted in.
///
/// # Errors
/// Kafka does not take one.
pub async fn produce_zones(producer: &Producer, kafka: &KafkaArgs, traffic: &Traffic) -> anyhow::Result<()> {
    let topic = kafka.topics().zones();
    for zone in traffic.zones() {
        let (key, payload) = (zone.id.to_string(), zone.encode());
        let record = OutRecord {
            topic: &topic,
            partition: None,
            key: key.as_bytes(),
            payload: Some(&payload),
            headers: &[],
        };
        producer
            .enqueue(record)
            .await
            .with_context(|| format!("producing to {topic}"))?
            .await?;
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

#[expect(clippy::cast_precision_loss, reason = "a rate is small")]
fn precise(rate: u64) -> f64 {
    rate as f64
}
