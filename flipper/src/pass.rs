//! One pass of a drain over the slots that held keys when it began, many of them in flight, in bounded memory.

use std::collections::VecDeque;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::FuturesUnordered;
use generations::{DrainError, Page, SlotCount};
use tokio_util::sync::CancellationToken;

use crate::batch::{Assembler, Batch};
use crate::deep::DeepSlots;
use crate::drain::GenerationDrain;
use crate::publish::Published;
use crate::room::{Room, Taken};

/// Slots that are read at once.
const SLOTS_IN_FLIGHT: usize = 64;

/// A step that has ended.
enum Ended {
    Read {
        slot: SlotCount,
        page: Result<Page, DrainError>,
        room: Taken,
    },
    Published {
        batch: Batch,
        result: anyhow::Result<Published>,
        room: Taken,
    },
}

/// One pass.
pub(crate) struct Pass<'a> {
    drain: &'a GenerationDrain,
    assembler: Assembler,
    waiting: VecDeque<SlotCount>,
    deep: DeepSlots,
    work: FuturesUnordered<BoxFuture<'a, Ended>>,
    reading: usize,
    room: Room,
}

impl<'a> Pass<'a> {
    /// A pass over `waiting`, in that order.
    pub(crate) fn new(drain: &'a GenerationDrain, waiting: VecDeque<SlotCount>) -> Self {
        let assembler = Assembler::new(
            drain.publisher.generation,
            drain.opened_at_ms,
            drain.partitions,
            drain.limits,
        );
        Self {
            drain,
            assembler,
            waiting,
            deep: DeepSlots::default(),
            work: FuturesUnordered::new(),
            reading: 0,
            room: Room::default(),
        }
    }

    /// Runs it to its end, or until what is in flight at `stop` is finished. Tells whether anything was emitted.
    ///
    /// # Errors
    /// Kafka will not take a batch.
    pub(crate) async fn run(&mut self, stop: &CancellationToken) -> anyhow::Result<bool> {
        let mut emitted = false;
        loop {
            if stop.is_cancelled() {
                self.waiting.clear();
            }
            self.read_ahead();
            while self.room.is_full_of_open_batches() && self.publish_largest() {}
            if self.work.is_empty() {
                // Nothing moves but what waits in open batches: out with it.
                while self.publish_largest() {}
            }
            match self.work.next().await {
                None => break,
                Some(Ended::Read { slot, page, room }) => {
                    self.room.give_back(room);
                    self.reading -= 1;
                    self.take(slot, page);
                }
                Some(Ended::Published { batch, result, room }) => {
                    self.room.give_back(room);
                    let published = result?;
                    self.count(published);
                    let all = published.left == 0 && !published.unlink_unknown;
                    for slot in self.deep.removed(batch.names(), all) {
                        self.waiting.push_front(slot);
                    }
                    emitted = true;
                }
            }
        }
        self.tell_left_alone();
        Ok(emitted)
    }

    fn read_ahead(&mut self) {
        while self.reading < SLOTS_IN_FLIGHT && !self.room.is_full() {
            let Some(slot) = self.waiting.pop_front() else {
                return;
            };
            // A page is what one batch of one host holds: the slots of a large host hold little else.
            let limit = self.drain.limits.urls_of_one_host(self.room.mean());
            let keys = usize::try_from(slot.keys).unwrap_or(limit);
            // Taken before they are read: pages under way are memory as well.
            let room = self.room.read(keys.min(limit));
            self.reading += 1;
            let verbs = self.drain.cluster_drain();
            let bus = &self.drain.publisher.bus;
            let read = async move {
                let started = Instant::now();
                let page = verbs.read_page(slot.slot, limit).await;
                bus.step("read").observe(started.elapsed().as_secs_f64());
                Ended::Read { slot, page, room }
            };
            self.work.push(read.boxed());
        }
    }

    fn take(&mut self, counted: SlotCount, page: Result<Page, DrainError>) {
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(
                    slot = counted.slot,
                    error = &error as &dyn std::error::Error,
                    "slot not read, visited again later"
                );
                return;
            }
        };
        let added = self.assembler.add(&page);
        self.room.opened(added.names, added.bytes);
        self.deep.read(counted, page.len(), added.names);
        added.full.into_iter().for_each(|batch| self.publish(batch));
    }

    fn publish_largest(&mut self) -> bool {
        let largest = self.assembler.close_largest();
        let is_some = largest.is_some();
        largest.into_iter().for_each(|batch| self.publish(batch));
        is_some
    }

    fn publish(&mut self, batch: Batch) {
        let room = self.room.publish(batch.name_bytes(), batch.message_bytes());
        let publisher = &self.drain.publisher;
        let publish = async move {
            let result = publisher.publish(&batch).await;
            Ended::Published { batch, result, room }
        };
        self.work.push(publish.boxed());
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
