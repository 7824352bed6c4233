//! Lets things fail, and brings them back.

mod certificates;
mod kafka;
mod partners;
mod redis;
mod services;

use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard};

use super::fault::Fault;
use crate::run::Run;
use crate::service::Kind;
use crate::stack::Stack;

/// Longer than a lease, an election and a membership of a group.
const LONG: Duration = Duration::from_secs(14);
const SHORT: Duration = Duration::from_secs(4);
/// Longer than a cluster's node timeout.
const MISSED: Duration = Duration::from_secs(8);
/// What a fault waits for, as a drain, comes within this time or not at all: with a second fault it may not.
const OCCASION: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a fault came to, where that is worth a word.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    /// What it waited for came: without it the fault has not struck as it is meant to.
    pub(super) came: bool,
    pub(super) what: String,
}

/// What can fail. Two faults strike at once, so each takes what it needs for a moment only.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) run: &'a Mutex<Run>,
    pub(super) stack: &'a Mutex<Stack>,
    /// No other fault strikes in this run.
    pub(super) is_alone: bool,
}

impl Target<'_> {
    /// Lets something fail, and brings it back.
    pub(super) async fn strike(&self, fault: Fault, victim: usize) -> anyhow::Result<Option<Evidence>> {
        let ingestor = format!("ingestor-{}", victim % 2);
        match fault {
            Fault::IngestorKilled => self.kill(&[&ingestor]).await,
            Fault::FlipperKilled => self.kill_while_reading().await,
            Fault::FlipperKilledBeforeRemoval => self.end_before_removal(services::End::Kill).await,
            Fault::DispatcherKilled => self.end_in_mid_post(services::End::Kill).await,
            Fault::IngestorFrozen => self.freeze(&ingestor).await,
            Fault::FlipperFrozen => self.freeze(&self.elected().await).await,
            Fault::DispatcherFrozen => self.freeze("dispatcher-0").await,
            Fault::TwoFlippers => self.two_flippers().await,
            Fault::IngestorTerminated => self.terminate_with_sets_in_flight(&ingestor).await,
            Fault::FlipperTerminated => self.terminate_while_reading().await,
            Fault::FlipperTerminatedBeforeRemoval => self.end_before_removal(services::End::Terminate).await,
            Fault::DispatcherTerminated => self.end_in_mid_post(services::End::Terminate).await,
            Fault::RebalanceStorm => self.rebalance().await,
            Fault::LogDiskFull => self.fill_the_log_disk().await,
            Fault::ClockOff => self.shift_clocks(&ingestor).await,
            Fault::BrokerKilled => self.kill_broker().await,
            Fault::BrokerFrozen => self.freeze_broker().await,
            Fault::BrokerSlow => self.slow_broker().await,
            Fault::ProduceTimesOut => self.mute_broker().await,
            Fault::IngestorCutOff => self.cut_off_ingestor(&ingestor).await,
            Fault::MasterKilled => self.kill_master(victim).await,
            Fault::ClusterKilled => self.kill_cluster(victim).await,
            Fault::MasterFrozen => self.freeze_master(victim).await,
            Fault::MasterFull => self.fill_master(victim).await,
            Fault::KeysLost => self.lose_keys(victim).await,
            Fault::ConnectionsCut => self.cut_connections(victim).await,
            Fault::RepliesCut => self.cut_replies(victim).await,
            Fault::FlipperCutOff => self.cut_off_flipper(victim).await,
            Fault::SlotMoved => self.move_slot(victim).await,
            Fault::ReplicaPaused => self.pause_replica_and_kill_master(victim).await,
            Fault::CertificatesRotated => self.rotate_certificates().await,
            Fault::PartnerFails
            | Fault::PartnerThrottles
            | Fault::PartnerTimesOut
            | Fault::PartnerResets
            | Fault::PartnerDrips
            | Fault::PartnerTalks => self.upset_partner(fault).await,
        }
    }

    async fn run(&self) -> MutexGuard<'_, Run> {
        self.run.lock().await
    }

    async fn stack(&self) -> MutexGuard<'_, Stack> {
        self.stack.lock().await
    }

    /// The flipper that works, or the first where none does.
    async fn elected(&self) -> String {
        let elected = self.run().await.elected_flipper().await;
        elected.unwrap_or_else(|| "flipper-0".to_owned())
    }

    async fn process(&self, name: &str) -> anyhow::Result<u32> {
        let id = self.run().await.service(name)?.id();
        // Where it does not run there is nobody to cut off; no process has number 0.
        Ok(id.unwrap_or(0))
    }

    /// Waits for an occasion, and says whether it came.
    async fn until(&self, holds: impl AsyncFn(&Run) -> bool) -> bool {
        let deadline = Instant::now() + OCCASION;
        while Instant::now() < deadline {
            if holds(&*self.run().await).await {
                return true;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        false
    }

    async fn until_draining(&self) -> bool {
        let drains =
            async |run: &Run| run.metric(Kind::Flipper, "flipper_drain_in_progress", &[]).await > 0.0;
        self.until(drains).await
    }
}

/// A word on whether the occasion of a fault came.
fn occasion(came: bool, what: &str) -> Option<Evidence> {
    let what = format!("{}{what}", if came { "" } else { "NOT " });
    Some(Evidence { came, what })
}
