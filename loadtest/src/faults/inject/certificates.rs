//! Certificates that are replaced, and end.

use std::time::{Duration, Instant};

use messagebus::now_ms;

use super::{Evidence, Target, occasion};
use crate::proxy::{Weather, Whose};
use crate::stack::LONG;

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A life that is over within the run.
const BRIEF: Duration = Duration::from_secs(60);
/// Every client of every service turns to new certificates within this time; those of a service that another fault
/// keeps from it, later.
const SHOWN_WITHIN: Duration = Duration::from_secs(60);

impl Target<'_> {
    /// Services go from their certificate to a brief one and on to another. When the brief one has ended every
    /// connection is cut: who had kept it would not be let in again.
    pub(super) async fn rotate_certificates(&self) -> anyhow::Result<Option<Evidence>> {
        let brief = self.stack().await.broker().issue_certificates(BRIEF)?.end()?;
        let mut came = self.until_shown(brief).await;
        let long = self.stack().await.broker().issue_certificates(LONG)?.end()?;
        came &= self.until_shown(long).await;
        while i64::try_from(now_ms() / 1_000)? <= brief {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        if self.is_alone {
            self.set_weather(Weather::Refusing).await;
            tokio::time::sleep(LOOK_EVERY).await;
            self.set_weather(Weather::Fair).await;
        }
        Ok(occasion(came, "all showed each"))
    }

    async fn until_shown(&self, end: i64) -> bool {
        let deadline = Instant::now() + SHOWN_WITHIN;
        while Instant::now() < deadline {
            if self.run().await.shows_certificates_of(end).await {
                return true;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        false
    }

    async fn set_weather(&self, weather: Weather) {
        let stack = self.stack().await;
        stack.broker().set_weather(weather, Whose::All);
        for cluster in &stack.clusters {
            cluster.set_weather(weather, Whose::All);
        }
    }
}
