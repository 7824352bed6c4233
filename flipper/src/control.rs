//! Records to the log of generations, in order, each until it is acknowledged.

use anyhow::Context;
use hint_schema::generation_event::GenerationEvent;
use messagebus::{OutRecord, Producer};
use tokio::sync::mpsc;

/// Something to write to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LogWrite {
    /// A record.
    Publish(GenerationEvent),
    /// The end of a key.
    Tombstone(String),
}

impl LogWrite {
    fn key(&self) -> String {
        match self {
            Self::Publish(event) => event.key(),
            Self::Tombstone(key) => key.clone(),
        }
    }

    fn payload(&self) -> Option<Vec<u8>> {
        match self {
            Self::Publish(event) => Some(event.encode()),
            Self::Tombstone(_) => None,
        }
    }
}

/// Writes what comes, one after the other, until the queue is closed and empty.
///
/// # Errors
/// The log will not take a record, or the producer is dead.
pub(crate) async fn write_log(
    producer: Producer,
    topic: String,
    mut queue: mpsc::Receiver<LogWrite>,
) -> anyhow::Result<()> {
    while let Some(write) = queue.recv().await {
        let (key, payload) = (write.key(), write.payload());
        let record = OutRecord {
            topic: &topic,
            partition: Some(0),
            key: key.as_bytes(),
            payload: payload.as_deref(),
            headers: &[],
        };
        // Nobody overwrites a key, nor its own: after a time-out the same bytes go again.
        producer
            .persist(record)
            .await
            .with_context(|| format!("writing {key} to {topic}"))?;
    }
    Ok(())
}
