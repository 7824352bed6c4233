//! `plan`: what a load takes, from the costs that `bench` measured. Arithmetic and nothing else: [`size`] is pure.

mod costs;
mod limits;
mod load;
mod size;
mod table;

use std::path::PathBuf;

use clap::Args;

pub use costs::Costs;
pub use limits::Limit;
pub use load::Load;
pub use size::{Sizing, size};

use crate::bench::Report;

/// What to plan for.
#[derive(Args, Clone, Debug)]
pub struct PlanArgs {
    /// The load.
    #[command(flatten)]
    pub load: Load,
    /// Report of `make bench` with the costs of each step
    #[arg(long, default_value = "target/bench/report.json")]
    pub report: PathBuf,
    /// Prints JSON
    #[arg(long)]
    pub json: bool,
}

/// Plans.
///
/// # Errors
/// The report cannot be read or lacks a cost, or the load makes no sense.
pub fn plan(args: &PlanArgs) -> anyhow::Result<Sizing> {
    args.load.check()?;
    let costs = Costs::of(&Report::read(&args.report)?)?;
    Ok(size(&args.load, &costs))
}
