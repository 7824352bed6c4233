//! Kafka and two Redis clusters on loopback: real ones, on free ports, gone with this process.

mod acls;
mod background;
mod broker;
mod certificates;
mod jars;
mod redis_access;
mod redis_cluster;
mod redis_losses;
mod redis_node;
mod server_properties;
mod storage;
mod topics;
pub(crate) mod users;

use std::path::Path;

use anyhow::Context;
use messagebus::KafkaArgs;
use tempfile::TempDir;

pub use background::{down, foreground, up};
pub use broker::Broker;
pub(crate) use certificates::LONG;
pub use certificates::{Authority, Tls};
pub use redis_cluster::{RedisCluster, Shape};
pub use redis_losses::Move;
pub use topics::create_topics;
pub use users::password;

/// Masters of each Redis cluster.
pub(crate) const MASTERS: u16 = 3;

/// What a node may hold, as in `k8s/base/redis`: without a limit nobody could say how full it is.
const MAXMEMORY: [&str; 2] = ["--maxmemory", "768mb"];

/// A broker and the clusters A and B.
#[derive(Debug)]
pub struct Stack {
    broker: Broker,
    kafka: KafkaArgs,
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
        let shape = Shape {
            masters: MASTERS,
            has_replicas: false,
            is_proxied: false,
        };
        Self::start_as(prefix, shape, false).await
    }

    /// The same with clusters of that shape, which serve whoever shows a certificate where they are encrypted.
    ///
    /// # Errors
    /// As above.
    pub async fn start_as(prefix: &str, shape: Shape, is_encrypted: bool) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("crawler-hints-")
            .tempdir()
            .context("making a directory for Kafka and Redis")?;
        let broker = Broker::start(&dir.path().join("kafka")).await?;
        let kafka = broker.prepare(prefix).await?;
        let authority = is_encrypted.then_some(broker.authority());
        let clusters = [
            RedisCluster::start_as(&dir.path().join("redis-a"), shape, authority, &MAXMEMORY).await?,
            RedisCluster::start_as(&dir.path().join("redis-b"), shape, authority, &MAXMEMORY).await?,
        ];
        Ok(Self {
            broker,
            kafka,
            clusters,
            dir,
        })
    }

    /// How to reach Kafka, as one who may do everything.
    #[must_use]
    pub fn kafka(&self) -> &KafkaArgs {
        &self.kafka
    }

    /// Lets everybody in at Redis too, as Kafka's open listener does: for development, where services share
    /// their settings with whoever looks into it.
    ///
    /// # Errors
    /// A node does not answer.
    pub async fn open(&self) -> anyhow::Result<()> {
        for cluster in &self.clusters {
            cluster.open().await?;
        }
        Ok(())
    }

    /// The broker.
    #[must_use]
    pub fn broker(&self) -> &Broker {
        &self.broker
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

    /// The settings that lead a service here without a log-in: see [`Stack::open`].
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let [a, b] = &self.clusters;
        vec![
            ("KAFKA_BROKERS", self.broker.open_address().to_string()),
            ("REDIS_A", a.seeds()),
            ("REDIS_B", b.seeds()),
        ]
    }
}
