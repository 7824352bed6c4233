//! `bench`: every goal that can be measured on one machine, with the figures behind it, as a table, JSON and pictures.
//!
//! A goal is a ratio of two things that run in turn in the same run, or CPU time an item: absolute rates of a shared
//! machine swing too much. What the product is compared with is in `opponents/`, a file each. A measurement adds rows
//! to the report; which there are says `metric`.

mod allocations;
mod cpu;
mod dispatch;
mod drains;
pub(crate) mod everything;
pub(crate) mod flow;
pub(crate) mod ground;
mod growth;
mod ingest;
mod input;
mod machine;
pub(crate) mod metric;
mod mix;
pub(crate) mod number;
mod opponents;
mod pace;
mod pilot;
mod plot;
mod report;
pub(crate) mod sink;
mod size;
mod statistics;
mod subject;

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

pub use metric::{GOALS, Metric};
pub use report::{Curve, Line, Report, Row, Share};
pub use size::Size;
pub use statistics::{Verdict, judge, median, spread};
pub use subject::Subject;

use crate::progress::Progress;
use ground::Ground;
use size::Plan;

/// What to measure.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// How large a run
    #[arg(long, value_enum, default_value_t = Size::Full)]
    pub size: Size,
    /// Records of the larger input whose time a record is compared with that of a tenth of it
    #[arg(long, value_parser = clap::value_parser!(u64).range(10..))]
    pub growth_records: Option<u64>,
    /// Directory of the report and its pictures
    #[arg(long, default_value = "target/bench")]
    pub dir: PathBuf,
}

/// Measures everything. What fails is said in the report, and the rest is measured all the same.
///
/// # Errors
/// The stack does not start, or the report cannot be written.
pub async fn bench(args: &BenchArgs) -> anyhow::Result<Report> {
    let dir = &args.dir;
    std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    let plan = args.size.plan(args.growth_records);
    let mut ground = Box::pin(Ground::start(plan, dir.clone(), Progress::new(steps(&plan)))).await?;
    args.size.name().clone_into(&mut ground.report.size);
    let done = Box::pin(allocations::measure(&mut ground)).await;
    close(&mut ground, "allocations", done)?;
    let done = Box::pin(ingest::measure(&mut ground)).await;
    close(&mut ground, "the ingestor's rows", done)?;
    let done = Box::pin(drains::measure(&mut ground)).await;
    close(&mut ground, "the drain's rows", done)?;
    let done = Box::pin(dispatch::measure(&mut ground)).await;
    close(&mut ground, "the dispatcher's rows", done)?;
    let done = Box::pin(growth::measure(&mut ground)).await;
    close(&mut ground, "growth", done)?;
    let done = Box::pin(everything::measure(&mut ground)).await;
    close(&mut ground, "everything at once", done)?;
    Ok(ground.report)
}

/// Notes what failed, and writes what there is so far: a later failure takes nothing with it.
fn close(ground: &mut Ground, what: &str, done: anyhow::Result<()>) -> anyhow::Result<()> {
    if let Err(error) = done {
        let failure = format!("{what} could not be measured: {error:#}");
        ground.progress.say(&failure);
        ground.report.failures.push(failure);
    }
    ground.report.write(&ground.dir)?;
    plot::draw(&ground.report, &ground.dir)?;
    Ok(())
}

/// How often a run says that something is done.
fn steps(plan: &Plan) -> u64 {
    let (rounds, growth) = (plan.rounds as u64, plan.growth_rounds as u64);
    1 + 3 * rounds + 2 * growth + plan.spread_hosts.len() as u64 + 3
}
