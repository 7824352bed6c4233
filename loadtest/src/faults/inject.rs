//! Lets things fail, and brings them back.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::fault::Fault;
use crate::partners::Misbehaviour;
use crate::run::Run;
use crate::stack::{RedisCluster, Stack};

/// Longer than a lease, an election and a membership of a group.
const LONG: Duration = Duration::from_secs(14);
const SHORT: Duration = Duration::from_secs(4);
/// Longer than a cluster's node timeout.
const MISSED: Duration = Duration::from_secs(8);

/// What can fail.
pub(super) struct Target<'a> {
    pub(super) run: &'a mut Run,
    pub(super) stack: &'a mut Stack,
}

impl Target<'_> {
    /// Lets something fail, and brings it back.
    pub(super) async fn strike(&mut self, fault: Fault, victim: usize) -> anyhow::Result<()> {
        let ingestor = format!("ingestor-{}", victim % 2);
        match fault {
            Fault::IngestorKilled => self.kill(&[&ingestor]).await,
            Fault::FlipperKilled => self.kill(&["flipper-0", "flipper-1"]).await,
            Fault::FlipperKilledBeforeRemoval => self.kill_before_removal().await,
            Fault::DispatcherKilled => self.kill(&["dispatcher-0"]).await,
            Fault::IngestorFrozen => self.freeze(&ingestor).await,
            Fault::FlipperFrozen => {
                let name = self
                    .run
                    .elected_flipper()
                    .await
                    .unwrap_or_else(|| "flipper-0".to_owned());
                self.freeze(&name).await
            }
            Fault::DispatcherFrozen => self.freeze("dispatcher-0").await,
            Fault::Terminated => self.terminate_all().await,
            Fault::RebalanceStorm => self.rebalance().await,
            Fault::BrokerKilled => {
                self.stack.broker_mut().kill().await?;
                tokio::time::sleep(SHORT).await;
                self.stack.broker_mut().restart().await
            }
            Fault::BrokerFrozen => {
                self.stack.broker_mut().freeze(true)?;
                tokio::time::sleep(MISSED).await;
                self.stack.broker_mut().freeze(false)
            }
            Fault::MasterKilled => self.kill_masters(victim, 1).await,
            Fault::ClusterKilled => self.kill_masters(victim, 3).await,
            Fault::MasterFrozen => {
                self.cluster(victim)?.freeze(victim % 3, true)?;
                tokio::time::sleep(Duration::from_secs(10)).await;
                self.cluster(victim)?.freeze(victim % 3, false)
            }
            Fault::MasterFull => {
                self.cluster(victim)?
                    .configure(victim % 3, "maxmemory", "1")
                    .await?;
                tokio::time::sleep(SHORT).await;
                self.cluster(victim)?
                    .configure(victim % 3, "maxmemory", "0")
                    .await
            }
            Fault::KeysLost => self.cluster(victim)?.lose(victim % 3).await,
            Fault::ConnectionsCut => {
                for _ in 0..20 {
                    self.cluster(victim)?.cut(victim % 3).await?;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Ok(())
            }
            Fault::PartnerFails => self.misbehave(Misbehaviour::always(500)).await,
            Fault::PartnerThrottles => self.misbehave(Misbehaviour::always(429)).await,
        }
    }

    fn cluster(&mut self, victim: usize) -> anyhow::Result<&mut RedisCluster> {
        self.stack
            .clusters
            .get_mut(victim % 2)
            .context("there are two clusters")
    }

    async fn kill(&mut self, names: &[&str]) -> anyhow::Result<()> {
        for name in names {
            self.run.kill(name).await?;
        }
        tokio::time::sleep(SHORT).await;
        for name in names {
            self.run.service(name)?.restart()?;
        }
        Ok(())
    }

    /// Removals wait at both clusters; once a further batch stands in Kafka the flippers die.
    async fn kill_before_removal(&mut self) -> anyhow::Result<()> {
        let before = self.run.batches().await?;
        for cluster in &self.stack.clusters {
            cluster.pause_writes(MISSED).await?;
        }
        let deadline = Instant::now() + MISSED;
        while self.run.batches().await? == before && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for name in ["flipper-0", "flipper-1"] {
            self.run.kill(name).await?;
        }
        for cluster in &self.stack.clusters {
            cluster.resume_writes().await?;
        }
        for name in ["flipper-0", "flipper-1"] {
            self.run.service(name)?.restart()?;
        }
        Ok(())
    }

    async fn freeze(&mut self, name: &str) -> anyhow::Result<()> {
        self.run.service(name)?.freeze(true)?;
        tokio::time::sleep(LONG).await;
        self.run.service(name)?.freeze(false)
    }

    async fn terminate_all(&mut self) -> anyhow::Result<()> {
        for service in &mut self.run.services {
            service.terminate().await?;
            service.restart()?;
        }
        Ok(())
    }

    async fn rebalance(&mut self) -> anyhow::Result<()> {
        for _ in 0..3 {
            let service = self.run.service("ingestor-1")?;
            service.terminate().await?;
            service.restart()?;
            service.wait_until_ready().await?;
        }
        Ok(())
    }

    async fn kill_masters(&mut self, victim: usize, count: usize) -> anyhow::Result<()> {
        let first = victim % 3;
        for node in (first..first + count).map(|node| node % 3) {
            self.cluster(victim)?.kill(node).await?;
        }
        tokio::time::sleep(MISSED).await;
        for node in (first..first + count).map(|node| node % 3) {
            self.cluster(victim)?.restart(node).await?;
        }
        Ok(())
    }

    async fn misbehave(&mut self, how: Misbehaviour) -> anyhow::Result<()> {
        self.run.partners.misbehave("south", how);
        tokio::time::sleep(MISSED).await;
        self.run.partners.misbehave("south", Misbehaviour::default());
        Ok(())
    }
}
