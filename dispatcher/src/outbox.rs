//! What a lane writes down: what a partner accepted, and what it refused for good.

use anyhow::Context;
use hint_schema::{Receipt, Undeliverable};
use messagebus::metrics::BusMetrics;
use messagebus::{OutRecord, Producer, Topics};
use prometheus::IntCounter;

/// Writes records until Kafka has acknowledged them; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    producer: Producer,
    receipts: String,
    undeliverable: String,
    dead_letters: IntCounter,
}

impl Outbox {
    pub(crate) fn new(producer: Producer, topics: &Topics, bus: &BusMetrics) -> Self {
        Self {
            producer,
            receipts: topics.receipts(),
            dead_letters: bus.dead_letters(&topics.undeliverable()),
            undeliverable: topics.undeliverable(),
        }
    }

    /// Notes an accepted request.
    ///
    /// # Errors
    /// Kafka will not take it, or the producer is dead.
    pub(crate) async fn receipt(&self, receipt: &Receipt) -> anyhow::Result<()> {
        self.send(&self.receipts, &receipt.host, &receipt.encode()).await
    }

    /// Notes URLs that are given up.
    ///
    /// # Errors
    /// Kafka will not take it, or the producer is dead.
    pub(crate) async fn undeliverable(&self, given_up: &Undeliverable) -> anyhow::Result<()> {
        let key = format!("{}/{}", given_up.partner, given_up.host);
        self.send(&self.undeliverable, &key, &given_up.encode()).await?;
        self.dead_letters.inc_by(given_up.urls.len() as u64);
        Ok(())
    }

    async fn send(&self, topic: &str, key: &str, payload: &[u8]) -> anyhow::Result<()> {
        let record = OutRecord {
            topic,
            partition: None,
            key: key.as_bytes(),
            payload: Some(payload),
            headers: &[],
        };
        self.producer
            .persist(record)
            .await
            .with_context(|| format!("writing a record of {key} to {topic}"))?;
        Ok(())
    }
}
