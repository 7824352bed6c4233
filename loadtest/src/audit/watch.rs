//! `audit --watch`: look after look, on a terminal, as lines, as JSON and as metrics.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use messagebus::admin::{self, AdminState};
use messagebus::metrics::{BusMetrics, Registrar};
use messagebus::token::Token;
use messagebus::{Health, KafkaArgs, Service, config};
use prometheus::Registry;
use tokio::sync::watch as value;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;
use super::{AuditArgs, Auditor, Report};
use crate::screen::Screen;

/// A look that is under way may take so long to end.
const GRACE: Duration = Duration::from_secs(20);

/// How to go on looking.
#[derive(Args, Clone, Debug)]
pub struct WatchArgs {
    /// Looks again and again, this long after each look
    #[arg(long, value_name = "INTERVAL", num_args = 0..=1, default_missing_value = "10s",
          value_parser = config::duration, conflicts_with_all = ["at_rest", "logs"])]
    pub watch: Option<Duration>,
    /// Address that serves the last look as metrics, with /livez, /readyz and /startupz
    #[arg(long, env, requires = "watch")]
    pub admin_addr: Option<SocketAddr>,
}

/// How the last look ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing remained.
    Balanced,
    /// Something did.
    Residue,
    /// Kafka did not answer, or there was no look yet.
    Unseen,
}

/// Looks until SIGTERM or SIGINT; a look that fails is tried again.
///
/// # Errors
/// The address cannot be bound, or Kafka's clients cannot be made.
pub async fn watch(
    kafka: &KafkaArgs,
    args: &AuditArgs,
    every: Duration,
    admin_addr: Option<SocketAddr>,
    json: bool,
) -> anyhow::Result<Ended> {
    let registry = Registry::new();
    let registrar = Registrar::new(&registry, "audit");
    let bus = BusMetrics::register(&registrar).context("registering the bus's metrics")?;
    let metrics = Metrics::register(&registrar, &args.partners).context("registering the audit's metrics")?;
    let health = Health::new(bus);
    health.set_ready("books", false);
    let (tell, ended) = value::channel(Ended::Unseen);
    let watching = Watching {
        auditor: Auditor::following(kafka, args)?,
        screen: Screen::default(),
        metrics,
        health: health.clone(),
        tell,
        json,
    };
    let mut service = Service::new(GRACE);
    if let Some(address) = admin_addr {
        let state = AdminState {
            registry,
            health: health.clone(),
            token: Token::default(),
        };
        let admin = admin::serve(address, state, axum::Router::new(), service.shutdown());
        service.spawn("admin", admin);
    }
    service.spawn("health", health.run(service.shutdown()));
    service.spawn("looks", watching.run(every, service.shutdown()));
    service.run().await?;
    let ended = *ended.borrow();
    Ok(ended)
}

struct Watching {
    auditor: Auditor,
    screen: Screen,
    metrics: Metrics,
    health: Health,
    tell: value::Sender<Ended>,
    json: bool,
}

impl Watching {
    async fn run(mut self, every: Duration, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut looks = tokio::time::interval(every.max(Duration::from_millis(1)));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                _ = looks.tick() => {}
            }
            let report = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                report = self.auditor.look() => report,
            };
            self.looked(report)?;
        }
    }

    fn looked(&mut self, report: anyhow::Result<Report>) -> anyhow::Result<()> {
        self.health.set_ready("books", report.is_ok());
        let ended = match report {
            Ok(report) => {
                self.metrics.looked(&report);
                self.show(&report)?;
                if report.balances() {
                    Ended::Balanced
                } else {
                    Ended::Residue
                }
            }
            Err(error) => {
                self.metrics.failed();
                tracing::error!("the books cannot be read, looking again: {error:#}");
                Ended::Unseen
            }
        };
        self.tell.send_replace(ended);
        Ok(())
    }

    fn show(&mut self, report: &Report) -> anyhow::Result<()> {
        if self.json {
            let line = serde_json::to_string(report).context("writing the books as JSON")?;
            Screen::line(&line);
        } else if self.screen.is_terminal() {
            self.screen.draw(&report.to_string());
        } else {
            Screen::line(&report.line());
            report
                .residues()
                .for_each(|finding| Screen::line(&finding.to_string()));
        }
        Ok(())
    }
}
