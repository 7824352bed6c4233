//! Rejected records on their way to the `rejected` topic: as they came, with the reason in headers.

use anyhow::Context;
use futures_util::future::try_join_all;
use generations::protocol::BatchTag;
use messagebus::{OutRecord, Producer, Record};
use prometheus::IntCounter;
use tokio::sync::mpsc;

use crate::reason::Reason;

/// Bytes of a value that are kept; no valid record has more.
const KEPT_BYTES: usize = 64 * 1024;

/// A copy of a rejected record.
#[derive(Clone, Debug)]
pub(crate) struct Rejected {
    reason: Reason,
    partition: i32,
    offset: i64,
    key: Vec<u8>,
    payload: Vec<u8>,
}

/// The rejected records of one batch.
#[derive(Debug)]
pub(crate) struct RejectedBatch {
    pub(crate) batch: BatchTag,
    pub(crate) records: Vec<Rejected>,
}

/// So many of a batch's rejected records stand in the topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) batch: BatchTag,
    pub(crate) records: u64,
}

impl Rejected {
    pub(crate) fn new(record: &Record<'_>, reason: Reason) -> Self {
        Self {
            reason,
            partition: record.partition,
            offset: record.offset,
            key: record.key.unwrap_or_default().to_vec(),
            payload: record
                .payload
                .get(..KEPT_BYTES)
                .unwrap_or(record.payload)
                .to_vec(),
        }
    }
}

/// Produces rejected records to the topic.
pub(crate) struct RejectedProducer {
    pub(crate) producer: Producer,
    /// The topic they came from.
    pub(crate) source: String,
    /// The topic they go to.
    pub(crate) topic: String,
    pub(crate) counter: IntCounter,
}

impl RejectedProducer {
    /// Produces what comes, batch after batch, until the queue is closed; each batch is acknowledged whole.
    ///
    /// # Errors
    /// The topic will not take a record, or the producer is dead: the process ends and nothing is committed.
    pub(crate) async fn run(
        self,
        mut queue: mpsc::Receiver<RejectedBatch>,
        acknowledged: mpsc::Sender<Acknowledged>,
    ) -> anyhow::Result<()> {
        while let Some(RejectedBatch { batch, records }) = queue.recv().await {
            let count = records.len() as u64;
            try_join_all(records.iter().map(|record| self.produce(record))).await?;
            self.counter.inc_by(count);
            if acknowledged
                .send(Acknowledged {
                    batch,
                    records: count,
                })
                .await
                .is_err()
            {
                break;
            }
        }
        Ok(())
    }

    async fn produce(&self, rejected: &Rejected) -> anyhow::Result<()> {
        let (partition, offset) = (rejected.partition.to_string(), rejected.offset.to_string());
        let headers: [(&str, &[u8]); 4] = [
            ("reason", rejected.reason.label().as_bytes()),
            ("topic", self.source.as_bytes()),
            ("partition", partition.as_bytes()),
            ("offset", offset.as_bytes()),
        ];
        let record = OutRecord {
            topic: &self.topic,
            partition: None,
            key: &rejected.key,
            payload: Some(&rejected.payload),
            headers: &headers,
        };
        self.producer.persist(record).await.with_context(|| {
            let (source, topic) = (&self.source, &self.topic);
            format!("producing the rejected record {source}[{partition}]@{offset} to {topic}")
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use messagebus::{BusMetrics, KafkaArgs, Registrar};
    use prometheus::Registry;

    use super::*;

    #[tokio::test]
    async fn a_rejected_record_is_handled_once_it_stands_in_its_topic() {
        let bus = BusMetrics::register(&Registrar::new(&Registry::new(), "ingestor")).unwrap();
        let nobody = KafkaArgs::plaintext("127.0.0.1:1", "test.");
        let rejecting = RejectedProducer {
            producer: Producer::new(&nobody, bus.clone()).unwrap(),
            source: "source".to_owned(),
            topic: "topic".to_owned(),
            counter: bus.dead_letters("topic"),
        };
        let record = Record {
            partition: 0,
            offset: 0,
            timestamp_ms: 0,
            key: None,
            payload: b"garbage",
        };
        let (rejects, to_reject) = mpsc::channel(1);
        let (acknowledge, mut acknowledged) = mpsc::channel(1);
        let records = vec![Rejected::new(&record, Reason::Decode)];
        rejects.try_send(RejectedBatch { batch: 1, records }).unwrap();
        assert!(rejecting.run(to_reject, acknowledge).now_or_never().is_none());
        assert!(acknowledged.try_recv().is_err());
    }
}
