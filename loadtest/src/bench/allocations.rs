//! Heap allocations of our own code for one more record: counted by `count-allocations`, whose allocator counts, since
//! one that counts would slow down everything else here.

use anyhow::Context;
use tokio::process::Command;

use super::ground::Ground;
use super::metric::ALLOCATIONS;
use crate::service::beside_this;

const PROGRAM: &str = "count-allocations";

/// Measures the row of allocations.
///
/// # Errors
/// The program was not built, or fails.
pub(super) async fn measure(ground: &mut Ground) -> anyhow::Result<()> {
    let program = beside_this(PROGRAM)?;
    let output = Command::new(&program).kill_on_drop(true).output().await;
    let output = output.with_context(|| format!("running {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let counted: f64 = text
        .trim()
        .parse()
        .with_context(|| format!("{PROGRAM} ended with {}: {text} {errors}", output.status))?;
    ground.progress.step(&format!("allocations: {counted} a record"));
    ground.report.add(&ALLOCATIONS, vec![counted], 0.0);
    Ok(())
}
