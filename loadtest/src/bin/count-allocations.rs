//! Prints how many heap allocations one more valid canonical record costs the ingestor's own code: decoding, every
//! step, the recent filter, the key name. Part of `loadtest bench`.

use std::alloc::System;

use loadtest::bench::Subject;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A batch, as the ingestor polls it at most, and another of twice as many records.
const BATCH: usize = 10_000;

#[expect(clippy::print_stdout, reason = "it is run for that number")]
#[expect(clippy::cast_precision_loss, reason = "a count of allocations is small")]
fn main() -> anyhow::Result<()> {
    let mut subject = Subject::new(2 * BATCH as u64)?;
    // Buffers have grown to their size after that.
    subject.judge(2 * BATCH);
    let batch = count(&mut subject, BATCH)?;
    let twice = count(&mut subject, 2 * BATCH)?;
    println!("{}", twice.saturating_sub(batch) as f64 / BATCH as f64);
    Ok(())
}

/// Allocations, growing ones included, of a batch of so many records.
fn count(subject: &mut Subject, records: usize) -> anyhow::Result<usize> {
    let region = Region::new(ALLOCATOR);
    let accepted = subject.judge(records);
    let change = region.change();
    anyhow::ensure!(
        accepted == records,
        "{accepted} of {records} records were accepted"
    );
    Ok(change.allocations + change.reallocations)
}
