//! Services that are killed, stopped, asked to end, or find their surroundings changed.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::{Evidence, LONG, LOOK_EVERY, MISSED, SHORT, Target, occasion};
use crate::proxy::{Weather, Whose};
use crate::run::Run;
use crate::service::{Kind, Surroundings};

/// With this much between the flipper and Redis a drain of a small generation takes long enough to be met.
const SLOW_DRAIN: Weather = Weather::Slow(Duration::from_millis(30));
/// SETs are in flight for so long, and stay below the response timeout.
const SLOW_SETS: Weather = Weather::Slow(Duration::from_millis(400));
const FLIPPERS: [&str; 2] = ["flipper-0", "flipper-1"];

/// How long a service has to end after SIGTERM, its dependencies away or not: the grace that it gives its own tasks,
/// and twenty seconds for a busy machine.
fn grace(kind: Kind) -> Duration {
    Duration::from_secs(match kind {
        Kind::Ingestor | Kind::Dispatcher => 70,
        Kind::Flipper => 120,
    })
}

/// How a service is made to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// As kill -9 does.
    Kill,
    /// As a deployment does.
    Terminate,
}

impl Target<'_> {
    pub(super) async fn kill(&self, names: &[&str]) -> anyhow::Result<Option<Evidence>> {
        for name in names {
            self.run().await.kill(name).await?;
        }
        tokio::time::sleep(SHORT).await;
        self.start(names).await
    }

    async fn start(&self, names: &[&str]) -> anyhow::Result<Option<Evidence>> {
        for name in names {
            self.run().await.service(name)?.restart()?;
        }
        Ok(None)
    }

    /// Asks services to end, lets `meanwhile` happen, and waits until they have ended: with status 0, unless
    /// another fault keeps them from finishing.
    async fn terminate(
        &self,
        names: &[&str],
        meanwhile: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let mut asked = Vec::new();
        for name in names {
            let mut run = self.run().await;
            let service = run.service(name)?;
            service.ask_to_end()?;
            asked.push((name, service.id()));
        }
        meanwhile.await?;
        for (name, id) in asked {
            let status = self.wait_for_end(name, id).await?;
            anyhow::ensure!(
                status.success() || !self.is_alone,
                "{name} ended with {status} after SIGTERM"
            );
        }
        Ok(())
    }

    /// Another fault may have started it again by now: the process of that number has ended then.
    async fn wait_for_end(&self, name: &str, id: Option<u32>) -> anyhow::Result<ExitStatus> {
        let started = Instant::now();
        loop {
            let mut run = self.run().await;
            let service = run.service(name)?;
            let within = grace(service.kind());
            if service.id() != id {
                return Ok(ExitStatus::default());
            }
            if let Some(status) = service.ended()? {
                return Ok(status);
            }
            drop(run);
            anyhow::ensure!(
                started.elapsed() < within,
                "{name} does not end within {within:?} of SIGTERM"
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub(super) async fn freeze(&self, name: &str) -> anyhow::Result<Option<Evidence>> {
        self.run().await.service(name)?.freeze(true)?;
        tokio::time::sleep(LONG).await;
        self.run().await.service(name)?.freeze(false)?;
        Ok(None)
    }

    async fn set_redis_weather(&self, weather: Weather, whose: Whose) {
        for cluster in &self.stack().await.clusters {
            cluster.set_weather(weather, whose);
        }
    }

    /// Slows down what the flipper that works reads, and waits until it drains.
    async fn until_reading(&self) -> anyhow::Result<(String, bool)> {
        let name = self.elected().await;
        let id = self.process(&name).await?;
        self.set_redis_weather(SLOW_DRAIN, Whose::Process(id)).await;
        Ok((name, self.until_draining().await))
    }

    pub(super) async fn kill_while_reading(&self) -> anyhow::Result<Option<Evidence>> {
        let (_, came) = self.until_reading().await?;
        self.kill(&FLIPPERS).await?;
        self.set_redis_weather(Weather::Fair, Whose::All).await;
        Ok(occasion(came, "draining"))
    }

    pub(super) async fn terminate_while_reading(&self) -> anyhow::Result<Option<Evidence>> {
        let (name, came) = self.until_reading().await?;
        self.terminate(&[&name], async { Ok(()) }).await?;
        self.set_redis_weather(Weather::Fair, Whose::All).await;
        self.start(&[&name]).await?;
        Ok(occasion(came, "draining"))
    }

    /// Removals wait at both clusters; once a further batch stands in Kafka the flippers end.
    pub(super) async fn end_before_removal(&self, end: End) -> anyhow::Result<Option<Evidence>> {
        let before = self.run().await.batches().await.unwrap_or(i64::MAX);
        for cluster in &self.stack().await.clusters {
            cluster.pause_writes(MISSED).await?;
        }
        let came = self
            .until(async |run: &Run| run.batches().await.is_ok_and(|now| now > before))
            .await;
        let resume = async || {
            for cluster in &self.stack().await.clusters {
                cluster.resume_writes().await?;
            }
            Ok(())
        };
        match end {
            End::Kill => {
                for name in FLIPPERS {
                    self.run().await.kill(name).await?;
                }
                resume().await?;
            }
            End::Terminate => self.terminate(&FLIPPERS, resume()).await?,
        }
        self.start(&FLIPPERS).await?;
        Ok(occasion(came, "acknowledged"))
    }

    /// A flipper is stopped in mid-drain until another one drains as well, and then goes on beside it.
    pub(super) async fn two_flippers(&self) -> anyhow::Result<Option<Evidence>> {
        let (name, _) = self.until_reading().await?;
        self.run().await.service(&name)?.freeze(true)?;
        self.set_redis_weather(SLOW_DRAIN, Whose::All).await;
        let other_drains = async |run: &Run| {
            for flipper in run.of(Kind::Flipper).filter(|flipper| flipper.name() != name) {
                if let Ok(metrics) = flipper.metrics().await
                    && metrics.sum("flipper_drain_in_progress", &[]) > 0.0
                {
                    return true;
                }
            }
            false
        };
        let came = self.until(other_drains).await;
        self.run().await.service(&name)?.freeze(false)?;
        tokio::time::sleep(SHORT).await;
        self.set_redis_weather(Weather::Fair, Whose::All).await;
        Ok(occasion(came, "both drained"))
    }

    /// A partner takes requests and holds its answers back until the dispatcher has ended or was asked to.
    pub(super) async fn end_in_mid_post(&self, end: End) -> anyhow::Result<Option<Evidence>> {
        let before = self.run().await.partners.status("south").urls;
        self.run().await.set_partner_weather("south", Weather::Mute);
        let came = self
            .until(async |run: &Run| run.partners.status("south").urls > before)
            .await;
        let name = "dispatcher-0";
        let answer = async || {
            self.run().await.set_partner_weather("south", Weather::Fair);
            Ok(())
        };
        match end {
            End::Kill => {
                self.kill(&[name]).await?;
                answer().await?;
            }
            End::Terminate => {
                self.terminate(&[name], answer()).await?;
                self.start(&[name]).await?;
            }
        }
        Ok(occasion(came, "in mid-POST"))
    }

    pub(super) async fn terminate_with_sets_in_flight(&self, name: &str) -> anyhow::Result<Option<Evidence>> {
        let id = self.process(name).await?;
        self.set_redis_weather(SLOW_SETS, Whose::Process(id)).await;
        // A few round trips: SETs are always in flight then.
        tokio::time::sleep(SHORT).await;
        self.terminate(&[name], async { Ok(()) }).await?;
        self.set_redis_weather(Weather::Fair, Whose::All).await;
        self.start(&[name]).await
    }

    pub(super) async fn rebalance(&self) -> anyhow::Result<Option<Evidence>> {
        for _ in 0..4 {
            self.terminate(&["ingestor-1"], async { Ok(()) }).await?;
            self.start(&["ingestor-1"]).await?;
            tokio::time::sleep(SHORT).await;
        }
        Ok(None)
    }

    /// Starts services again in other surroundings, for as long as a lease and more, and then as they were.
    async fn surround(&self, services: &[(&str, Surroundings)]) -> anyhow::Result<Option<Evidence>> {
        let names: Vec<_> = services.iter().map(|(name, _)| *name).collect();
        self.terminate(&names, async { Ok(()) }).await?;
        for (name, surroundings) in services {
            self.run().await.service(name)?.restart_in(*surroundings)?;
        }
        tokio::time::sleep(LONG).await;
        self.terminate(&names, async { Ok(()) }).await?;
        self.start(&names).await
    }

    pub(super) async fn fill_the_log_disk(&self) -> anyhow::Result<Option<Evidence>> {
        let names = [
            "ingestor-0",
            "ingestor-1",
            "flipper-0",
            "flipper-1",
            "dispatcher-0",
        ];
        self.surround(&names.map(|name| (name, Surroundings::DiskFull)))
            .await
    }

    pub(super) async fn shift_clocks(&self, ingestor: &str) -> anyhow::Result<Option<Evidence>> {
        let services = [
            (ingestor, Surroundings::ClockFast),
            ("flipper-0", Surroundings::ClockSlow),
            ("flipper-1", Surroundings::ClockFast),
            ("dispatcher-0", Surroundings::ClockSlow),
        ];
        self.surround(&services).await
    }
}
