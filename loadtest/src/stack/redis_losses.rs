//! What only a cluster with data in it can suffer: a failover that loses writes, a slot that moves.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::Context;
use redis::cmd;

use super::redis_cluster::RedisCluster;
use super::redis_node::Node;
use super::users::{OPERATOR, password};
use crate::proxy::{Weather, Whose};

/// A node timeout, and three elections: Redis holds the next one four node timeouts after one that failed, as they do
/// where the other masters are too busy to vote.
const FAILOVER_WITHIN: Duration = Duration::from_secs(90);
/// Redis gives a key so long to reach the node that it moves to, in milliseconds.
const MIGRATE_MS: u64 = 5_000;

/// A slot on its way from one master to another.
#[derive(Clone, Copy, Debug)]
pub struct Move {
    slot: u16,
    from: usize,
    to: usize,
    /// Keys that have moved, and that have not.
    pub moved: usize,
    /// Keys that still stand where they were.
    pub left: usize,
}

impl RedisCluster {
    /// Stops the replica of a master in its tracks, where both are up. What the master sends it meanwhile waits in the proxy and goes
    /// with the master: on loopback the sockets' own buffers would hold seconds of writes and deliver them.
    ///
    /// # Errors
    /// There is no such replica.
    pub fn pause_replica(&mut self, master: usize) -> anyhow::Result<()> {
        let number = self.twin_of(master);
        if !self.node(master)?.is_up() || !self.node(number)?.is_up() {
            return Ok(());
        }
        let replica = self.node_mut(number)?;
        let id = replica.id().context("the replica has ended")?;
        replica.freeze(true)?;
        let proxy = self.node(master)?.proxy().context("the cluster has no proxies")?;
        proxy.set(Weather::Silent, Whose::Process(id));
        Ok(())
    }

    /// Kills a master whose replica is paused, lets the replica take over, and says how many keys that the master
    /// had acknowledged the replica does not have.
    ///
    /// # Errors
    /// The replica does not take over.
    pub async fn kill_before_replica(&mut self, master: usize) -> anyhow::Result<usize> {
        if !self.node(master)?.is_up() {
            return Ok(0);
        }
        let acknowledged = names(self.node(master)?).await?;
        self.kill(master).await?;
        let number = self.twin_of(master);
        let proxy = self.node(master)?.proxy().context("the cluster has no proxies")?;
        proxy.set(Weather::Refusing, Whose::All);
        self.freeze(number, false)?;
        let kept = names(self.node(number)?).await?;
        let deadline = Instant::now() + FAILOVER_WITHIN;
        loop {
            if self.node(number)?.is_master().await {
                break;
            }
            if Instant::now() > deadline {
                let says: String = self.node(number)?.run(cmd("CLUSTER").arg("NODES")).await?;
                anyhow::bail!("the replica does not take over within {FAILOVER_WITHIN:?}; it knows: {says}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let proxy = self.node(master)?.proxy().context("the cluster has no proxies")?;
        proxy.set(Weather::Fair, Whose::All);
        Ok(acknowledged.difference(&kept).count())
    }

    /// Begins to move the fullest slot of a master, by its share, to the next one, and moves half of its keys.
    ///
    /// # Errors
    /// A node does not answer or refuses.
    pub async fn begin_move(&self, from: usize) -> anyhow::Result<Option<Move>> {
        let (from, to) = (self.master(from).await, self.master(from + 1).await);
        let source = self.node(from)?;
        if !source.is_up() || !self.node(to)?.is_up() {
            return Ok(None);
        }
        let Some(slot) = fullest_slot(source).await? else {
            return Ok(None);
        };
        let target = self.node(to)?;
        let (source_id, target_id) = (my_id(source).await?, my_id(target).await?);
        let () = target
            .run(cmd("CLUSTER").arg(("SETSLOT", slot, "IMPORTING", source_id)))
            .await?;
        let () = source
            .run(cmd("CLUSTER").arg(("SETSLOT", slot, "MIGRATING", target_id)))
            .await?;
        let keys = keys_in(source, slot).await?;
        let (first, rest) = keys.split_at(keys.len().div_ceil(2));
        migrate(source, target, first).await?;
        Ok(Some(Move {
            slot,
            from,
            to,
            moved: first.len(),
            left: rest.len(),
        }))
    }

    /// Moves what is left of a slot and makes the move known.
    ///
    /// # Errors
    /// A node does not answer or refuses.
    pub async fn finish_move(&self, begun: Move) -> anyhow::Result<()> {
        let (source, target) = (self.node(begun.from)?, self.node(begun.to)?);
        loop {
            let keys = keys_in(source, begun.slot).await?;
            if keys.is_empty() {
                break;
            }
            migrate(source, target, &keys).await?;
        }
        let id = my_id(target).await?;
        // The target first: else nobody owns the slot if the source forgets it and the target does not know.
        for node in [target, source] {
            let () = node
                .run(cmd("CLUSTER").arg(("SETSLOT", begun.slot, "NODE", &id)))
                .await?;
        }
        Ok(())
    }
}

async fn names(node: &Node) -> anyhow::Result<HashSet<Vec<u8>>> {
    node.run(cmd("KEYS").arg("*")).await
}

async fn my_id(node: &Node) -> anyhow::Result<String> {
    node.run(cmd("CLUSTER").arg("MYID")).await
}

async fn keys_in(node: &Node, slot: u16) -> anyhow::Result<Vec<Vec<u8>>> {
    node.run(cmd("CLUSTER").arg(("GETKEYSINSLOT", slot, 100_000)))
        .await
}

/// The slot with most keys, nothing where there is none.
async fn fullest_slot(node: &Node) -> anyhow::Result<Option<u16>> {
    let slots: HashSet<u16> = names(node)
        .await?
        .iter()
        .map(|name| generations::slot_of_name(name))
        .collect();
    let mut fullest = None;
    for slot in slots {
        let keys: u64 = node.run(cmd("CLUSTER").arg(("COUNTKEYSINSLOT", slot))).await?;
        fullest = fullest.max(Some((keys, slot)));
    }
    Ok(fullest.map(|(_, slot)| slot))
}

async fn migrate(source: &Node, target: &Node, keys: &[Vec<u8>]) -> anyhow::Result<()> {
    for some in keys.chunks(500) {
        let mut command = cmd("MIGRATE");
        command.arg(("127.0.0.1", target.served_port(), "", 0, MIGRATE_MS));
        command.arg(("AUTH2", OPERATOR, password(OPERATOR), "KEYS"));
        let answer: String = source.run(command.arg(some)).await?;
        tracing::debug!(keys = some.len(), answer, "keys moved");
    }
    Ok(())
}
