//! The drain of one generation: pass after pass over its cluster's slots until every slot counts 0 at its owner.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use generations::protocol::DrainReport;
use generations::{Cluster, SlotCount, Stability};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::batch::BatchLimits;
use crate::pass::Pass;
use crate::publish::Publisher;

/// Between two passes that found nothing to do but are not complete.
const BREATH: Duration = Duration::from_millis(200);
/// Between two lines of the log that say why a drain does not end.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What the drain of one generation needs.
#[derive(Debug)]
pub(crate) struct GenerationDrain {
    /// Its cluster.
    pub cluster: Cluster,
    /// Publishes and removes.
    pub publisher: Publisher,
    /// Bounds of a batch.
    pub limits: BatchLimits,
    /// Partitions of `batches`.
    pub partitions: i32,
    /// When it was opened, Unix milliseconds.
    pub opened_at_ms: u64,
    /// What all drains of it by this process found; it outlives this one.
    pub found: Arc<Mutex<DrainReport>>,
}

impl GenerationDrain {
    /// Drains until a pass is complete, or `stop`. What is in flight then is finished first: whatever was
    /// acknowledged is removed.
    ///
    /// # Errors
    /// Kafka will not take a batch. Redis that does not answer is tried again for as long as it takes.
    pub(crate) async fn run(&self, stop: &CancellationToken) -> anyhow::Result<Option<DrainReport>> {
        let started = Instant::now();
        let mut told = started;
        loop {
            if stop.is_cancelled() {
                return Ok(None);
            }
            match self.cluster_drain().stability().await {
                Ok(stability) if stability.is_complete() => {
                    if let Some(report) = self.report().await {
                        self.publisher
                            .metrics
                            .run_finished(report.keys, started.elapsed());
                        return Ok(Some(report));
                    }
                }
                Ok(stability) => {
                    if !self.pass(stop).await? {
                        if told.elapsed() >= TELL_EVERY {
                            told = Instant::now();
                            self.tell(&stability);
                        }
                        self.breathe(stop).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        generation = self.publisher.generation,
                        error = &error as &dyn std::error::Error,
                        "cluster not drained yet"
                    );
                    self.breathe(stop).await;
                }
            }
        }
    }

    /// The verbs.
    pub(crate) fn cluster_drain(&self) -> &generations::Drain {
        &self.publisher.drain
    }

    /// What a drain waits for that finds nothing to publish, and that no pass of its own will change.
    fn tell(&self, stability: &Stability) {
        tracing::warn!(
            generation = self.publisher.generation,
            masters_agree = stability.agree,
            moving_slots = ?stability.moving,
            filled_slots = stability.filled.len(),
            "cluster not drained yet: it has to be one thing, without a slot that moves"
        );
    }

    async fn breathe(&self, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(BREATH) => {}
        }
    }

    /// The totals with the nodes as they are now; none while an owner does not tell.
    async fn report(&self) -> Option<DrainReport> {
        let survey = self.cluster.survey().await;
        let nodes = survey.nodes_seen();
        survey.is_reachable.then(|| DrainReport {
            nodes,
            slot_owners: survey.owners,
            ..self.found.lock().clone()
        })
    }

    /// Visits every slot that holds keys. Tells whether anything was emitted.
    async fn pass(&self, stop: &CancellationToken) -> anyhow::Result<bool> {
        let counted = match self.cluster_drain().count_slots().await {
            Ok(counted) => counted,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "counting slots");
                return Ok(false);
            }
        };
        let waiting = interleaved(counted, self.cluster.topology().owners().count());
        let mut pass = Pass::new(self, waiting);
        pass.run(stop).await
    }
}

/// The masters' slots in turn: their ranges follow each other, so without this one master would work at a time.
fn interleaved(slots: Vec<SlotCount>, masters: usize) -> VecDeque<SlotCount> {
    let share = slots.len().div_ceil(masters.max(1)).max(1);
    let ranges: Vec<&[SlotCount]> = slots.chunks(share).collect();
    (0..share)
        .flat_map(|index| ranges.iter().filter_map(move |range| range.get(index).copied()))
        .collect()
}
