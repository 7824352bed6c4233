//! Kafka and two Redis clusters on loopback: real ones, on free ports, gone with this process.

mod background;
mod broker;
mod jars;
mod redis_cluster;
mod topics;

use std::path::Path;

use anyhow::Context;
use messagebus::KafkaArgs;
use tempfile::TempDir;

pub use background::{down, foreground, up};
pub use broker::Broker;
pub use redis_cluster::RedisCluster;
pub use topics::create_topics;

/// Masters of each Redis cluster.
const MASTERS: u16 = 3;

/// A broker and the clusters A and B.
#[derive(Debug)]
pub struct Stack {
    broker: Broker,
    /// A and B.
    pub clusters: [RedisCluster; 2],
    dir: TempDir,
}

impl Stack {
    /// Starts everything in a directory of its own, which goes with it, and creates the topics under `prefix`.
    ///
    /// # Errors
    /// Something cannot be installed or started; says what, and where its log is.
    pub async fn start(prefix: &str) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("crawler-hints-")
            .tempdir()
            .context("making a directory for Kafka and Redis")?;
        let broker = Broker::start(&dir.path().join("kafka")).await?;
        create_topics(&broker.kafka(prefix)).await?;
        let clusters = [
            RedisCluster::start(&dir.path().join("redis-a"), MASTERS, &[]).await?,
            RedisCluster::start(&dir.path().join("redis-b"), MASTERS, &[]).await?,
        ];
        Ok(Self {
            broker,
            clusters,
            dir,
        })
    }

    /// How to reach Kafka.
    #[must_use]
    pub fn kafka(&self, prefix: &str) -> KafkaArgs {
        self.broker.kafka(prefix)
    }

    /// The broker, to let it fail.
    pub fn broker_mut(&mut self) -> &mut Broker {
        &mut self.broker
    }

    /// Where everything lives.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The settings that lead a service here.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let [a, b] = &self.clusters;
        vec![
            ("KAFKA_BROKERS", self.broker.address().to_string()),
            ("REDIS_A", a.seeds()),
            ("REDIS_B", b.seeds()),
        ]
    }
}
