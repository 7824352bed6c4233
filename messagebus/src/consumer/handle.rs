//! The handle by which tasks report what is done and steer the polling thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{ConsumerOptions, shared::Shared};
use crate::ledger::Span;

/// How a partition stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartitionStatus {
    /// The partition.
    pub partition: i32,
    /// The epoch of its assignment or last rewind.
    pub epoch: u64,
    /// The group's committed offset, as far as known.
    pub committed: Option<i64>,
    /// The offset after the last record handed out.
    pub position: Option<i64>,
    /// The partition's end, as last heard.
    pub high_watermark: Option<i64>,
    /// Records between the committed offset and the end.
    pub lag_messages: i64,
    /// Age of the oldest record that is not done, 0 when there is none.
    pub lag_seconds: f64,
    /// Stopped by [`Consumer::stop_partition`].
    pub stopped: bool,
}

/// A member of a consumer group. Cheap to clone, all clones are one; none of its methods blocks for longer than
/// a short lock.
#[derive(Clone)]
pub struct Consumer {
    guard: Arc<Guard>,
    ended: watch::Receiver<bool>,
}

/// Ends the polling thread with the last handle.
struct Guard {
    shared: Arc<Shared>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl Consumer {
    pub(super) fn new(shared: Arc<Shared>, ended: watch::Receiver<bool>) -> Self {
        Self {
            guard: Arc::new(Guard { shared }),
            ended,
        }
    }

    /// Says that work on a span begins. False when its partition was revoked, stopped or rewound since: its
    /// records must be dropped then, and will be read again by whoever holds the partition.
    #[must_use = "records of a span that may not begin are dropped"]
    pub fn begin(&self, span: &Span) -> bool {
        self.shared().begin(span)
    }

    /// Whether a span that has begun still counts: long work on one that does not may be abandoned.
    pub fn is_current(&self, span: &Span) -> bool {
        self.shared().lock().ledger.is_current(span)
    }

    /// Whether a span that has begun still counts and its partition is being taken away: the group waits for it, so
    /// whoever cannot get on forgets it.
    pub fn is_leaving(&self, span: &Span) -> bool {
        self.shared().lock().ledger.is_leaving(span)
    }

    /// Says that a span's work is durable. Its offsets are committed, within 200 ms and asynchronously, once
    /// everything before them is done. Ignored when the span's epoch is over.
    pub fn complete(&self, span: &Span) {
        self.shared().complete(span);
    }

    /// Says that a begun span will not be completed, so that nothing waits for it. Nothing behind it is
    /// committed until a rewind.
    pub fn forget(&self, span: &Span) {
        self.shared().forget(span);
    }

    /// Takes every partition back to where everything is done, under new epochs. All earlier spans are stale
    /// from the moment this returns, those of batches in the channel too.
    pub fn rewind(&self) {
        self.shared().change(|state| state.ledger.rewind());
    }

    /// Stops the records while polling goes on, for a reason; progress is not expected meanwhile. Takes effect
    /// within a poll, 50 ms; batches polled before stay in the channel.
    pub fn pause(&self, reason: &'static str) {
        self.shared().lock().pauses.insert(reason);
    }

    /// Takes a reason to pause back; records flow once there is none left.
    pub fn resume(&self, reason: &'static str) {
        self.shared().lock().pauses.remove(reason);
    }

    /// Expects no progress for so long, though records flow: what stands still is not this process's doing, or it is
    /// on its way to the next commit. Said again and again by whoever works, so that one who hangs is not excused.
    pub fn excuse(&self, time: Duration) {
        self.shared().lock().excused_until = Some(Instant::now() + time);
    }

    /// Whether no progress is expected now: the input is paused for a reason, or was excused and the time is not over.
    pub fn is_excused(&self) -> bool {
        self.shared().lock().is_excused()
    }

    /// Stops one partition: what has begun may be completed, nothing else of it begins. False when this process
    /// does not hold it.
    pub fn stop_partition(&self, partition: i32) -> bool {
        self.shared().change(|state| state.ledger.stop(partition))
    }

    /// Lets a stopped partition go on from where everything is done. False when it was not stopped.
    pub fn resume_partition(&self, partition: i32) -> bool {
        self.shared().change(|state| state.ledger.resume(partition))
    }

    /// How each partition that this process holds stands, in order.
    pub fn partitions(&self) -> Vec<PartitionStatus> {
        self.shared().statuses(crate::clock::now_ms())
    }

    /// The committed offset of each partition that this process holds, where one is known.
    pub fn committed(&self) -> Vec<(i32, Option<i64>)> {
        self.partitions()
            .iter()
            .map(|status| (status.partition, status.committed))
            .collect()
    }

    /// Whether the group has let this process in, with partitions or without.
    pub fn has_joined(&self) -> bool {
        self.shared().lock().joined
    }

    /// Bytes of batches that were polled and not dropped yet.
    pub fn buffered_bytes(&self) -> usize {
        self.shared().buffer.used()
    }

    /// How it was asked to read.
    pub fn options(&self) -> &ConsumerOptions {
        &self.shared().options
    }

    /// Leaves the group: nothing begins any more, begun spans have `revoke_grace` to be completed, offsets are
    /// committed synchronously. Returns when that is done. Cancel-safe: the leaving goes on.
    pub async fn close(&self) {
        self.shared().stop();
        let mut ended = self.ended.clone();
        // An error means that the thread is gone, which is what is waited for.
        drop(ended.wait_for(|ended| *ended).await);
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.guard.shared
    }
}

impl Shared {
    /// How each partition stands at this Unix time in milliseconds.
    pub(super) fn statuses(&self, now_ms: u64) -> Vec<PartitionStatus> {
        let mut state = self.lock();
        let progress = state.ledger.progress();
        let mut statuses = Vec::with_capacity(progress.len());
        for (partition, progress) in progress {
            let end = state.ends.entry(partition).or_default();
            statuses.push(PartitionStatus {
                partition,
                epoch: progress.epoch,
                committed: progress.committed,
                position: progress.position,
                high_watermark: end.high,
                lag_messages: end.lag_messages(&progress),
                lag_seconds: end.lag_seconds(&progress, now_ms),
                stopped: progress.stopped,
            });
        }
        statuses
    }
}
