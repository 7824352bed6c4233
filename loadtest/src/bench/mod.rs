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
use clap::{Args, ValueEnum};

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
    /// Measure this part alone; may be given several times
    #[arg(long, value_enum)]
    pub only: Vec<Part>,
    /// Records of the larger input whose time a record is compared with that of a tenth of it
    #[arg(long, value_parser = clap::value_parser!(u64).range(10..))]
    pub growth_records: Option<u64>,
    /// Directory of the report and its pictures
    #[arg(long, default_value = "target/bench")]
    pub dir: PathBuf,
}

/// What is measured in one go, with rows of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Heap allocations a record
    Allocations,
    /// The ingestor and its opponents
    Ingest,
    /// The flipper's drain and its opponent
    Drain,
    /// The dispatcher and its opponent
    Dispatch,
    /// Time and memory as the input, a generation and the hosts grow
    Growth,
    /// All services at once: the rate that they sustain, and a burst
    Everything,
}

/// Measures everything, or what `only` names. What fails is said in the report, and the rest is measured all the same.
///
/// # Errors
/// The stack does not start, or the report cannot be written.
pub async fn bench(args: &BenchArgs) -> anyhow::Result<Report> {
    let dir = &args.dir;
    std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    let plan = args.size.plan(args.growth_records);
    let parts = args.parts();
    let steps = parts.iter().map(|part| part.steps(&plan)).sum();
    let mut ground = Box::pin(Ground::start(plan, dir.clone(), Progress::new(steps))).await?;
    args.size.name().clone_into(&mut ground.report.size);
    for part in parts {
        let done = part.measure(&mut ground).await;
        close(&mut ground, part, done)?;
    }
    Ok(ground.report)
}

/// Notes what failed, and writes what there is so far: a later failure takes nothing with it.
fn close(ground: &mut Ground, part: Part, done: anyhow::Result<()>) -> anyhow::Result<()> {
    if let Err(error) = done {
        let failure = format!("{} could not be measured: {error:#}", part.rows());
        ground.progress.say(&failure);
        ground.report.failures.push(failure);
    }
    ground.report.write(&ground.dir)?;
    plot::draw(&ground.report, &ground.dir)?;
    Ok(())
}

impl BenchArgs {
    fn parts(&self) -> Vec<Part> {
        let is_wanted = |part: &Part| self.only.is_empty() || self.only.contains(part);
        Part::value_variants().iter().copied().filter(is_wanted).collect()
    }
}

impl Part {
    async fn measure(self, ground: &mut Ground) -> anyhow::Result<()> {
        match self {
            Self::Allocations => Box::pin(allocations::measure(ground)).await,
            Self::Ingest => Box::pin(ingest::measure(ground)).await,
            Self::Drain => Box::pin(drains::measure(ground)).await,
            Self::Dispatch => Box::pin(dispatch::measure(ground)).await,
            Self::Growth => Box::pin(growth::measure(ground)).await,
            Self::Everything => Box::pin(everything::measure(ground)).await,
        }
    }

    /// Its rows of the report, in words.
    fn rows(self) -> &'static str {
        match self {
            Self::Allocations => "allocations",
            Self::Ingest => "the ingestor's rows",
            Self::Drain => "the drain's rows",
            Self::Dispatch => "the dispatcher's rows",
            Self::Growth => "growth",
            Self::Everything => "everything at once",
        }
    }

    /// How often it says that something is done.
    fn steps(self, plan: &Plan) -> u64 {
        let (rounds, growth) = (plan.rounds as u64, plan.growth_rounds as u64);
        match self {
            Self::Allocations => 1,
            Self::Ingest | Self::Drain | Self::Dispatch => rounds,
            Self::Growth => 2 * growth + plan.spread_hosts.len() as u64,
            Self::Everything => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_measured_and_everything_where_nothing_is() {
        let parts = |only: &[Part]| {
            let args = BenchArgs {
                size: Size::Smoke,
                only: only.to_vec(),
                growth_records: None,
                dir: PathBuf::new(),
            };
            args.parts()
        };
        assert_eq!(parts(&[Part::Growth, Part::Drain]), [Part::Drain, Part::Growth]);
        assert_eq!(parts(&[]), Part::value_variants());
    }
}
