//! Redis nodes and clusters, and the way to them.

use std::time::Duration;

use anyhow::Context;
use tokio::sync::{MappedMutexGuard, MutexGuard};
use tokio::time::Instant;

use super::{Evidence, LOOK_EVERY, MISSED, OCCASION, SHORT, Target, occasion};
use crate::proxy::{Weather, Whose};
use crate::run::Run;
use crate::service::Kind;
use crate::stack::{Move, RedisCluster};

/// A slot has moved within this time once both its masters are back.
const MOVED_WITHIN: Duration = Duration::from_secs(60);
const STALL: Duration = Duration::from_secs(10);
/// A node timeout, and three elections: Redis holds the next one four node timeouts after one that failed, as they do
/// where the other masters are too busy to vote.
const FAILOVER_WITHIN: Duration = Duration::from_secs(90);
/// Keys that a master takes while its replica is paused, before it is killed.
const UNREPLICATED: u64 = 100;
/// The other flipper works within this time: twice the lease and an election.
const CUT_OFF: Duration = Duration::from_secs(35);

impl Target<'_> {
    async fn cluster(&self, victim: usize) -> anyhow::Result<MappedMutexGuard<'_, RedisCluster>> {
        let stack = self.stack().await;
        let cluster = MutexGuard::try_map(stack, |stack| stack.clusters.get_mut(victim % 2));
        cluster.ok().context("there are two clusters")
    }

    pub(super) async fn kill_master(&self, victim: usize) -> anyhow::Result<Option<Evidence>> {
        let number = self.cluster(victim).await?.master(victim).await;
        self.kill_nodes(victim, &[number]).await
    }

    pub(super) async fn kill_cluster(&self, victim: usize) -> anyhow::Result<Option<Evidence>> {
        let all: Vec<_> = self.cluster(victim).await?.numbers().collect();
        self.kill_nodes(victim, &all).await
    }

    async fn kill_nodes(&self, victim: usize, numbers: &[usize]) -> anyhow::Result<Option<Evidence>> {
        for number in numbers {
            self.cluster(victim).await?.kill(*number).await?;
        }
        tokio::time::sleep(MISSED).await;
        for number in numbers {
            self.cluster(victim).await?.restart(*number).await?;
        }
        Ok(None)
    }

    pub(super) async fn freeze_master(&self, victim: usize) -> anyhow::Result<Option<Evidence>> {
        let number = self.cluster(victim).await?.master(victim).await;
        self.cluster(victim).await?.freeze(number, true)?;
        tokio::time::sleep(STALL).await;
        self.cluster(victim).await?.freeze(number, false)?;
        Ok(None)
    }

    pub(super) async fn fill_master(&self, victim: usize) -> anyhow::Result<Option<Evidence>> {
        let number = self.cluster(victim).await?.master(victim).await;
        self.cluster(victim)
            .await?
            .configure(number, "maxmemory", "1")
            .await?;
        tokio::time::sleep(SHORT).await;
        self.cluster(victim)
            .await?
            .configure(number, "maxmemory", "0")
            .await?;
        Ok(None)
    }

    pub(super) async fn lose_keys(&self, victim: usize) -> anyhow::Result<Option<Evidence>> {
        let cluster = self.cluster(victim).await?;
        let number = cluster.master(victim).await;
        cluster.lose(number).await?;
        Ok(None)
    }

    pub(super) async fn cut_connections(&self, victim: usize) -> anyhow::Result<Option<Evidence>> {
        let number = self.cluster(victim).await?.master(victim).await;
        for _ in 0..20 {
            self.cluster(victim).await?.cut(number).await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(None)
    }

    /// Each connection is cut after so many bytes of replies, more each time: in the handshake, in the answer that
    /// tells the slots, within the answers of a pipeline.
    pub(super) async fn cut_replies(&self, victim: usize) -> anyhow::Result<Option<Evidence>> {
        for round in 1..=24 {
            for cluster in &self.stack().await.clusters {
                cluster.set_weather(Weather::Cutting(round * round * (10 + victim) + 3), Whose::All);
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        for cluster in &self.stack().await.clusters {
            cluster.set_weather(Weather::Fair, Whose::All);
        }
        Ok(None)
    }

    /// Everybody else reaches the cluster: the flipper hands its election over instead of failing a turn.
    pub(super) async fn cut_off_flipper(&self, victim: usize) -> anyhow::Result<Option<Evidence>> {
        let name = self.elected().await;
        let id = self.process(&name).await?;
        self.cluster(victim)
            .await?
            .set_weather(Weather::Silent, Whose::Process(id));
        let deadline = Instant::now() + CUT_OFF;
        let mut has_moved = false;
        while !has_moved && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let elected = self.run().await.elected_flipper().await;
            has_moved = elected.is_some_and(|elected| elected != name);
        }
        self.cluster(victim).await?.set_weather(Weather::Fair, Whose::All);
        Ok(occasion(has_moved, "handed over"))
    }

    /// Half of a slot's keys stand at either master when the drain meets it.
    pub(super) async fn move_slot(&self, victim: usize) -> anyhow::Result<Option<Evidence>> {
        let active = self.active_cluster().await;
        let mut begun = None;
        for _ in 0..50 {
            begun = self.cluster(active).await?.begin_move(victim).await?;
            if begun.is_some_and(|begun| begun.left > 0) {
                break;
            }
            if let Some(begun) = begun.take() {
                self.finish_move(active, begun).await?;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let Some(begun) = begun else {
            return Ok(occasion(false, "a slot moved"));
        };
        let flips = async |run: &Run| run.metric(Kind::Flipper, "flipper_flips_total", &[]).await;
        let before = flips(&*self.run().await).await;
        self.until(async |run: &Run| flips(run).await > before).await;
        let came = self.until_draining().await;
        // The pass goes round and round until the slot is in one place.
        tokio::time::sleep(SHORT).await;
        self.finish_move(active, begun).await?;
        let (moved, left) = (begun.moved, begun.left);
        Ok(occasion(
            came,
            &format!("draining with {moved} keys moved and {left} not"),
        ))
    }

    /// A slot that stays between two masters is never drained: a node that is away is waited for.
    async fn finish_move(&self, cluster: usize, begun: Move) -> anyhow::Result<()> {
        let deadline = Instant::now() + MOVED_WITHIN;
        loop {
            match self.cluster(cluster).await?.finish_move(begun).await {
                Err(error) if Instant::now() < deadline => {
                    tracing::info!("a slot does not move yet: {error:#}");
                }
                finished => return finished,
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Redis loses what it has acknowledged: shown, not assumed.
    pub(super) async fn pause_replica_and_kill_master(
        &self,
        victim: usize,
    ) -> anyhow::Result<Option<Evidence>> {
        let active = self.active_cluster().await;
        let master = self.cluster(active).await?.master(victim).await;
        self.cluster(active).await?.pause_replica(master)?;
        self.until_written(active, master).await?;
        let killed = self.cluster(active).await?.kill_before_replica(master).await?;
        let Some(lost) = killed else {
            return Ok(occasion(false, "a master to kill"));
        };
        self.until_replica_takes_over(active, master).await?;
        self.cluster(active).await?.bring_back(master).await?;
        Ok(Some(Evidence {
            came: lost > 0,
            what: format!("Redis lost {lost} keys it had acknowledged"),
        }))
    }

    /// Waits until a master holds keys that its paused replica does not have, or for as long as an occasion may take. A
    /// time alone would not do: a flip may come meanwhile, whose drain leaves nothing to lose until the cluster's turn
    /// comes again.
    async fn until_written(&self, cluster: usize, master: usize) -> anyhow::Result<()> {
        let paused_at = self.cluster(cluster).await?.keys_of(master).await?;
        let deadline = Instant::now() + OCCASION;
        while self.cluster(cluster).await?.keys_of(master).await? < paused_at + UNREPLICATED
            && Instant::now() < deadline
        {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Leaves the cluster to others between two looks: without another master that they bring back there may be no
    /// majority to elect the replica.
    async fn until_replica_takes_over(&self, cluster: usize, master: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + FAILOVER_WITHIN;
        while !self.cluster(cluster).await?.has_successor(master).await? {
            if Instant::now() > deadline {
                let says = self.cluster(cluster).await?.known_to_replica(master).await?;
                anyhow::bail!("the replica does not take over within {FAILOVER_WITHIN:?}; it knows: {says}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Which cluster was just begun to be written: waits for a flip, so that there is time until the next.
    async fn active_cluster(&self) -> usize {
        let generation = async |run: &Run| {
            run.metric(Kind::Ingestor, "ingestor_active_generation", &[])
                .await
        };
        let before = generation(&*self.run().await).await;
        self.until(async |run: &Run| generation(run).await > before).await;
        let run = self.run().await;
        let b = [("redis_cluster", "hints-b")];
        usize::from(run.metric(Kind::Flipper, "flipper_active_cluster", &b).await > 0.0)
    }
}
