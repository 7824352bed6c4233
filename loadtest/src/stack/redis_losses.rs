//! What only a cluster with data in it can suffer: a failover that loses writes, a slot that moves.

use std::collections::HashSet;

use anyhow::Context;
use redis::cmd;

use super::redis_cluster::RedisCluster;
use super::redis_node::Node;
use super::users::{OPERATOR, password};
use crate::proxy::{Weather, Whose};

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

    /// How many keys a master holds: none where it is down.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn keys_of(&self, master: usize) -> anyhow::Result<u64> {
        let master = self.node(master)?;
        if master.is_up() {
            master.run(&cmd("DBSIZE")).await
        } else {
            Ok(0)
        }
    }

    /// Kills a master whose replica is paused, lets the replica go on, and says how many keys that the master had
    /// acknowledged the replica does not have. Nothing where the master is down already.
    ///
    /// # Errors
    /// A node does not answer.
    pub async fn kill_before_replica(&mut self, master: usize) -> anyhow::Result<Option<usize>> {
        if !self.node(master)?.is_up() {
            return Ok(None);
        }
        let acknowledged = names(self.node(master)?).await?;
        self.kill(master).await?;
        let number = self.twin_of(master);
        let proxy = self.node(master)?.proxy().context("the cluster has no proxies")?;
        proxy.set(Weather::Refusing, Whose::All);
        self.freeze(number, false)?;
        let kept = names(self.node(number)?).await?;
        Ok(Some(acknowledged.difference(&kept).count()))
    }

    /// Whether the slots of a master that [`Self::kill_before_replica`] killed have one again: its replica or, where
    /// another fault has brought it back, itself.
    ///
    /// # Errors
    /// There is no such replica.
    pub async fn has_successor(&self, master: usize) -> anyhow::Result<bool> {
        Ok(self.node(master)?.is_up() || self.node(self.twin_of(master))?.is_master().await)
    }

    /// Starts a master again that [`Self::kill_before_replica`] killed, for everybody to reach.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn bring_back(&mut self, master: usize) -> anyhow::Result<()> {
        let proxy = self.node(master)?.proxy().context("the cluster has no proxies")?;
        proxy.set(Weather::Fair, Whose::All);
        self.restart(master).await
    }

    /// What the replica of a master knows of its cluster.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn known_to_replica(&self, master: usize) -> anyhow::Result<String> {
        let replica = self.node(self.twin_of(master))?;
        replica.run(cmd("CLUSTER").arg("NODES")).await
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
        let (first, _) = keys.split_at(keys.len().div_ceil(2));
        // What another fault keeps from moving, as in a master that it has filled, moves at the end.
        if let Err(error) = migrate(source, target, first).await {
            tracing::info!("half of a slot does not move yet: {error:#}");
        }
        let left = keys_in(source, slot).await?.len();
        Ok(Some(Move {
            slot,
            from,
            to,
            moved: keys.len().saturating_sub(left),
            left,
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
