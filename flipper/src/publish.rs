//! Batches to Kafka, and their names out of Redis once they are acknowledged (I3).

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Context;
use futures_util::future::join_all;
use generations::{Drain, UnlinkAnswer, name_hash, name_prefix, slot_of_name};
use hint_schema::{BatchId, HintBatch};
use messagebus::clock::now_ms;
use messagebus::metrics::{BusMetrics, Stage};
use messagebus::trace::{Origins, SpanKind, TRACEPARENT, Work};
use messagebus::{OutRecord, Producer};

use crate::batch::Batch;
use crate::metrics::Metrics;

/// How often a removal that certainly did nothing is tried before the next pass does it.
const UNLINK_ATTEMPTS: usize = 3;
/// Names in one UNLINK: a request stands in memory several times on its way, and keeps the node from others.
const NAMES_AT_ONCE: usize = 1_000;

/// What one acknowledged and removed batch adds to the books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Published {
    /// Names of the drained generation, removed.
    pub keys: u64,
    /// The wrapping sum of their hashes.
    pub hash: u128,
    /// Names of older generations, removed.
    pub late_keys: u64,
    /// Names that stood under two generations and were emitted once.
    pub merged_keys: u64,
    /// An UNLINK without an answer.
    pub unlink_unknown: bool,
    /// Names that are still there for certain: another page of their slots would hold them again.
    pub left: usize,
}

impl Published {
    /// Adds what became of these names of one slot, of which those of the drained generation start with
    /// `prefix`.
    fn add(&mut self, prefix: &[u8], names: &[&[u8]], answer: &UnlinkAnswer) {
        match answer {
            UnlinkAnswer::Unlinked(_) => {}
            // Counted all the same: a name that went without an answer must not look like a shortfall.
            UnlinkAnswer::Unknown => self.unlink_unknown = true,
            // Still there for certain: the next pass meets them again, and counts them then.
            UnlinkAnswer::NotDone(_) => {
                self.left += names.len();
                return;
            }
        }
        for name in names {
            if name.starts_with(prefix) {
                self.keys += 1;
                self.hash = self.hash.wrapping_add(name_hash(name));
            } else {
                self.late_keys += 1;
            }
        }
    }
}

/// Publishes batches of one generation.
#[derive(Clone, Debug)]
pub(crate) struct Publisher {
    /// The generation.
    pub generation: u64,
    /// The topic `batches`.
    pub topic: String,
    /// Where to.
    pub producer: Producer,
    /// The generation's cluster.
    pub drain: Drain,
    /// The flipper's own metrics.
    pub metrics: Metrics,
    /// The bus's metrics.
    pub bus: BusMetrics,
}

impl Publisher {
    /// Sends a batch until it is acknowledged, then removes exactly its names. Dropping the future leaves what
    /// is not acknowledged in Redis.
    ///
    /// # Errors
    /// Kafka will not take the batch, or the producer is dead.
    pub(crate) async fn publish(&self, batch: &Batch) -> anyhow::Result<Published> {
        let mut work = Work::begin("publish", SpanKind::Producer, Origins::default());
        work.generation(self.generation);
        work.count("crawlerhints.urls", batch.url_count());
        let payload = self.encode(batch);
        let sent = self
            .send(batch.partition, &payload, batch.url_count(), &work)
            .await;
        if let Err(error) = sent {
            work.fail(format!("{error:#}"));
            return Err(error);
        }
        // What is not needed any more is not kept while Redis answers: a drain's memory is its batches'.
        drop(payload);
        self.observe_ages(batch);

        let started = Instant::now();
        let published = self.remove(batch).await;
        self.bus.step("delete").observe(started.elapsed().as_secs_f64());
        self.metrics.late.with([]).inc_by(published.late_keys);
        Ok(published)
    }

    /// The message. The URLs are spelled out for no longer than this takes.
    fn encode(&self, batch: &Batch) -> Vec<u8> {
        let started = Instant::now();
        let message = HintBatch {
            id: BatchId::from(rand::random::<u128>()),
            generation: self.generation,
            created_at_ms: now_ms(),
            hosts: batch.hints(),
        };
        let payload = message.encode();
        self.bus.step("encode").observe(started.elapsed().as_secs_f64());
        payload
    }

    /// Only a byte-identical re-send uses a batch id again.
    async fn send(&self, partition: i32, payload: &[u8], urls: usize, work: &Work) -> anyhow::Result<()> {
        let key = partition.to_string();
        let traceparent = work.traceparent();
        let headers = traceparent.as_ref().map(|trace| (TRACEPARENT, trace.as_bytes()));
        let record = OutRecord {
            topic: &self.topic,
            partition: Some(partition),
            key: key.as_bytes(),
            payload: Some(payload),
            headers: headers.as_slice(),
        };
        let started = Instant::now();
        if let Err(error) = self.producer.persist(record).await {
            self.metrics.batch_refused();
            let size = payload.len();
            return Err(error).with_context(|| {
                format!("publishing a batch of {urls} URLs, {size} bytes, to partition {partition}")
            });
        }
        self.bus.step("publish").observe(started.elapsed().as_secs_f64());
        self.metrics.batch_published(urls);
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "histograms are floats")]
    fn observe_ages(&self, batch: &Batch) {
        let ages = self.bus.hint_age(Stage::Drained, "");
        for host in batch.hosts.values() {
            ages.observe(now_ms().saturating_sub(host.oldest_event_ms) as f64 / 1_000.0);
        }
    }

    async fn remove(&self, batch: &Batch) -> Published {
        let mut slots: BTreeMap<u16, Vec<&[u8]>> = BTreeMap::new();
        for name in batch.names() {
            slots.entry(slot_of_name(name)).or_default().push(name);
        }
        let removals = slots
            .iter()
            .map(|(&slot, names)| self.remove_of_slot(slot, names));
        let mut published = Published {
            merged_keys: batch.merged.len() as u64,
            ..Published::default()
        };
        let prefix = name_prefix(self.generation);
        for (names, answer) in join_all(removals).await.into_iter().flatten() {
            published.add(&prefix, names, &answer);
        }
        published
    }

    async fn remove_of_slot<'a>(
        &self,
        slot: u16,
        names: &'a [&'a [u8]],
    ) -> Vec<(&'a [&'a [u8]], UnlinkAnswer)> {
        let mut answers = Vec::new();
        for part in names.chunks(NAMES_AT_ONCE) {
            answers.push((part, self.unlink(slot, part).await));
        }
        answers
    }

    async fn unlink(&self, slot: u16, names: &[&[u8]]) -> UnlinkAnswer {
        let mut answer = self.drain.unlink(slot, names).await;
        for _ in 1..UNLINK_ATTEMPTS {
            if !matches!(answer, UnlinkAnswer::NotDone(_)) {
                break;
            }
            answer = self.drain.unlink(slot, names).await;
        }
        answer
    }
}
