//! The consumer that everybody writes first: a record, a SET, its answer, the next record.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use messagebus::KafkaArgs;
use rdkafka::Message;
use redis::Pipeline;

use super::{Directory, consumer};
use crate::stack::RedisCluster;

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
    let consumer = consumer(kafka, group, true)?;
    loop {
        let message = consumer.recv().await.context("reading the input")?;
        if let Some(name) = message.payload().and_then(|payload| directory.name(payload)) {
            let node = cluster.owner(&name);
            let mut set = Pipeline::with_capacity(1);
            set.cmd("SET").arg(name).arg(5_000).arg("NX").ignore();
            cluster.run_pipeline(node, &set).await?;
        }
        count.fetch_add(1, Ordering::Relaxed);
    }
}
