//! What every measurement stands on: one broker, two clusters, and prefixes of topics that no other has used.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use hint_schema::Zone;
use messagebus::KafkaArgs;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::cpu::Meter;
use super::machine::Look;
use super::report::Report;
use super::size::Plan;
use crate::produce::produce_zones;
use crate::progress::Progress;
use crate::run::Run;
use crate::service::Kind;
use crate::stack::{RedisCluster, Stack};
use crate::traffic::{Traffic, TrafficArgs};

/// More than any benchmark writes: what is measured is never Redis that is full.
const MAXMEMORY: &str = "12gb";
/// A group that was just left may still be known for a moment.
const REWIND_WITHIN: Duration = Duration::from_secs(30);
/// Longest time for what must only begin, or come to its end, and is not what is measured.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);

/// A stack, and what to do on it.
pub(super) struct Ground {
    pub(super) stack: Stack,
    pub(super) plan: Plan,
    pub(super) progress: Progress,
    pub(super) report: Report,
    /// Where the report and its pictures go.
    pub(super) dir: PathBuf,
    prefixes: u32,
    since: Look,
}

impl Ground {
    /// Starts the stack.
    ///
    /// # Errors
    /// Something cannot be started.
    pub(super) async fn start(plan: Plan, dir: PathBuf, progress: Progress) -> anyhow::Result<Self> {
        let stack = Stack::start("bench-0.").await?;
        for cluster in &stack.clusters {
            cluster.bound_memory(MAXMEMORY).await?;
        }
        Ok(Self {
            stack,
            plan,
            progress,
            report: Report::default(),
            dir,
            prefixes: 0,
            since: Look::now()?,
        })
    }

    /// Topics that nobody has used, and empty clusters.
    ///
    /// # Errors
    /// Kafka or Redis does not answer.
    pub(super) async fn fresh(&mut self) -> anyhow::Result<KafkaArgs> {
        self.prefixes += 1;
        self.empty().await?;
        self.stack
            .broker()
            .prepare(&format!("bench-{}.", self.prefixes))
            .await
    }

    /// Deletes all keys.
    ///
    /// # Errors
    /// Redis does not answer.
    pub(super) async fn empty(&self) -> anyhow::Result<()> {
        for cluster in &self.stack.clusters {
            cluster.empty().await?;
        }
        Ok(())
    }

    /// The cluster of generation 0.
    pub(super) fn first_cluster(&self) -> &RedisCluster {
        let [a, _] = &self.stack.clusters;
        a
    }

    /// From here on [`Self::disturbance`] counts.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub(super) fn look(&mut self) -> anyhow::Result<()> {
        self.since = Look::now()?;
        Ok(())
    }

    /// The share of the machine that others took since the last [`Self::look`].
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub(super) fn disturbance(&self) -> anyhow::Result<f64> {
        self.since.disturbance()
    }

    /// Everybody's CPU: the run's services, the broker and Redis.
    pub(super) fn meter(&self, run: &Run) -> Meter {
        let mut meter = Meter::default();
        for kind in Kind::ALL {
            for service in run.of(kind) {
                meter.process(kind.program(), service.id());
            }
        }
        meter.process(KAFKA, self.stack.broker().id());
        for id in self.stack.clusters.iter().flat_map(RedisCluster::ids) {
            meter.process(REDIS, Some(id));
        }
        meter
    }
}

/// The broker's part of a [`Meter`].
pub(super) const KAFKA: &str = "Kafka";
/// Redis' part.
pub(super) const REDIS: &str = "Redis";

/// Produces the zones of so many hosts, all opted in.
///
/// # Errors
/// Kafka does not take one.
pub(crate) async fn opt_in(kafka: &KafkaArgs, hosts: u32) -> anyhow::Result<Vec<Zone>> {
    let args = TrafficArgs {
        hosts,
        ..TrafficArgs::default()
    };
    let zones = Traffic::new(args)?.zones();
    produce_zones(kafka, &zones).await?;
    Ok(zones)
}

/// Lets a group that has no member read a topic from its beginning.
///
/// # Errors
/// The group keeps a member, or the broker does not answer.
pub(super) async fn rewind(kafka: &KafkaArgs, group: &str, topic: &str) -> anyhow::Result<()> {
    let partitions = messagebus::offsets::log_end(kafka, topic).await?;
    let mut offsets = TopicPartitionList::new();
    for (partition, _) in partitions {
        offsets.add_partition_offset(topic, partition, Offset::Offset(0))?;
    }
    let consumer: BaseConsumer = kafka
        .client_config()
        .set("group.id", group)
        .create()
        .context("creating a Kafka client")?;
    let (what, deadline) = (format!("rewinding group {group}"), Instant::now() + REWIND_WITHIN);
    let rewinding = spawn_blocking(move || {
        loop {
            match consumer.commit(&offsets, CommitMode::Sync) {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => drop(consumer.poll(Duration::from_millis(200))),
            }
        }
    });
    rewinding.await.context("rewinding")?.with_context(|| what)
}
