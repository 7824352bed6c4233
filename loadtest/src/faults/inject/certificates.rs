//! Certificates that are replaced, and end.

use std::time::{Duration, Instant};

use messagebus::credentials::TURNED_WITHIN;
use messagebus::now_ms;

use super::{Evidence, Target, occasion};
use crate::proxy::{Weather, Whose};
use crate::stack::LONG;

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A life that is over within the run, but not before every client could turn to it: the brokers let nobody in with a
/// certificate that has ended.
const BRIEF: Duration = TURNED_WITHIN;

impl Target<'_> {
    /// Services go from their certificate to a brief one and on to another. When the brief one has ended every
    /// connection is cut: who had kept it would not be let in again.
    pub(super) async fn rotate_certificates(&self) -> anyhow::Result<Option<Evidence>> {
        let brief = self.stack().await.broker().issue_certificates(BRIEF)?.end()?;
        let mut late = self.who_is_late("brief", brief).await;
        let long = self.stack().await.broker().issue_certificates(LONG)?.end()?;
        late.extend(self.who_is_late("long", long).await);
        while i64::try_from(now_ms() / 1_000)? <= brief {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        if self.is_alone {
            self.set_weather(Weather::Refusing).await;
            tokio::time::sleep(LOOK_EVERY).await;
            self.set_weather(Weather::Fair).await;
        }
        Ok(evidence(&late))
    }

    /// Who has not shown in time the certificate that was issued last.
    async fn who_is_late(&self, which: &str, end: i64) -> Vec<String> {
        let deadline = Instant::now() + TURNED_WITHIN;
        loop {
            let others = self.run().await.who_shows_another(end).await;
            if others.is_empty() || Instant::now() > deadline {
                return others.iter().map(|other| format!("{which}: {other}")).collect();
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn set_weather(&self, weather: Weather) {
        let stack = self.stack().await;
        stack.broker().set_weather(weather, Whose::All);
        for cluster in &stack.clusters {
            cluster.set_weather(weather, Whose::All);
        }
    }
}

fn evidence(late: &[String]) -> Option<Evidence> {
    let mut what = "all showed each".to_owned();
    if !late.is_empty() {
        what += &format!(" ({})", late.join("; "));
    }
    occasion(late.is_empty(), &what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_late_is_named() {
        let in_time = evidence(&[]).unwrap();
        assert!(in_time.came);
        assert_eq!(in_time.what, "all showed each");
        let late = [
            "brief: flipper-0 shows redis none",
            "long: ingestor-1 shows kafka none",
        ];
        let late = evidence(&late.map(str::to_owned)).unwrap();
        assert!(!late.came);
        assert_eq!(
            late.what,
            "NOT all showed each (brief: flipper-0 shows redis none; long: ingestor-1 shows kafka none)"
        );
    }
}
