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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use messagebus::{BusMetrics, KafkaArgs, LogRecord, Registrar, follow};
    use prometheus::Registry;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn lanes_begin_when_the_zones_were_read_to_their_end() {
        let bus = BusMetrics::register(&Registrar::new(&Registry::new(), "dispatcher")).unwrap();
        let nobody = KafkaArgs::plaintext("127.0.0.1:1", "test.");
        let (read, log) = mpsc::channel(1);
        let (complete, is_complete) = watch::channel(false);
        let health = Health::new(bus.clone());
        health.set_ready("zones", false);
        let following = HostFollower {
            follower: follow(&nobody, "zones", bus.clone()).unwrap().0,
            log,
            hosts: HostDirectory::new(None),
            complete,
            health: health.clone(),
            group: bus.group("dispatcher", "zones"),
        };
        let stop = CancellationToken::new();
        let running = tokio::spawn(following.run(stop.clone()));
        let record = LogRecord {
            partition: 0,
            offset: 0,
            timestamp_ms: 0,
            key: b"1".to_vec(),
            value: None,
        };
        for (event, is_read) in [(LogEvent::Record(record), false), (LogEvent::CaughtUp, true)] {
            read.send(event).await.unwrap();
            // There is room again once it was taken.
            let taken = timeout(Duration::from_secs(20), read.reserve()).await;
            drop(taken.unwrap().unwrap());
            assert_eq!(
                (*is_complete.borrow(), health.ready().is_ok()),
                (is_read, is_read)
            );
        }
        stop.cancel();
        running.await.unwrap().unwrap();
    }
}
