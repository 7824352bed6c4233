//! A service that is killed on the way, as kill -9 does, started again, and at work again.

use std::time::Duration;

use tokio::time::Instant;

use super::say;
use crate::run::Run;

/// How long it stays away.
const AWAY: Duration = Duration::from_secs(5);

/// Where the killing stands; moves on at each look.
#[derive(Debug)]
pub(crate) enum Killing {
    /// Nothing is killed, or all of it is done.
    Over,
    /// Until then it runs.
    Planned(String, Instant),
    /// Until then it is away.
    Away(String, Instant),
    /// Since then it runs again.
    Back(String, Instant),
}

impl Killing {
    /// Kills the service of that name, if any, so long from now.
    pub(crate) fn planned(name: Option<String>, after: Duration) -> Self {
        name.map_or(Self::Over, |name| Self::Planned(name, Instant::now() + after))
    }

    /// Whether a service is away or not at work yet.
    pub(crate) fn is_under_way(&self) -> bool {
        matches!(self, Self::Away(..) | Self::Back(..))
    }

    /// Does what is due.
    ///
    /// # Errors
    /// There is no such service, or it cannot be started again.
    pub(crate) async fn look(&mut self, run: &mut Run) -> anyhow::Result<()> {
        let now = Instant::now();
        match self {
            Self::Planned(name, at) if *at <= now => {
                run.kill(name).await?;
                say(&format!("{name} killed"));
                *self = Self::Away(std::mem::take(name), now + AWAY);
            }
            Self::Away(name, until) if *until <= now => {
                run.service(name)?.restart()?;
                *self = Self::Back(std::mem::take(name), now);
            }
            Self::Back(name, since) if run.service(name)?.is_at_work().await => {
                let took = since.elapsed().as_secs_f64();
                say(&format!(
                    "{name} is at work {took:.0} s after it was started again"
                ));
                *self = Self::Over;
            }
            Self::Over | Self::Planned(..) | Self::Away(..) | Self::Back(..) => {}
        }
        Ok(())
    }
}
