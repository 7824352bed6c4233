//! Faults against the whole pipeline, seeded: what fails, when, alone or in pairs. Each run ends with the books.

mod attempt;
mod fault;
mod flips;
mod inject;
mod plan;
mod report;
mod soak;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use futures_util::stream::StreamExt;

pub use fault::Fault;
pub use flips::{FlipReport, FlipsArgs, flips};
pub use plan::{Plan, Step};
pub use report::{FaultReport, Row};
pub use soak::{SoakArgs, soak};

use crate::progress::Progress;
use attempt::attempt;

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
    #[arg(long, default_value_t = 4)]
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
    let mut plans: Vec<Plan> = (args.seed..args.seed + args.seeds).map(Plan::of).collect();
    // The longest fault first: begun last, it would be waited for alone.
    plans.sort_by_key(|plan| !plan.has(Fault::ProduceTimesOut));
    let plans = futures_util::stream::iter(plans);
    let mut rows = plans.map(run_plan).buffer_unordered(args.jobs.max(1));
    let mut report = FaultReport::default();
    let progress = Progress::new(args.seeds);
    while let Some(row) = rows.next().await {
        progress.step(&row.verdict());
        report.rows.push(row);
    }
    report.rows.sort_by_key(|row| row.seed);
    write(&args.report, &report)?;
    Ok(report)
}

/// One run with its faults.
async fn run_plan(plan: Plan) -> Row {
    Row::of(&plan, Box::pin(attempt(&plan)).await)
}

fn write(path: &Path, report: &FaultReport) -> anyhow::Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    }
    let json = serde_json::to_vec_pretty(&report.rows).context("writing the report")?;
    std::fs::write(path, json).with_context(|| format!("writing {}", path.display()))
}
