//! A Redis cluster of masters, and a replica of each where that is asked for.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::future::try_join_all;
use generations::{AgeValue, SLOTS, slot_of_name};
use redis::{Cmd, Pipeline, cmd};

use super::certificates::Authority;
use super::redis_node::Node;
use super::users::Passwords;
use crate::process::READY_WITHIN;
use crate::proxy::{Weather, Whose};

/// A running cluster.
#[derive(Debug)]
pub struct RedisCluster {
    /// The masters as they began, then a replica of each where there are any.
    pub(super) nodes: Vec<Node>,
    masters: usize,
}

/// What a cluster is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Masters.
    pub masters: u16,
    /// Each has a replica, and takes writes only while the replica keeps up (`min-replicas-to-write 1`).
    pub has_replicas: bool,
    /// Nodes announce the address of a proxy in front of them.
    pub is_proxied: bool,
}

impl RedisCluster {
    /// Starts `masters` nodes that share the slots evenly, with the users of `k8s/redis/users.acl`; `settings` are
    /// further arguments of each server.
    ///
    /// # Errors
    /// `redis-server` is missing or does not become ready.
    pub async fn start(dir: &Path, masters: u16, settings: &[&str]) -> anyhow::Result<Self> {
        let shape = Shape {
            masters,
            has_replicas: false,
            is_proxied: false,
        };
        Self::start_as(dir, shape, None, settings).await
    }

    /// Starts a cluster of this shape; with an authority everybody but the test's own hand shows a certificate of
    /// it, the nodes to each other as well.
    ///
    /// # Errors
    /// `redis-server` is missing or does not become ready.
    pub async fn start_as(
        dir: &Path,
        shape: Shape,
        authority: Option<&Authority>,
        settings: &[&str],
    ) -> anyhow::Result<Self> {
        let count = if shape.has_replicas {
            2 * shape.masters
        } else {
            shape.masters
        };
        let replicated = [settings, &["--min-replicas-to-write", "1"]].concat();
        let settings = if shape.has_replicas { &replicated } else { settings };
        std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let users = Passwords::write(dir)?.acl_file()?;
        let mut nodes = Vec::new();
        for index in 0..count {
            let dir = dir.join(index.to_string());
            nodes.push(Node::start(&dir, &users, settings, shape.is_proxied, authority).await?);
        }
        let cluster = Self {
            nodes,
            masters: usize::from(shape.masters),
        };
        cluster.meet().await?;
        cluster.wait_until_ready().await?;
        if shape.has_replicas {
            cluster.replicate().await?;
        }
        Ok(cluster)
    }

    /// Gives each master its share of the slots and makes the nodes known to each other.
    async fn meet(&self) -> anyhow::Result<()> {
        let share = self.share();
        let first = self.nodes.first().map(|node| (node.served_port(), node.bus));
        for (index, node) in (0..).zip(&self.nodes) {
            if usize::from(index) < self.masters {
                let (from, to) = (index * share, ((index + 1) * share).min(SLOTS) - 1);
                let () = node
                    .run(cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(from).arg(to))
                    .await?;
            }
            let () = node
                .run(cmd("CLUSTER").arg("SET-CONFIG-EPOCH").arg(index + 1))
                .await?;
            if let Some((port, bus)) = first.filter(|_| index > 0) {
                let () = node
                    .run(cmd("CLUSTER").arg(("MEET", "127.0.0.1", port, bus)))
                    .await?;
            }
        }
        Ok(())
    }

    /// Makes the later half of the nodes replicas of the first half, and waits until they hold the same.
    async fn replicate(&self) -> anyhow::Result<()> {
        let (masters, replicas) = self.nodes.split_at(self.masters);
        for (master, replica) in masters.iter().zip(replicas) {
            let id: String = master.run(cmd("CLUSTER").arg("MYID")).await?;
            let () = replica.run(cmd("CLUSTER").arg("REPLICATE").arg(id)).await?;
        }
        for replica in replicas {
            until_info_says(
                replica,
                cmd("INFO").arg("replication"),
                &["master_link_status:up"],
            )
            .await?;
        }
        // A master counts its replicas itself, and refuses writes until it does.
        for master in masters {
            until_info_says(
                master,
                cmd("INFO").arg("replication"),
                &["min_slaves_good_slaves:1"],
            )
            .await?;
        }
        Ok(())
    }

