//! Every record of a topic, once, from its beginning to where it ends now.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use messagebus::KafkaArgs;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};

/// Without a record for so long, the broker is away.
const PATIENCE: Duration = Duration::from_secs(30);
const QUESTION: Duration = Duration::from_secs(10);

/// The end of a partition is no error to be logged.
struct Silent;

impl ClientContext for Silent {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(error = &error as &dyn std::error::Error, reason, "Kafka");
    }
}

impl ConsumerContext for Silent {}

/// Shows every record to `see`; blocks.
///
/// # Errors
/// The broker does not answer, or `see` fails.
pub fn read_topic(
    kafka: &KafkaArgs,
    topic: &str,
    mut see: impl FnMut(&BorrowedMessage<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut config = kafka.client_config();
    config
        .set("group.id", kafka.topics().group("loadtest"))
        .set("enable.auto.commit", "false")
        .set("fetch.queue.backoff.ms", "10")
        .set("enable.partition.eof", "true");
    let client: BaseConsumer<Silent> = config
        .create_with_context(Silent)
        .context("creating a Kafka client")?;
    let metadata = client
        .fetch_metadata(Some(topic), QUESTION)
        .with_context(|| format!("asking for the partitions of {topic}"))?;
    let partitions = metadata
        .topics()
        .iter()
        .flat_map(rdkafka::metadata::MetadataTopic::partitions);
    let mut open = BTreeMap::new();
    let mut list = TopicPartitionList::new();
    for partition in partitions.map(rdkafka::metadata::MetadataPartition::id) {
        let (low, high) = client
            .fetch_watermarks(topic, partition, QUESTION)
            .with_context(|| format!("asking for the ends of {topic}[{partition}]"))?;
        if low < high {
            list.add_partition_offset(topic, partition, Offset::Beginning)
                .context("listing partitions")?;
            open.insert(partition, high);
        }
    }
    client.assign(&list).with_context(|| format!("reading {topic}"))?;
    let mut heard = Instant::now();
    while !open.is_empty() {
        match client.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                heard = Instant::now();
                let end = open.get(&message.partition()).copied().unwrap_or(0);
                if message.offset() < end {
                    see(&message)?;
                }
                if message.offset() + 1 >= end {
                    open.remove(&message.partition());
                }
            }
            // Whatever is missing before the end was compacted away.
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(open.remove(&partition)),
            Some(Err(error)) => return Err(error).with_context(|| format!("reading {topic}")),
            None => anyhow::ensure!(
                heard.elapsed() < PATIENCE,
                "{topic} cannot be read to its end: {open:?}"
            ),
        }
    }
    Ok(())
}
