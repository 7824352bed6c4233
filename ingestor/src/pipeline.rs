//! Takes a batch through the steps.
//!
//! Records go through the steps a block at a time, each step over the whole block: so a step is timed by two
//! readings of the clock a block and observed once a batch, and a block stays in the processor's cache. The
//! block's memory is allocated once a batch and a valid canonical record borrows all it needs, so a record
//! costs no allocation.

use std::time::{Duration, Instant};

use hint_schema::cache_miss;
use messagebus::consumer::Record;

use crate::hint::{Hint, Judged};
use crate::reason::Reason;
use crate::transformation::{Transformation, Transformations};
use crate::zones::Zones;

/// Records that go through the steps together: about 50 KiB of hints.
const BLOCK: usize = 256;

/// The name of the step that comes before all others.
pub const DECODE: &str = "decode";

/// The steps of this process, and the time that each took.
#[derive(Debug)]
pub struct Pipeline {
    steps: Vec<Step>,
    decoding: Duration,
}

#[derive(Debug)]
struct Step {
    name: &'static str,
    transformation: Box<dyn Transformation>,
    took: Duration,
}

impl Pipeline {
    /// The steps that the setting names.
    #[must_use]
    pub fn new(transformations: &Transformations) -> Self {
        let steps = transformations.steps().map(|step| Step {
            name: step.name,
            transformation: (step.build)(),
            took: Duration::ZERO,
        });
        Self {
            steps: steps.collect(),
            decoding: Duration::ZERO,
        }
    }

    /// Judges every record and hands each to `sink`, in order.
    pub fn judge<'a>(
        &mut self,
        records: impl Iterator<Item = Record<'a>>,
        zones: &'a Zones,
        mut sink: impl FnMut(Judged<'a>),
    ) {
        let mut records = records.peekable();
        let mut block = Vec::with_capacity(BLOCK);
        while records.peek().is_some() {
            let started = Instant::now();
            block.extend(records.by_ref().take(BLOCK).map(decode));
            let mut before = Instant::now();
            self.decoding += before - started;
            for step in &mut self.steps {
                step.transformation.judge_all(&mut block, zones);
                let after = Instant::now();
                step.took += after - before;
                before = after;
            }
            block.drain(..).for_each(&mut sink);
        }
    }

    /// The time that each step took since the last call, by name.
    pub fn take_times(&mut self) -> impl Iterator<Item = (&'static str, Duration)> + '_ {
        let decoding = std::mem::take(&mut self.decoding);
        let steps = self
            .steps
            .iter_mut()
            .map(|step| (step.name, std::mem::take(&mut step.took)));
        std::iter::once((DECODE, decoding)).chain(steps)
    }
}

fn decode(record: Record<'_>) -> Judged<'_> {
    Judged {
        record,
        verdict: cache_miss::read(record.payload)
            .map_err(Reason::from)
            .map(Hint::new),
    }
}

#[cfg(test)]
#[path = "pipeline_tests.rs"]
mod tests;
