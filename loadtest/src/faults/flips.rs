//! Many flips in a row under load: is anything lost, and how long do writers pause?

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use clap::Args;
use hint_schema::generation_event::{Generation, GenerationEvent};
use messagebus::KafkaArgs;
use serde::Serialize;
use tokio::task::spawn_blocking;

use super::attempt::{Outcome, Scene, SceneSettings};
use crate::audit::TopicReader;
use crate::progress::Progress;
use crate::service::Kind;

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A flip waits for the drain before it: where that takes longer than the interval, so does the flip.
const PATIENCE: u32 = 20;

/// How many, and how fast.
#[derive(Args, Clone, Debug)]
pub struct FlipsArgs {
    /// Flips
    #[arg(long, default_value_t = 1_000)]
    pub count: u64,
    /// `FLIP_INTERVAL`
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    pub interval: Duration,
    /// Records a second
    #[arg(long, default_value_t = 2_000)]
    pub rate: u64,
    /// Seed of the traffic
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct FlipReport {
    /// Flips that every writer sealed.
    pub flips: u64,
    /// Different URLs that had to reach every partner.
    pub accepted: u64,
    /// Those that did not reach one.
    pub lost: u64,
    /// URLs that a partner got and nobody sent.
    pub invented: u64,
    /// Generations without exact books.
    pub unaudited: u64,
    /// Generations that failed.
    pub failed: u64,
    /// Writers' pauses around flips in seconds, from the record `Opened` of the next generation to a writer's
    /// `Sealed` of the one before, by the time at which each was handed to Kafka: at most that was the pause.
    pub pause_p50_seconds: f64,
    /// 99 of 100 were at most this long.
    pub pause_p99_seconds: f64,
    /// The longest.
    pub pause_max_seconds: f64,
    /// Why the run failed, if it did.
    pub error: Option<String>,
}

impl FlipReport {
    /// Whether nothing was lost or invented, and every generation settled.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.error.is_none() && self.lost == 0 && self.invented == 0 && self.failed == 0
    }
}

impl fmt::Display for FlipReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |seconds: f64| seconds * 1_000.0;
        writeln!(
            f,
            "{} flips, {} URLs, lost {} invented {}; {} unaudited, {} failed",
            self.flips, self.accepted, self.lost, self.invented, self.unaudited, self.failed
        )?;
        write!(
            f,
            "writers pause p50 {:.0} ms, p99 {:.0} ms, at most {:.0} ms",
            milliseconds(self.pause_p50_seconds),
            milliseconds(self.pause_p99_seconds),
            milliseconds(self.pause_max_seconds)
        )?;
        match &self.error {
            Some(error) => write!(f, "\nFAILED: {error}"),
            None => Ok(()),
        }
    }
}

/// Flips so many times under traffic, and closes the books.
///
/// # Errors
/// The stack does not start, or the log of generations cannot be read.
pub async fn flips(args: FlipsArgs) -> anyhow::Result<FlipReport> {
    let settings = SceneSettings {
        seed: args.seed,
        rate: args.rate,
        flip_interval: args.interval,
        has_replicas: false,
        is_encrypted: false,
        books: "visible",
    };
    let scene = Scene::start(settings).await?;
    wait_for_flips(&scene, &args).await?;
    let kafka = scene.run.lock().await.kafka.clone();
    let pauses = spawn_blocking(move || pauses(&kafka)).await??;
    let mut outcome = Outcome::default();
    scene.finish(&mut outcome).await;
    let report = outcome.report.unwrap_or_default();
    let at =
        |per_mille: usize| pauses.get((pauses.len() * per_mille / 1_000).min(pauses.len().saturating_sub(1)));
    let seconds = |pause: Option<&Duration>| pause.map_or(f64::NAN, Duration::as_secs_f64);
    Ok(FlipReport {
        flips: report.generations.settled + report.generations.unaudited + report.generations.failed,
        accepted: report.accepted_urls,
        lost: report.lost,
        invented: report.invented,
        unaudited: report.generations.unaudited,
        failed: report.generations.failed,
        pause_p50_seconds: seconds(at(500)),
        pause_p99_seconds: seconds(at(990)),
        pause_max_seconds: seconds(pauses.last()),
        error: outcome.error,
    })
}

async fn wait_for_flips(scene: &Scene, args: &FlipsArgs) -> anyhow::Result<()> {
    let progress = Progress::new(args.count.div_ceil(100));
    let deadline = Instant::now() + PATIENCE * args.interval * u32::try_from(args.count)?;
    let mut said = 0;
    loop {
        let run = scene.run.lock().await;
        let generation = run
            .metric(Kind::Ingestor, "ingestor_active_generation", &[])
            .await;
        // Two ingestors show it.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a generation"
        )]
        let flips = (generation / 2.0) as u64;
        drop(run);
        while said < flips / 100 {
            said += 1;
            progress.step(&format!("{flips} flips"));
        }
        if flips >= args.count {
            return Ok(());
        }
        anyhow::ensure!(
            Instant::now() < deadline,
            "{flips} of {} flips, and no more in time",
            args.count
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// How long each writer took to seal each generation once the next was opened, ascending. Blocks.
fn pauses(kafka: &KafkaArgs) -> anyhow::Result<Vec<Duration>> {
    let (mut opened, mut sealed) = (BTreeMap::<Generation, i64>::new(), Vec::new());
    let mut reader = TopicReader::new(kafka, &kafka.topics().generations())?;
    reader.catch_up(|record| match GenerationEvent::decode(record.payload) {
        Ok(GenerationEvent::Opened(event)) => {
            opened.entry(event.generation).or_insert(record.timestamp_ms);
        }
        Ok(GenerationEvent::Sealed(event)) => sealed.push((event.generation, record.timestamp_ms)),
        // Nothing of a pause; a tombstone has no value.
        Ok(_) | Err(_) => {}
    })?;
    let pause = |(generation, at): (Generation, i64)| {
        let pause = at - opened.get(&(generation + 1))?;
        Some(Duration::from_millis(u64::try_from(pause).unwrap_or(0)))
    };
    let mut pauses: Vec<_> = sealed.into_iter().filter_map(pause).collect();
    pauses.sort_unstable();
    Ok(pauses)
}
