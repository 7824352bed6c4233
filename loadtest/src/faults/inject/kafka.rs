//! The broker, and the way to it.

use std::time::Duration;

use super::{Evidence, LONG, MISSED, SHORT, Target};
use crate::proxy::{Weather, Whose};
use crate::service::Kind;

/// Half of a round trip of five seconds.
const EACH_WAY: Duration = Duration::from_millis(2_500);
const SLOW_FOR: Duration = Duration::from_secs(20);
/// Longer than `delivery.timeout.ms`.
const MUTE_FOR: Duration = Duration::from_secs(130);

impl Target<'_> {
    pub(super) async fn kill_broker(&self) -> anyhow::Result<Option<Evidence>> {
        self.stack().await.broker_mut().kill().await?;
        tokio::time::sleep(SHORT).await;
        self.stack().await.broker_mut().restart().await?;
        Ok(None)
    }

    pub(super) async fn freeze_broker(&self) -> anyhow::Result<Option<Evidence>> {
        self.stack().await.broker_mut().freeze(true)?;
        tokio::time::sleep(MISSED).await;
        self.stack().await.broker_mut().freeze(false)?;
        Ok(None)
    }

    pub(super) async fn slow_broker(&self) -> anyhow::Result<Option<Evidence>> {
        self.change_kafka(Weather::Slow(EACH_WAY), Whose::All, SLOW_FOR)
            .await
    }

    /// What is produced arrives and is never acknowledged: librdkafka gives the records up, and they are sent again.
    pub(super) async fn mute_broker(&self) -> anyhow::Result<Option<Evidence>> {
        self.change_kafka(Weather::Mute, Whose::All, MUTE_FOR).await?;
        let run = self.run().await;
        let mut timeouts = 0.0;
        for kind in [Kind::Ingestor, Kind::Flipper, Kind::Dispatcher] {
            let reason = [("reason", "timeout")];
            timeouts += run.metric(kind, "kafka_producer_failed_total", &reason).await;
        }
        Ok(Some(Evidence {
            came: timeouts > 0.0,
            what: format!("{timeouts} deliveries timed out"),
        }))
    }

    pub(super) async fn cut_off_ingestor(&self, name: &str) -> anyhow::Result<Option<Evidence>> {
        let id = self.process(name).await?;
        self.change_kafka(Weather::Silent, Whose::Process(id), LONG).await
    }

    async fn change_kafka(
        &self,
        weather: Weather,
        whose: Whose,
        lasting: Duration,
    ) -> anyhow::Result<Option<Evidence>> {
        self.stack().await.broker().set_weather(weather, whose);
        tokio::time::sleep(lasting).await;
        self.stack().await.broker().set_weather(Weather::Fair, Whose::All);
        Ok(None)
    }
}
