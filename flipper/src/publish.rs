//! Batches to Kafka, and their names out of Redis once they are acknowledged (I3).

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Context;
use generations::{Drain, UnlinkAnswer, name_hash};
use hint_schema::{BatchId, HintBatch};
use messagebus::clock::now_ms;
use messagebus::metrics::{BusMetrics, Stage};
use messagebus::{OutRecord, Producer};

use crate::batch::{Assembled, DrainedName};
use crate::metrics::Metrics;

/// How often a removal that certainly did nothing is tried before the next pass does it.
const UNLINK_ATTEMPTS: usize = 3;

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
    pub(crate) async fn publish(&self, batch: Assembled) -> anyhow::Result<Published> {
        let (urls, names) = (batch.url_count(), batch.names);
        let message = HintBatch {
            id: BatchId::from(rand::random::<u128>()),
            generation: self.generation,
            created_at_ms: now_ms(),
            hosts: batch.hosts,
        };
        let started = Instant::now();
        let payload = message.encode();
        self.bus.step("encode").observe(started.elapsed().as_secs_f64());
        // What is not needed any more is not kept while Kafka and Redis answer: a drain's memory is its batches'.
        let oldest: Vec<u64> = message.hosts.iter().map(|host| host.oldest_event_ms).collect();
        drop(message);
        self.send(batch.partition, &payload, urls).await?;
        drop(payload);
        self.observe_ages(&oldest);

        let started = Instant::now();
        let published = self.remove(urls, names).await;
        self.bus.step("delete").observe(started.elapsed().as_secs_f64());
        self.metrics.late.with([]).inc_by(published.late_keys);
        Ok(published)
    }

    /// Only a byte-identical re-send uses a batch id again.
    async fn send(&self, partition: i32, payload: &[u8], urls: usize) -> anyhow::Result<()> {
        let key = partition.to_string();
        let record = OutRecord {
            topic: &self.topic,
            partition: Some(partition),
            key: key.as_bytes(),
            payload: Some(payload),
            headers: &[],
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
    fn observe_ages(&self, oldest_event_ms: &[u64]) {
        let ages = self.bus.hint_age(Stage::Drained, "");
        for event_ms in oldest_event_ms {
            ages.observe(now_ms().saturating_sub(*event_ms) as f64 / 1_000.0);
        }
    }

    async fn remove(&self, urls: usize, names: Vec<DrainedName>) -> Published {
        let merged_keys = (names.len() - urls) as u64;
        let mut published = Published {
            merged_keys,
            ..Published::default()
        };
        let mut slots: BTreeMap<u16, Vec<DrainedName>> = BTreeMap::new();
        for name in names {
            slots.entry(name.slot).or_default().push(name);
        }
        let removals = slots.into_iter().map(|(slot, names)| async move {
            let answer = self.unlink(slot, &names).await;
            (names, answer)
        });
        for (names, answer) in futures_util::future::join_all(removals).await {
            match answer {
                UnlinkAnswer::Unlinked(_) => {}
                // Counted all the same: a name that went without an answer must not look like a shortfall.
                UnlinkAnswer::Unknown => published.unlink_unknown = true,
                // Still there for certain: the next pass meets it again, and counts it then.
                UnlinkAnswer::NotDone(_) => continue,
            }
            for name in &names {
                if name.is_own {
                    published.keys += 1;
                    published.hash = published.hash.wrapping_add(name_hash(&name.name));
                } else {
                    published.late_keys += 1;
                }
            }
        }
        published
    }

    async fn unlink(&self, slot: u16, names: &[DrainedName]) -> UnlinkAnswer {
        let borrowed: Vec<&[u8]> = names.iter().map(|name| name.name.as_slice()).collect();
        let mut answer = self.drain.unlink(slot, &borrowed).await;
        for _ in 1..UNLINK_ATTEMPTS {
            if !matches!(answer, UnlinkAnswer::NotDone(_)) {
                break;
            }
            answer = self.drain.unlink(slot, &borrowed).await;
        }
        answer
    }
}
