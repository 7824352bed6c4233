//! What `Opened` and `Failed` have to say about the outside: nodes and offsets, read when they are asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use generations::Cluster;
use generations::protocol::FlipperEvent;
use hint_schema::generation_event::{Generation, OffsetInterval, PartitionOffset};
use messagebus::KafkaArgs;
use messagebus::clock::now_ms;
use messagebus::offsets;
use tokio::sync::mpsc;

const AGAIN: Duration = Duration::from_millis(500);

/// One input partition: what is kept of it, and from where the ingest group would go on.
struct InputPartition {
    partition: i32,
    start: i64,
    end: i64,
    committed: Option<i64>,
}

/// Collects the nodes that answer and the ingest group's committed offsets, and tells the flip loop.
///
/// # Errors
/// Never: an unreadable offset is asked for again.
pub(crate) async fn opening(
    kafka: KafkaArgs,
    cluster: Cluster,
    generation: Generation,
    tell: mpsc::Sender<FlipperEvent>,
) -> anyhow::Result<()> {
    // Offsets first: a lower one only widens a replay.
    let Some(offsets) = input_offsets(&kafka, &tell).await else {
        return Ok(());
    };
    let start_offsets = offsets.iter().map(|partition| PartitionOffset {
        partition: partition.partition,
        offset: partition.committed.unwrap_or(partition.start),
    });
    let nodes = cluster.survey().await.nodes_seen();
    let event = FlipperEvent::Snapshot {
        generation,
        nodes,
        start_offsets: start_offsets.collect(),
        at_ms: now_ms(),
    };
    drop(tell.send(event).await);
    Ok(())
}

/// Reads the input's start and end, after the barrier, and tells the flip loop.
///
/// # Errors
/// Never: an unreadable offset is asked for again.
pub(crate) async fn end_offsets(
    kafka: KafkaArgs,
    generation: Generation,
    tell: mpsc::Sender<FlipperEvent>,
) -> anyhow::Result<()> {
    let Some(offsets) = input_offsets(&kafka, &tell).await else {
        return Ok(());
    };
    let log = offsets.iter().map(|partition| OffsetInterval {
        partition: partition.partition,
        from: partition.start,
        to: partition.end,
    });
    drop(
        tell.send(FlipperEvent::EndOffsets {
            generation,
            log: log.collect(),
        })
        .await,
    );
    Ok(())
}

/// None once nobody listens any more.
async fn input_offsets(kafka: &KafkaArgs, tell: &mpsc::Sender<FlipperEvent>) -> Option<Vec<InputPartition>> {
    while !tell.is_closed() {
        match read(kafka).await {
            Ok(offsets) => return Some(offsets),
            Err(error) => tracing::warn!(error = format!("{error:#}"), "offsets of the input not read yet"),
        }
        tokio::time::sleep(AGAIN).await;
    }
    None
}

/// Committed offsets are read first: records that arrive meanwhile only widen a replay.
async fn read(kafka: &KafkaArgs) -> anyhow::Result<Vec<InputPartition>> {
    let topics = kafka.topics();
    let (group, topic) = (topics.group("ingestor"), topics.cache_misses());
    let committed: BTreeMap<_, _> = offsets::committed(kafka, &group, &topic)
        .await?
        .into_iter()
        .collect();
    let ends: BTreeMap<_, _> = offsets::log_end(kafka, &topic).await?.into_iter().collect();
    let starts = offsets::log_start(kafka, &topic).await?;
    let partitions = starts.into_iter().map(|(partition, start)| InputPartition {
        partition,
        start,
        end: ends.get(&partition).copied().unwrap_or(start),
        committed: committed.get(&partition).copied().flatten(),
    });
    Ok(partitions.collect())
}
