//! Follows the `zones` topic and publishes what the pipeline reads.

use std::sync::Arc;
use std::time::Duration;

use messagebus::metrics::{ConsumerError, GroupMetrics};
use messagebus::{Follower, Health, KafkaArgs, LogEvent, LogRecord, now_ms, offsets};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::zones::{ZoneTable, Zones};

/// How often a broker is asked whether the list can still be complete. An opt-out must not go unseen for long.
const CONFIRM_EVERY: Duration = Duration::from_secs(60);

/// Follows the topic for the pipeline.
pub(crate) struct OptInList {
    pub(crate) kafka: KafkaArgs,
    /// Keeps the following thread alive.
    pub(crate) follower: Follower,
    pub(crate) log: mpsc::Receiver<LogEvent>,
    /// Nothing until the topic was read to its end.
    pub(crate) zones: watch::Sender<Option<Arc<Zones>>>,
    pub(crate) metrics: Metrics,
    pub(crate) group: GroupMetrics,
    pub(crate) health: Health,
}

impl OptInList {
    /// Follows until `shutdown`.
    ///
    /// # Errors
    /// The log reader's client has died.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut table = ZoneTable::default();
        let mut complete = false;
        let mut confirm = tokio::time::interval(CONFIRM_EVERY);
        loop {
            let event = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                event = self.log.recv() => event,
                _ = confirm.tick(), if complete => {
                    self.confirm().await;
                    continue;
                }
            };
            let Some(event) = event else {
                anyhow::bail!("the reader of the zones topic has died")
            };
            complete |= self.take(&mut table, event);
            // A snapshot in use makes the next change copy the table: so one for all that is there already.
            while let Ok(event) = self.log.try_recv() {
                complete |= self.take(&mut table, event);
            }
            if complete {
                self.publish(&table);
            }
        }
        drop(self.follower);
        Ok(())
    }

    /// Takes one event; true when it says that the topic was read to its end.
    fn take(&self, table: &mut ZoneTable, event: LogEvent) -> bool {
        let record = match event {
            LogEvent::CaughtUp => return true,
            LogEvent::Record(record) => record,
        };
        let LogRecord {
            key,
            value,
            partition,
            offset,
            ..
        } = record;
        match table.apply(&key, value.as_deref()) {
            Ok(Some(change)) => self.metrics.zone_changed(change),
            Ok(None) => {}
            Err(error) => {
                self.group.errors(ConsumerError::Decode).inc();
                tracing::error!(
                    partition,
                    offset,
                    error = &error as &dyn std::error::Error,
                    "a zone's record cannot be read, the zone stays as it was"
                );
            }
        }
        false
    }

    fn publish(&self, table: &ZoneTable) {
        let zones = table.snapshot();
        self.metrics.zones(&zones);
        self.metrics.zones_refreshed(now_ms() / 1_000);
        if self.zones.borrow().is_none() {
            self.health.set_ready("zones", true);
            tracing::info!(
                enabled = zones.enabled(),
                disabled = zones.disabled(),
                "zones read"
            );
        }
        self.zones.send_replace(Some(zones));
    }

    /// A broker that answers while nothing waits to be read: the list is complete.
    async fn confirm(&self) {
        match offsets::log_end(&self.kafka, &self.kafka.topics().zones()).await {
            Ok(_) if self.log.is_empty() => self.metrics.zones_refreshed(now_ms() / 1_000),
            Ok(_) => {}
            Err(error) => tracing::warn!("the list of zones cannot be confirmed: {error:#}"),
        }
    }
}
