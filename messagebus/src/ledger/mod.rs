//! What has been handed out, what is done, and what may therefore be committed: pure, one value a consumer.
//!
//! Each partition carries an **epoch**, new at each assignment and each rewind, that its spans carry too. A
//! span of an older epoch is stale: nothing done under it is ever committed.

mod partition;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use partition::Partition;

/// An unbroken piece of a partition, as handed out in one batch.
///
/// Half open: `to` is the consumer's position after it, so that offsets without a record (compacted, control
/// records) count. Consecutive spans of an epoch touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The partition.
    pub partition: i32,
    /// The epoch it was polled under.
    pub epoch: u64,
    /// First offset.
    pub from: i64,
    /// First offset after it.
    pub to: i64,
    /// Records in it.
    pub records: u32,
    /// Timestamp of its first record, Unix milliseconds.
    pub first_timestamp_ms: i64,
}

/// A partition as the polling thread must know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) partition: i32,
    /// The epoch of its assignment.
    pub(crate) assignment: u64,
    /// The epoch that records polled from now on belong to.
    pub(crate) epoch: u64,
    /// Everything below is done; where a new epoch begins.
    pub(crate) done: Option<i64>,
    /// Its records are not wanted now.
    pub(crate) stopped: bool,
}

/// A partition's progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) epoch: u64,
    pub(crate) committed: Option<i64>,
    pub(crate) position: Option<i64>,
    /// Timestamp of the oldest record handed out and not done, Unix milliseconds.
    pub(crate) oldest_ms: Option<i64>,
    pub(crate) stopped: bool,
}

/// The ledger of all partitions that a consumer holds.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    partitions: BTreeMap<i32, Partition>,
    last_epoch: u64,
}

impl Ledger {
    /// Takes partitions over, each under a new epoch.
    pub(crate) fn assign(&mut self, partitions: impl IntoIterator<Item = i32>) {
        for partition in partitions {
            let epoch = self.next_epoch();
            self.partitions.insert(partition, Partition::new(epoch));
        }
    }

    /// Hands no more of these partitions out; what has begun may still be completed.
    pub(crate) fn start_revoking(&mut self, partitions: &[i32]) {
        for partition in partitions {
            if let Some(partition) = self.partitions.get_mut(partition) {
                partition.revoke();
            }
        }
    }

    /// Gives these partitions up; all their spans are stale from now on.
    pub(crate) fn remove(&mut self, partitions: &[i32]) {
        for partition in partitions {
            self.partitions.remove(partition);
        }
    }

    /// Whether anything of these partitions has begun and is neither complete nor forgotten.
    pub(crate) fn has_begun(&self, partitions: &[i32]) -> bool {
        partitions
            .iter()
            .filter_map(|partition| self.partitions.get(partition))
            .any(Partition::has_begun)
    }

    /// Notes a span that is about to be handed out; false when its epoch is over.
    pub(crate) fn deliver(&mut self, span: &Span) -> bool {
        self.current(span)
            .is_some_and(|partition| partition.deliver(span))
    }

    /// Whether the span's work may begin: its epoch is not over and its partition is not stopped.
    pub(crate) fn begin(&mut self, span: &Span) -> bool {
        self.current(span).is_some_and(|partition| partition.begin(span))
    }

    /// Whether the span's epoch goes on.
    pub(crate) fn is_current(&self, span: &Span) -> bool {
        self.partitions
            .get(&span.partition)
            .is_some_and(|partition| partition.epoch == span.epoch)
    }

    /// Whether the span's epoch is about to end: its partition is being taken away.
    pub(crate) fn is_leaving(&self, span: &Span) -> bool {
        self.is_current(span)
            && self
                .partitions
                .get(&span.partition)
                .is_some_and(|partition| partition.revoking)
    }

