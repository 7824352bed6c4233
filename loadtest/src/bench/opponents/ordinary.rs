//! The ordinary Rust stack: `StreamConsumer`, crate `url`, redis-rs pipelines, each awaited before the next batch.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use futures_util::StreamExt;
use futures_util::future::try_join_all;
use messagebus::KafkaArgs;
use rdkafka::Message;
use rdkafka::consumer::{CommitMode, Consumer};
use redis::Pipeline;

use super::{Directory, consumer};
use crate::stack::RedisCluster;

/// Records of a batch: a pipeline of some hundreds of SETs for each master.
const BATCH: usize = 1_000;

/// Reads the input of `kafka` into the cluster, counting, until it is dropped.
///
/// # Errors
/// Kafka or Redis does not answer.
pub(in crate::bench) async fn run(
    kafka: &KafkaArgs,
    cluster: &RedisCluster,
    directory: &Directory,
    group: &str,
    count: &AtomicU64,
) -> anyhow::Result<()> {
    let consumer = consumer(kafka, group, false)?;
    let mut batches = consumer.stream().ready_chunks(BATCH);
    while let Some(batch) = batches.next().await {
        let mut pipelines = vec![Pipeline::new(); cluster.numbers().len()];
        let records = batch.len() as u64;
        for message in batch {
            let message = message.context("reading the input")?;
            if let Some(name) = message.payload().and_then(|payload| directory.name(payload)) {
                let owner = pipelines.get_mut(cluster.owner(&name));
                let pipeline = owner.context("a slot without an owner")?;
                pipeline.cmd("SET").arg(name).arg(5_000).arg("NX").ignore();
            }
        }
        let writes = pipelines.iter().enumerate();
        try_join_all(writes.map(|(node, pipeline)| cluster.run_pipeline(node, pipeline))).await?;
        consumer
            .commit_consumer_state(CommitMode::Async)
            .context("committing offsets")?;
        count.fetch_add(records, Ordering::Relaxed);
    }
    Ok(())
}
