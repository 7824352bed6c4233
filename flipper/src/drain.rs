//! The drain of one generation: pass after pass over its cluster's slots, many of them in flight, until every
//! slot counts 0 at its owner.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::FuturesUnordered;
use generations::protocol::DrainReport;
use generations::{Cluster, DrainError, PageKey, SlotCount};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::batch::{Assembled, Assembler, BatchLimits};
use crate::publish::{Published, Publisher};

/// Slots that are read at once.
const SLOTS_IN_FLIGHT: usize = 64;
/// Keys being read or not yet removed: what a drain holds in memory, whatever the generation's size.
const KEYS_IN_FLIGHT: usize = 60_000;
/// Keys of one slot read at once: a full batch of one host. A slot with more is met again by the next pass.
const PAGE: usize = 10_000;
/// Between two passes that found nothing to do but are not complete.
const BREATH: Duration = Duration::from_millis(200);

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

/// A step of a pass that has ended.
enum Ended {
    Read {
        slot: u16,
        /// Keys that were counted in flight for it.
        reserved: usize,
        page: Result<Vec<PageKey>, DrainError>,
    },
    Published {
        names: usize,
        result: anyhow::Result<Published>,
    },
}

/// One pass over the slots that held keys when it began.
struct Pass<'a> {
    drain: &'a GenerationDrain,
    assembler: Assembler,
    waiting: VecDeque<SlotCount>,
    work: FuturesUnordered<BoxFuture<'a, Ended>>,
    reading: usize,
    keys_in_flight: usize,
}

impl GenerationDrain {
    /// Drains until a pass is complete, or `stop`. What is in flight then is finished first: whatever was
    /// acknowledged is removed.
    ///
    /// # Errors
    /// Kafka will not take a batch. Redis that does not answer is tried again for as long as it takes.
    pub(crate) async fn run(&self, stop: &CancellationToken) -> anyhow::Result<Option<DrainReport>> {
        let started = Instant::now();
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
                Ok(_) => {
                    if !self.pass(stop).await? {
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

    fn cluster_drain(&self) -> &generations::Drain {
        &self.publisher.drain
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
        let mut pass = Pass {
            drain: self,
            assembler: Assembler::new(
                self.publisher.generation,
                self.opened_at_ms,
                self.partitions,
                self.limits,
            ),
            waiting: interleaved(counted, self.cluster.topology().owners().count()),
            work: FuturesUnordered::new(),
            reading: 0,
            keys_in_flight: 0,
        };
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

impl Pass<'_> {
    async fn run(&mut self, stop: &CancellationToken) -> anyhow::Result<bool> {
        let mut emitted = false;
        loop {
            if stop.is_cancelled() {
                self.waiting.clear();
            }
            self.read_ahead();
            if self.work.is_empty() {
                // Nothing moves but what waits in open batches: out with it.
                let open = self.assembler.close();
                if open.is_empty() {
                    break;
                }
                open.into_iter().for_each(|batch| self.publish(batch));
            }
            match self.work.next().await {
                None => {}
                Some(Ended::Read { slot, reserved, page }) => {
                    self.keys_in_flight -= reserved;
                    self.take(slot, page);
                }
                Some(Ended::Published { names, result }) => {
                    self.keys_in_flight -= names;
                    self.count(result?);
                    emitted = true;
                }
            }
        }
        self.tell_left_alone();
        Ok(emitted)
    }

    fn read_ahead(&mut self) {
        while self.reading < SLOTS_IN_FLIGHT && self.keys_in_flight < KEYS_IN_FLIGHT {
            let Some(SlotCount { slot, keys }) = self.waiting.pop_front() else {
                return;
            };
            // Counted before they are read: pages under way are memory as well.
            let reserved = usize::try_from(keys).unwrap_or(PAGE).min(PAGE);
            self.keys_in_flight += reserved;
            self.reading += 1;
            let verbs = self.drain.cluster_drain();
            let bus = &self.drain.publisher.bus;
            let read = async move {
                let started = Instant::now();
                let page = verbs.read_page(slot, PAGE).await;
                bus.step("read").observe(started.elapsed().as_secs_f64());
                Ended::Read { slot, reserved, page }
            };
            self.work.push(read.boxed());
        }
    }

    fn take(&mut self, slot: u16, page: Result<Vec<PageKey>, DrainError>) {
        self.reading -= 1;
        match page {
            Ok(page) => {
                let (full, taken) = self.assembler.add(slot, page);
                self.keys_in_flight += taken;
                full.into_iter().for_each(|batch| self.publish(batch));
            }
            Err(error) => {
                tracing::warn!(
                    slot,
                    error = &error as &dyn std::error::Error,
                    "slot not read, visited again later"
                );
            }
        }
    }

    fn publish(&mut self, batch: Assembled) {
        let publisher = &self.drain.publisher;
        let names = batch.names.len();
        self.work.push(
            async move {
                Ended::Published {
                    names,
                    result: publisher.publish(batch).await,
                }
            }
            .boxed(),
        );
    }

    fn count(&self, published: Published) {
        let mut found = self.drain.found.lock();
        found.keys += published.keys;
        found.hash = found.hash.wrapping_add(published.hash);
        found.late_keys += published.late_keys;
        found.merged_keys += published.merged_keys;
        found.batches += 1;
        found.unlink_unknown |= published.unlink_unknown;
    }

    fn tell_left_alone(&mut self) {
        let left = self.assembler.take_left_alone();
        if left.foreign > 0 {
            let cluster = self.drain.cluster.name();
            tracing::error!(
                redis_cluster = cluster.label(),
                keys = left.foreign,
                "keys that no writer of ours made: the generation cannot settle until somebody removes them"
            );
        }
    }
}
