//! The books, end to end, from what stands in Kafka and in the partners' logs.
//!
//! Nothing here trusts a process's own counters where a topic says the same: a killed process takes no figure
//! with it. What is accepted is judged again, from the input topic, by the product's own pipeline, whose verdicts
//! the traffic's tests check against what the traffic knows.

mod batches;
mod end_to_end;
mod generations;
mod outcomes;
mod report;

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use messagebus::{KafkaArgs, offsets};
use tokio::task::spawn_blocking;

use crate::scrape::Scrape;
use batches::BatchBooks;
use end_to_end::EndToEnd;
use generations::GenerationBooks;
use outcomes::Outcomes;

pub use report::{Report, Row};

/// What to audit.
#[derive(Args, Clone, Debug)]
pub struct AuditArgs {
    /// Partners, by name, comma-separated
    #[arg(long, value_delimiter = ',', default_value = "north,south")]
    pub partners: Vec<String>,
    /// Directory of the simulated partners' logs
    #[arg(long, default_value = ".")]
    pub logs: PathBuf,
}

/// Metrics of living processes, by service.
#[derive(Clone, Debug, Default)]
pub struct Living {
    /// Ingestors that were never killed.
    pub ingestors: Vec<Scrape>,
    /// Dispatchers that were never killed.
    pub dispatchers: Vec<Scrape>,
}

/// Reads everything and says whether the books balance. Call it when the pipeline has come to rest.
///
/// # Errors
/// A topic or a log cannot be read.
pub async fn audit(kafka: &KafkaArgs, args: &AuditArgs, living: &Living) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let topics = kafka.topics();
    let reader = kafka.clone();
    let (generations, batches, outcomes) = spawn_blocking(move || {
        let generations = GenerationBooks::read(&reader)?;
        Ok::<_, anyhow::Error>((generations, BatchBooks::read(&reader)?, Outcomes::read(&reader)?))
    })
    .await
    .context("reading the books")??;

    for ingestor in &living.ingestors {
        records(&mut report, ingestor, &topics.group("ingestor"));
    }
    generations.drained(&mut report);
    generations.batched(&batches, &mut report);
    for partner in &args.partners {
        let group = topics.group(&format!("dispatcher-{partner}"));
        let lane = offsets::committed(kafka, &group, &topics.batches()).await?;
        let done: i64 = lane.iter().filter_map(|(_, offset)| *offset).sum();
        report.equal(
            "E",
            format!("batches in the topic = finished by {partner}"),
            batches.messages,
            count(done),
        );
        let opted_out: f64 = living
            .dispatchers
            .iter()
            .map(|scrape| {
                scrape.sum(
                    "dispatcher_urls_total",
                    &[("partner", partner), ("outcome", "opted_out")],
                )
            })
            .sum();
        outcomes.lane(partner, &batches, rounded(opted_out), &mut report);
    }
    let committed = offsets::committed(kafka, &topics.group("ingestor"), &topics.cache_misses()).await?;
    let (reader, args) = (kafka.clone(), args.clone());
    spawn_blocking(move || {
        EndToEnd::read(&reader, &committed)?.compare(&args, &batches, &outcomes, &mut report)?;
        generations.summary(&mut report);
        Ok(report)
    })
    .await
    .context("comparing ends")?
}

/// (A) and (B) of one ingestor at rest.
fn records(report: &mut Report, ingestor: &Scrape, group: &str) {
    let polled = ingestor.sum("kafka_consumer_messages_total", &[("group", group)]);
    let records = ingestor.sum("ingestor_records_total", &[]);
    let accepted = ingestor.sum("ingestor_records_total", &[("outcome", "accepted")]);
    let urls = ingestor.sum("ingestor_urls_total", &[]);
    let reread = ingestor.sum("ingestor_reread_records_total", &[]);
    let left = "polled + reread = accepted + rejected + filtered + dropped";
    report.equal("A", left, rounded(polled + reread), rounded(records));
    let right = "accepted = new + repeated + repeated in process + unknown";
    report.equal("B", right, rounded(accepted), rounded(urls));
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a counter"
)]
fn rounded(counter: f64) -> u64 {
    counter.round() as u64
}

fn count(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or(0)
}
