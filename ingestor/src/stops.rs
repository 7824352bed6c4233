//! The stop rules of the partitions that this process holds, shared by the ingest loop and the admin port.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::stop::{StopCause, StopRule};

/// One rule a partition; all clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stops(Arc<Mutex<BTreeMap<i32, StopRule>>>);

/// The rules while a batch is judged.
pub(crate) struct Judging<'a> {
    rules: MutexGuard<'a, BTreeMap<i32, StopRule>>,
    second: u64,
}

impl Stops {
    /// Begins to judge records at this second of any clock that does not go back.
    pub(crate) fn judging(&self, second: u64) -> Judging<'_> {
        Judging {
            rules: self.0.lock(),
            second,
        }
    }

    /// Keeps the rules of these partitions alone: another process begins with new ones.
    pub(crate) fn retain(&self, held: &[i32]) {
        self.0.lock().retain(|partition, _| held.contains(partition));
    }

    /// Why a partition is stopped.
    pub(crate) fn cause(&self, partition: i32) -> Option<StopCause> {
        self.0.lock().get(&partition).and_then(StopRule::cause)
    }

    /// Begins a partition's rule anew.
    pub(crate) fn reset(&self, partition: i32) {
        self.0.lock().remove(&partition);
    }
}

impl Judging<'_> {
    /// Counts records of one partition in their order; says why it must stop, once it must.
    pub(crate) fn judged(
        &mut self,
        partition: i32,
        rejected: impl Iterator<Item = bool>,
    ) -> Option<StopCause> {
        let rule = self.rules.entry(partition).or_default();
        let was_stopped = rule.cause().is_some();
        rule.advance(self.second);
        rejected.for_each(|rejected| rule.judged(rejected));
        rule.cause().filter(|_| !was_stopped)
    }
}