    /// Notes that the span's work is durable; false when its epoch is over, which makes it a repeat.
    pub(crate) fn complete(&mut self, span: &Span) -> bool {
        self.current(span)
            .is_some_and(|partition| partition.complete(span))
    }

    /// Notes that a begun span will not be completed: nothing waits for it, and nothing behind it is committed.
    pub(crate) fn forget(&mut self, span: &Span) {
        if let Some(partition) = self.current(span) {
            partition.forget(span);
        }
    }

    /// Takes every partition back to what is done, under new epochs.
    pub(crate) fn rewind(&mut self) {
        let all: Vec<i32> = self.assigned();
        for partition in all {
            self.restart(partition);
        }
    }

    /// Stops a partition: what has begun may be completed, nothing else begins. False when it is not held.
    pub(crate) fn stop(&mut self, partition: i32) -> bool {
        self.partitions
            .get_mut(&partition)
            .map(|partition| partition.stopped = true)
            .is_some()
    }

    /// Lets a stopped partition go on from what is done, under a new epoch. False when it was not stopped.
    pub(crate) fn resume(&mut self, partition: i32) -> bool {
        let stopped = self
            .partitions
            .get_mut(&partition)
            .filter(|partition| partition.stopped);
        let Some(held) = stopped else { return false };
        held.stopped = false;
        self.restart(partition);
        true
    }

    /// What is done and was not asked to be committed yet, which it counts as from now on.
    pub(crate) fn take_commits(&mut self) -> Vec<(i32, i64)> {
        let due = |(&number, partition): (&i32, &mut Partition)| Some((number, partition.take_commit()?));
        self.partitions.iter_mut().filter_map(due).collect()
    }

    /// What is done of these partitions and not acknowledged yet.
    pub(crate) fn unacknowledged(&self, partitions: &[i32]) -> Vec<(i32, i64)> {
        let open = |number: &i32| Some((*number, self.partitions.get(number)?.unacknowledged()?));
        partitions.iter().filter_map(open).collect()
    }

    /// Notes an offset that the broker has committed for the group.
    pub(crate) fn acknowledge(&mut self, partition: i32, offset: i64) {
        if let Some(partition) = self.partitions.get_mut(&partition) {
            partition.acknowledge(offset);
        }
    }

    /// Notes that the broker did not commit: what is done of the partition is due again.
    pub(crate) fn refuse(&mut self, partition: i32) {
        if let Some(partition) = self.partitions.get_mut(&partition) {
            partition.refuse();
        }
    }

    /// Makes what is done and not acknowledged due again, of every partition: its commit may never be answered.
    pub(crate) fn refuse_all(&mut self) {
        self.partitions.values_mut().for_each(Partition::refuse);
    }

    /// The partitions held.
    pub(crate) fn assigned(&self) -> Vec<i32> {
        self.partitions.keys().copied().collect()
    }

    /// Every partition held, as the polling thread must know it.
    pub(crate) fn views(&self) -> Vec<View> {
        let view = |(&number, partition): (&i32, &Partition)| View {
            partition: number,
            assignment: partition.assignment,
            epoch: partition.epoch,
            done: partition.done,
            stopped: partition.stopped,
        };
        self.partitions.iter().map(view).collect()
    }

    /// Every partition's progress.
    pub(crate) fn progress(&self) -> BTreeMap<i32, Progress> {
        self.partitions
            .iter()
            .map(|(&number, partition)| (number, partition.progress()))
            .collect()
    }

    fn current(&mut self, span: &Span) -> Option<&mut Partition> {
        self.partitions
            .get_mut(&span.partition)
            .filter(|partition| partition.epoch == span.epoch)
    }

    fn restart(&mut self, partition: i32) {
        let epoch = self.next_epoch();
        if let Some(partition) = self.partitions.get_mut(&partition) {
            partition.restart(epoch);
        }
    }

    fn next_epoch(&mut self) -> u64 {
        self.last_epoch += 1;
        self.last_epoch
    }
}
