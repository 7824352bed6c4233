//! Offsets of a topic and of a group that reads it, asked of the broker.

use std::time::Duration;

use anyhow::Context;
use rdkafka::{
    TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    metadata::MetadataPartition,
};
use tokio::task::spawn_blocking;

use crate::{args::KafkaArgs, client::Quiet};

/// Bounds each question.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The offset of each partition of `topic` that `group` has committed; nothing where it never has.
///
/// # Errors
/// No broker answered in time, or the topic does not exist.
pub async fn committed(
    kafka: &KafkaArgs,
    group: &str,
    topic: &str,
) -> anyhow::Result<Vec<(i32, Option<i64>)>> {
    let topic = topic.to_owned();
    ask(kafka, group, move |client| {
        let mut list = TopicPartitionList::new();
        for partition in partitions(client, &topic)? {
            list.add_partition(&topic, partition);
        }
        let committed = client
            .committed_offsets(list, TIMEOUT)
            .context("asking for committed offsets")?;
        let offset = |raw: Option<i64>| raw.filter(|&offset| offset >= 0);
        let elements = committed.elements();
        Ok(elements
            .iter()
            .map(|element| (element.partition(), offset(element.offset().to_raw())))
            .collect())
    })
    .await
}

/// The first offset that is still kept of each partition of `topic`.
///
/// # Errors
/// No broker answered in time, or the topic does not exist.
pub async fn log_start(kafka: &KafkaArgs, topic: &str) -> anyhow::Result<Vec<(i32, i64)>> {
    Ok(watermarks(kafka, topic)
        .await?
        .into_iter()
        .map(|(partition, low, _)| (partition, low))
        .collect())
}

/// The offset after the last record of each partition of `topic`.
///
/// # Errors
/// No broker answered in time, or the topic does not exist.
pub async fn log_end(kafka: &KafkaArgs, topic: &str) -> anyhow::Result<Vec<(i32, i64)>> {
    Ok(watermarks(kafka, topic)
        .await?
        .into_iter()
        .map(|(partition, _, high)| (partition, high))
        .collect())
}

async fn watermarks(kafka: &KafkaArgs, topic: &str) -> anyhow::Result<Vec<(i32, i64, i64)>> {
    let topic = topic.to_owned();
    ask(kafka, &kafka.topics().group("offsets"), move |client| {
        partitions(client, &topic)?
            .into_iter()
            .map(|partition| watermark(client, &topic, partition))
            .collect()
    })
    .await
}

pub(crate) fn watermark<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    topic: &str,
    partition: i32,
) -> anyhow::Result<(i32, i64, i64)> {
    let (low, high) = client
        .fetch_watermarks(topic, partition, TIMEOUT)
        .with_context(|| format!("asking for the ends of {topic}[{partition}]"))?;
    Ok((partition, low, high))
}

/// The partitions of a topic, which must exist.
pub(crate) fn partitions<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    topic: &str,
) -> anyhow::Result<Vec<i32>> {
    let metadata = client
        .fetch_metadata(Some(topic), TIMEOUT)
        .context("asking for partitions")?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let partitions: Vec<i32> = found
        .map(|found| found.partitions().iter().map(MetadataPartition::id).collect())
        .unwrap_or_default();
    anyhow::ensure!(!partitions.is_empty(), "topic {topic} does not exist");
    Ok(partitions)
}

/// Asks on a thread that may block, through a client that never joins the group.
async fn ask<R: Send + 'static>(
    kafka: &KafkaArgs,
    group: &str,
    question: impl FnOnce(&BaseConsumer<Quiet>) -> anyhow::Result<R> + Send + 'static,
) -> anyhow::Result<R> {
    let config = kafka.reader_config(group);
    spawn_blocking(move || {
        let client = config
            .create_with_context(Quiet)
            .context("creating a Kafka client")?;
        question(&client)
    })
    .await
    .context("asking for offsets")?
}
