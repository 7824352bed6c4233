//! A member of a consumer group: one thread polls and never blocks, tasks report what is done, and offsets are
//! committed only up to where everything is.
//!
//! The thread hands batches over a bounded channel. When the buffer or the channel is full it pauses the
//! partitions and polls on, so that rebalances are served and the group never takes the process for dead.

mod batch;
mod buffer;
mod context;
mod filling;
mod handle;
mod lag;
mod leaving;
mod probe;
mod range;
mod shared;
mod stats;
mod worker;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::{mpsc, watch};

use crate::{args::KafkaArgs, metrics::BusMetrics};
use shared::Shared;
use worker::Worker;

pub use batch::{Record, RecordBatch};
pub use handle::{Consumer, PartitionStatus};
pub use range::{Range, RangeReader, read_range};

/// Batches in the channel at most. Bytes are the real bound: this one keeps a trickle of tiny batches from
/// growing without end.
const CHANNEL_BATCHES: usize = 256;

/// How a consumer reads its topic.
#[derive(Clone, Debug)]
pub struct ConsumerOptions {
    /// The topic.
    pub topic: String,
    /// The group to join.
    pub group: String,
    /// Records of a batch at most.
    pub max_records: usize,
    /// Time from a batch's first record until it is handed over, full or not; one whose reader is behind anyway grows
    /// until it is full.
    pub max_wait: Duration,
    /// Bytes of batches that are not dropped yet, at which the partitions are paused; polling resumes at half.
    /// What is polled already may exceed it by a batch.
    pub buffer_max_bytes: usize,
    /// How long a revocation, and [`Consumer::close`], wait for begun spans; less than the group's 10 s.
    pub revoke_grace: Duration,
    /// A partition whose committed offset stands still this long with records left is stuck: longer than the
    /// longest legitimate time between two commits.
    pub stuck_after: Duration,
}

impl ConsumerOptions {
    /// The usual batches: 10,000 records or 50 ms, 96 MiB in all, 8 s for a revocation, stuck after 5 minutes.
    pub fn new(topic: impl Into<String>, group: impl Into<String>) -> Self {
        Self {
            topic: topic.into(),
            group: group.into(),
            max_records: 10_000,
            max_wait: Duration::from_millis(50),
            buffer_max_bytes: 96 << 20,
            revoke_grace: Duration::from_secs(8),
            stuck_after: Duration::from_secs(300),
        }
    }
}

/// Joins the group and starts the polling thread.
///
/// The receiver ends when the consumer was closed or its client died. Dropping the last [`Consumer`] leaves the
/// group without waiting for begun work; [`Consumer::close`] waits.
///
/// # Errors
/// The client cannot be created from its settings, or the thread cannot be started. A broker that does not
/// answer is no error: the client goes on trying.
pub fn consume(
    kafka: &KafkaArgs,
    options: ConsumerOptions,
    metrics: BusMetrics,
) -> anyhow::Result<(Consumer, mpsc::Receiver<RecordBatch>)> {
    let metrics = metrics.group(&options.group, &options.topic);
    let shared = Arc::new(Shared::new(options, metrics));
    let (batches, receiver) = mpsc::channel(CHANNEL_BATCHES);
    let (ended, has_ended) = watch::channel(false);
    let worker = Worker::start(kafka, Arc::clone(&shared), batches)?;
    std::thread::Builder::new()
        .name("kafka-consumer".to_owned())
        .spawn(move || {
            worker.run();
            ended.send_replace(true);
        })
        .context("starting the polling thread")?;
    Ok((Consumer::new(shared, has_ended), receiver))
}

/// Offsets of partitions of one topic, in the form that librdkafka takes.
fn topic_list(topic: &str, offsets: &[(i32, i64)]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for &(partition, offset) in offsets {
        if let Err(error) = list.add_partition_offset(topic, partition, Offset::Offset(offset)) {
            tracing::error!(
                partition,
                offset,
                error = &error as &dyn std::error::Error,
                "no such offset"
            );
        }
    }
    list
}