    /// Changes the weather in front of every node; nothing happens where there is no proxy.
    pub fn set_weather(&self, weather: Weather, whose: Whose) {
        for proxy in self.nodes.iter().filter_map(Node::proxy) {
            proxy.set(weather, whose);
        }
    }

    /// The nodes' addresses, as `REDIS_A` takes them.
    #[must_use]
    pub fn seeds(&self) -> String {
        let seeds = self.nodes.iter().map(|node| {
            let scheme = if node.is_encrypted() { "rediss" } else { "redis" };
            format!("{scheme}://127.0.0.1:{}", node.announced_port())
        });
        seeds.collect::<Vec<_>>().join(",")
    }

    /// Where the nodes serve clients.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let ports = self.nodes.iter().map(Node::announced_port);
        ports.map(|port| (Ipv4Addr::LOCALHOST, port).into())
    }

    /// Lets everybody do everything without a log-in, for development.
    ///
    /// # Errors
    /// A node does not answer.
    pub async fn open(&self) -> anyhow::Result<()> {
        let everything = ("SETUSER", "default", "on", "nopass", "~*", "&*", "+@all");
        for node in &self.nodes {
            let () = node.run(cmd("ACL").arg(everything)).await?;
        }
        Ok(())
    }

    /// Keys at all masters.
    ///
    /// # Errors
    /// A node does not answer.
    pub async fn keys(&self) -> anyhow::Result<u64> {
        let mut keys = 0;
        for node in &self.nodes {
            keys += node.run::<u64>(&cmd("DBSIZE")).await?;
        }
        Ok(keys)
    }

    /// Writes keys as a writer does for events as old as the generation.
    ///
    /// # Errors
    /// A node does not answer or refuses.
    pub async fn write(&self, names: impl Iterator<Item = Vec<u8>>) -> anyhow::Result<()> {
        let mut pipelines = vec![Pipeline::new(); self.masters];
        for name in names {
            let owner = usize::from(slot_of_name(&name) / self.share());
            let pipeline = pipelines.get_mut(owner).context("a slot without an owner")?;
            pipeline.cmd("SET").arg(name).arg(AgeValue::OPENED.get()).ignore();
        }
        let writes = self
            .nodes
            .iter()
            .zip(&pipelines)
            .map(|(node, keys)| node.write(keys));
        try_join_all(writes).await?;
        Ok(())
    }

    /// Slots of each master but the last, which may have fewer.
    pub(super) fn share(&self) -> u16 {
        SLOTS.div_ceil(u16::try_from(self.masters).unwrap_or(SLOTS))
    }

    /// Changes a setting of one node, as `CONFIG SET` does.
    ///
    /// # Errors
    /// The node does not answer or refuses.
    pub async fn configure(&self, node: usize, setting: &str, value: &str) -> anyhow::Result<()> {
        let node = self.nodes.get(node).context("there is no such node")?;
        node.run(cmd("CONFIG").arg("SET").arg(setting).arg(value)).await
    }

    /// Loses everything that one node holds, as a restart without persistence does, and shows no sign of it.
    ///
    /// # Errors
    /// The node does not answer or refuses.
    pub async fn lose(&self, node: usize) -> anyhow::Result<()> {
        let node = self.nodes.get(node).context("there is no such node")?;
        node.run(&cmd("FLUSHALL")).await
    }

    /// Deletes one key at some node, as a bug or a hand may.
    ///
    /// # Errors
    /// No node holds any, or one does not answer.
    pub async fn delete_a_key(&self) -> anyhow::Result<()> {
        for node in &self.nodes {
            if let Some(key) = node.run::<Option<Vec<u8>>>(&cmd("RANDOMKEY")).await? {
                let deleted: u64 = node.run(cmd("DEL").arg(key)).await?;
                anyhow::ensure!(deleted == 1, "the key was gone already");
                return Ok(());
            }
        }
        anyhow::bail!("there is no key to delete")
    }

    /// Kills one node, as kill -9 does.
    ///
    /// # Errors
    /// It has ended before.
    pub async fn kill(&mut self, node: usize) -> anyhow::Result<()> {
        self.node_mut(node)?.kill().await
    }

    /// Starts one node again, empty, after it was killed; it keeps its place in the cluster.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn restart(&mut self, node: usize) -> anyhow::Result<()> {
        self.node_mut(node)?.restart().await
    }

    /// Stops one node in its tracks, or lets it go on.
    ///
    /// # Errors
    /// It has ended before.
    pub fn freeze(&mut self, node: usize, frozen: bool) -> anyhow::Result<()> {
        self.node_mut(node)?.freeze(frozen)
    }

    /// Cuts every other connection to one node.
    ///
    /// # Errors
    /// The node does not answer or refuses.
    pub async fn cut(&mut self, node: usize) -> anyhow::Result<()> {
        let kill = ("KILL", "TYPE", "NORMAL", "SKIPME", "YES");
        let _cut: u64 = self.node_mut(node)?.run(cmd("CLIENT").arg(kill)).await?;
        Ok(())
    }

    pub(super) fn node_mut(&mut self, node: usize) -> anyhow::Result<&mut Node> {
        self.nodes.get_mut(node).context("there is no such node")
    }

    /// Lets writes wait at every node, for at most `longest`; reads go on.
    ///
    /// # Errors
    /// A node does not answer or refuses.
    pub async fn pause_writes(&self, longest: Duration) -> anyhow::Result<()> {
        let pause = ("PAUSE", u64::try_from(longest.as_millis())?, "WRITE");
        for node in self.nodes.iter().filter(|node| node.is_up()) {
            let () = node.run(cmd("CLIENT").arg(pause)).await?;
        }
        Ok(())
    }

    /// Lets writes go on.
    ///
    /// # Errors
    /// A node does not answer or refuses.
    pub async fn resume_writes(&self) -> anyhow::Result<()> {
        for node in self.nodes.iter().filter(|node| node.is_up()) {
            let () = node.run(cmd("CLIENT").arg("UNPAUSE")).await?;
        }
        Ok(())
    }

    /// The node of that number.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn node(&self, node: usize) -> anyhow::Result<&Node> {
        self.nodes.get(node).context("there is no such node")
    }

    /// The numbers of all nodes.
    #[must_use]
    pub fn numbers(&self) -> std::ops::Range<usize> {
        0..self.nodes.len()
    }

    /// The number of the master that has this share of the slots now: its replica may have taken over.
    pub async fn master(&self, share: usize) -> usize {
        let share = share % self.masters;
        for number in [share, share + self.masters] {
            if let Some(node) = self.nodes.get(number).filter(|node| node.is_up())
                && node.is_master().await
            {
                return number;
            }
        }
        share
    }

    /// The number of the other node that has the share of this one.
    pub(super) fn twin_of(&self, number: usize) -> usize {
        (number + self.masters) % (2 * self.masters)
    }

    async fn wait_until_ready(&self) -> anyhow::Result<()> {
        let all = format!("cluster_known_nodes:{}", self.nodes.len());
        for node in &self.nodes {
            // A node that does not know whose a slot is cannot take part in its move.
            let expected = ["cluster_state:ok", "cluster_slots_assigned:16384", &all];
            until_info_says(node, cmd("CLUSTER").arg("INFO"), &expected).await?;
        }
        Ok(())
    }
}

async fn until_info_says(node: &Node, ask: &Cmd, expected: &[&str]) -> anyhow::Result<()> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        let info: String = node.run(ask).await?;
        if expected.iter().all(|part| info.contains(part)) {
            return Ok(());
        }
        anyhow::ensure!(
            Instant::now() < deadline,
            "the Redis cluster does not form; expected {expected:?}: {info}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
