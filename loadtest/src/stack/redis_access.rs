//! A cluster as a benchmark uses it: its owners by slot, whole pipelines, its memory, its processes.

use generations::slot_of_name;
use redis::{Cmd, FromRedisValue, Pipeline, cmd};

use super::redis_cluster::RedisCluster;
use super::redis_node::Node;

impl RedisCluster {
    /// The number of the master that owns a slot from the start.
    #[must_use]
    pub fn owner_of(&self, slot: u16) -> usize {
        usize::from(slot / self.share())
    }

    /// The number of the master that owns a key's slot from the start.
    #[must_use]
    pub fn owner(&self, name: &[u8]) -> usize {
        self.owner_of(slot_of_name(name))
    }

    /// Runs a command at a node.
    ///
    /// # Errors
    /// There is no such node, or it does not answer or refuses.
    pub async fn run<T: FromRedisValue>(&self, node: usize, command: &Cmd) -> anyhow::Result<T> {
        self.node(node)?.run(command).await
    }

    /// Runs a pipeline whose answers nobody reads at a node, and waits until all have come.
    ///
    /// # Errors
    /// There is no such node, or it does not answer or refuses.
    pub async fn run_pipeline(&self, node: usize, pipeline: &Pipeline) -> anyhow::Result<()> {
        self.node(node)?.write(pipeline).await
    }

    /// Deletes every key, and waits until their memory is free.
    ///
    /// # Errors
    /// A node does not answer or refuses.
    pub async fn empty(&self) -> anyhow::Result<()> {
        for node in &self.nodes {
            let () = node.run(cmd("FLUSHALL").arg("SYNC")).await?;
        }
        Ok(())
    }

    /// Bytes that all nodes hold.
    ///
    /// # Errors
    /// A node does not answer.
    pub async fn used_memory(&self) -> anyhow::Result<u64> {
        let mut bytes = 0;
        for node in &self.nodes {
            let info: String = node.run(cmd("INFO").arg("memory")).await?;
            let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
            bytes += used
                .and_then(|used| used.trim().parse::<u64>().ok())
                .unwrap_or_default();
        }
        Ok(bytes)
    }

    /// Bounds every node's memory, as `maxmemory` takes it.
    ///
    /// # Errors
    /// A node does not answer or refuses.
    pub async fn bound_memory(&self, maxmemory: &str) -> anyhow::Result<()> {
        for node in &self.nodes {
            let () = node
                .run(cmd("CONFIG").arg("SET").arg("maxmemory").arg(maxmemory))
                .await?;
        }
        Ok(())
    }

    /// The processes of the nodes that run.
    pub fn ids(&self) -> impl Iterator<Item = u32> {
        self.nodes.iter().filter_map(Node::id)
    }
}
