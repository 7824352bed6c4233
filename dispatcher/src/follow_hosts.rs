//! Keeps the host directory as the `zones` topic says, all the time.

use messagebus::metrics::{ConsumerError, GroupMetrics};
use messagebus::{Follower, Health, LogEvent};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::hosts::HostDirectory;

/// Follows the topic for the directory.
pub(crate) struct HostFollower {
    /// Keeps the following thread alive.
    pub(crate) follower: Follower,
    pub(crate) log: mpsc::Receiver<LogEvent>,
    pub(crate) hosts: HostDirectory,
    /// True once the topic was read to its end.
    pub(crate) complete: watch::Sender<bool>,
    pub(crate) health: Health,
    pub(crate) group: GroupMetrics,
}

impl HostFollower {
    /// Follows until `shutdown`.
    ///
    /// # Errors
    /// The log reader's client has died.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        loop {
            let event = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                event = self.log.recv() => event,
            };
            match event {
                Some(LogEvent::Record(record)) => {
                    if let Err(error) = self.hosts.apply(&record.key, record.value.as_deref()) {
                        self.group.errors(ConsumerError::Decode).inc();
                        tracing::error!(
                            partition = record.partition,
                            offset = record.offset,
                            error = &error as &dyn std::error::Error,
                            "a zone's record cannot be read, the zone stays as it was"
                        );
                    }
                }
                Some(LogEvent::CaughtUp) => {
                    tracing::info!(hosts = self.hosts.len(), "zones read");
                    self.health.set_ready("zones", true);
                    self.complete.send_replace(true);
                }
                None => anyhow::bail!("the reader of the zones topic has died"),
            }
        }
        drop(self.follower);
        Ok(())
    }
}
