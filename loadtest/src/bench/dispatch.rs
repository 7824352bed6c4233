//! The dispatcher against its HTTP client alone, with the same bodies.

use std::sync::Arc;

use anyhow::Context;
use axum::body::Bytes;
use generations::output_partition;
use hint_schema::{BatchId, HintBatch, HostHints};
use messagebus::{KafkaArgs, OutRecord, now_ms, offsets};
use serde::Serialize;

use super::ground::{Ground, PATIENCE, opt_in, rewind};
use super::metric::{DISPATCH_RATE, EGRESS_BYTES, REQUEST_CPU, REQWEST_RATE, VERSUS_REQWEST};
use super::number::float;
use super::opponents::bare_reqwest;
use super::pace::{Pace, watch};
use super::sink::Sink;
use crate::produce::producer;
use crate::run::{Run, RunSettings};
use crate::traffic::host_name;

/// URLs of a request.
const URLS: u32 = 10;
/// Hosts of a batch.
const BATCH_HOSTS: usize = 100;
const PARTNER: &str = "north";
const DISPATCHER: &str = "dispatcher-0";
/// As long as a key that is derived.
const KEY: &str = "0123456789abcdef0123456789abcdef";

/// What is sent, as the protocol says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    host: &'a str,
    key: &'a str,
    url_list: &'a [String],
}

/// Measures the rows of the dispatcher.
///
/// # Errors
/// Something does not start, or a request is not answered.
pub(super) async fn measure(ground: &mut Ground) -> anyhow::Result<()> {
    let kafka = ground.fresh().await?;
    let hosts = hosts(ground.plan.requests);
    opt_in(&kafka, ground.plan.requests).await?;
    produce_batches(&kafka, &hosts).await?;
    let bodies = bodies(&hosts)?;
    let sink = Sink::start().await?;
    let settings = RunSettings {
        flippers: 0,
        ingestors: 0,
        settings: vec![sink.setting(&[PARTNER])],
        ..RunSettings::default()
    };
    let mut run = Run::start(&kafka, &ground.stack.clusters, settings).await?;
    run.service(DISPATCHER)?.terminate().await?;
    ground.look()?;
    let (mut own, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ground.plan.rounds {
        bare.push(bare_reqwest::run(&sink.endpoint(PARTNER), &bodies).await?);
        own.push(dispatch(ground, &kafka, &mut run, &sink).await?);
        let (own, bare) = (own.last().map_or(0.0, |pace| pace.rate), bare.last().copied());
        let bare = bare.unwrap_or_default();
        ground.progress.step(&format!(
            "dispatch: bare {bare:.0} requests/s, dispatcher {own:.0} requests/s"
        ));
    }
    run.stop().await?;
    // Opponents' bodies are as long.
    let urls = float(sink.requests()) * f64::from(URLS);
    let disturbance = ground.disturbance()?;
    let rows = [
        (
            &VERSUS_REQWEST,
            own.iter().zip(&bare).map(|(own, bare)| own.rate / bare).collect(),
        ),
        (&DISPATCH_RATE, own.iter().map(|pace| pace.rate).collect()),
        (&REQWEST_RATE, bare.clone()),
        (
            &REQUEST_CPU,
            own.iter().map(|pace| pace.micros("dispatcher")).collect(),
        ),
        (&EGRESS_BYTES, vec![float(sink.bytes()) / urls]),
    ];
    for (metric, samples) in rows {
        ground.report.add(metric, samples, disturbance);
    }
    Ok(())
}

/// Lets a dispatcher deliver every batch.
async fn dispatch(ground: &Ground, kafka: &KafkaArgs, run: &mut Run, sink: &Sink) -> anyhow::Result<Pace> {
    rewind(kafka, &run.lane_group(PARTNER), &kafka.topics().batches()).await?;
    let before = sink.requests();
    run.service(DISPATCHER)?.restart()?;
    let meter = ground.meter(run);
    let count = async || sink.requests() - before;
    let total = u64::from(ground.plan.requests);
    let pace = watch("the dispatcher", total, &meter, PATIENCE, None, count).await?;
    run.service(DISPATCHER)?.wait_until_ready().await?;
    run.service(DISPATCHER)?.terminate().await?;
    Ok(pace)
}

/// Each host once: what waits of a host goes in one request.
fn hosts(count: u32) -> Vec<HostHints> {
    let host = |number| {
        let host = host_name(number);
        let url = |n| format!("https://{host}/articles/changed-page-{n:011x}?view=full&locale=en-gb");
        HostHints {
            urls: (0..URLS).map(url).collect(),
            oldest_event_ms: now_ms(),
            host,
        }
    };
    (0..count).map(host).collect()
}

/// Batches as the flipper makes them: whole hosts of one partition.
async fn produce_batches(kafka: &KafkaArgs, hosts: &[HostHints]) -> anyhow::Result<()> {
    let topic = kafka.topics().batches();
    let partitions = i32::try_from(offsets::log_end(kafka, &topic).await?.len())?;
    let (producer, mut reports) = (producer(kafka)?, Vec::new());
    let mut number = 0_u128;
    for partition in 0..partitions {
        let is_there = |hints: &&HostHints| output_partition(&hints.host, partitions) == partition;
        let there: Vec<_> = hosts.iter().filter(is_there).cloned().collect();
        for hosts in there.chunks(BATCH_HOSTS) {
            number += 1;
            let batch = HintBatch {
                id: BatchId::from(number),
                generation: 0,
                created_at_ms: now_ms(),
                hosts: hosts.to_vec(),
            };
            let record = OutRecord {
                topic: &topic,
                partition: Some(partition),
                key: &number.to_be_bytes(),
                payload: Some(&batch.encode()),
                headers: &[],
            };
            reports.push(producer.enqueue(record).await?);
        }
    }
    for report in reports {
        report.await.with_context(|| format!("producing to {topic}"))?;
    }
    Ok(())
}

fn bodies(hosts: &[HostHints]) -> anyhow::Result<Arc<[Bytes]>> {
    let body = |hints: &HostHints| {
        let body = Body {
            host: &hints.host,
            key: KEY,
            url_list: &hints.urls,
        };
        Ok(Bytes::from(serde_json::to_vec(&body)?))
    };
    hosts.iter().map(body).collect()
}
