//! Faults against the whole pipeline, seeded: what fails, when, alone or in pairs. Each run ends with the books.

mod fault;
mod inject;
mod report;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use futures_util::stream::StreamExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::produce::{ProduceArgs, produce};
use crate::run::{Run, RunSettings};
use crate::stack::Stack;
use crate::traffic::TrafficArgs;

pub use fault::{Fault, Plan};
pub use report::{FaultReport, Row};

use inject::Target;

const PREFIX: &str = "crawler-hints.";
/// Traffic of one run: long enough for several flips around the faults.
const RATE: u64 = 1_500;
const TRAFFIC_FOR: Duration = Duration::from_secs(14);
const FLIP_INTERVAL: Duration = Duration::from_secs(3);
/// A lease, a barrier by time, a cluster that is given up, an election: the slowest chain of them, twice.
const REST_WITHIN: Duration = Duration::from_secs(150);

/// What to run.
#[derive(Args, Clone, Debug)]
pub struct FaultsArgs {
    /// First seed
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many seeds
    #[arg(long, default_value_t = 1)]
    pub seeds: u64,
    /// How many at once
    #[arg(long, default_value_t = 2)]
    pub jobs: usize,
    /// Where the report goes
    #[arg(long, default_value = "target/faults/report.json")]
    pub report: PathBuf,
}

/// Runs every seed, and says which failed.
///
/// # Errors
/// The report cannot be written. A seed that fails is no error but a row.
pub async fn faults(args: FaultsArgs) -> anyhow::Result<FaultReport> {
    let seeds = futures_util::stream::iter(args.seed..args.seed + args.seeds);
    let mut rows = seeds.map(run_seed).buffer_unordered(args.jobs.max(1));
    let mut report = FaultReport::default();
    while let Some(row) = rows.next().await {
        report.rows.push(row);
        say(&report.progress(args.seeds));
    }
    report.rows.sort_by_key(|row| row.seed);
    write(&args.report, &report)?;
    Ok(report)
}

/// One run with the faults of its seed.
async fn run_seed(seed: u64) -> Row {
    let plan = Plan::of(seed);
    match attempt(&plan).await {
        Ok(report) => Row::of(&plan, &report),
        Err(error) => Row::failed(&plan, &error),
    }
}

async fn attempt(plan: &Plan) -> anyhow::Result<crate::audit::Report> {
    let mut stack = Stack::start(PREFIX).await?;
    let settings = RunSettings {
        ingestors: 2,
        flippers: 2,
        flip_interval: FLIP_INTERVAL,
        ..RunSettings::default()
    };
    let mut run = Run::start(stack.kafka(), &stack.clusters, settings).await?;
    run.forget_counters();
    let args = ProduceArgs {
        rate: RATE,
        count: RATE * TRAFFIC_FOR.as_secs(),
        traffic: TrafficArgs {
            seed: plan.seed,
            hosts: 60,
            ..TrafficArgs::default()
        },
    };
    let kafka = run.kafka.clone();
    let (sent, _) = watch::channel(0);
    let producing = tokio::spawn(async move { produce(&kafka, &args, sent, CancellationToken::new()).await });
    for step in &plan.steps {
        tokio::time::sleep(step.after).await;
        let mut target = Target {
            run: &mut run,
            stack: &mut stack,
        };
        let struck = target.strike(step.fault, step.victim).await;
        struck.with_context(|| format!("injecting {}", step.fault.label()))?;
    }
    producing.await.context("producing")??;
    run.settle(&stack.clusters, REST_WITHIN).await?;
    let report = run.audit().await?;
    if !report.balances() {
        anyhow::bail!(
            "the books do not balance; logs are in {}\n{report}",
            run.keep().display()
        );
    }
    run.stop().await?;
    Ok(report)
}

fn write(path: &Path, report: &FaultReport) -> anyhow::Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    }
    let json = serde_json::to_vec_pretty(&report.rows).context("writing the report")?;
    std::fs::write(path, json).with_context(|| format!("writing {}", path.display()))
}

#[expect(clippy::print_stdout, reason = "long work shows progress")]
fn say(what: &str) {
    println!("{what}");
}
