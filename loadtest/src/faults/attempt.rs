//! One run: a stack of its own, traffic throughout, the faults, the books.

use std::time::Duration;

use anyhow::Context;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use super::inject::{Evidence, Target};
use super::plan::{Plan, Step};
use crate::audit::Report;
use crate::produce::{ProduceArgs, produce, produce_zones};
use crate::run::{Run, RunSettings};
use crate::stack::{LONG, MASTERS, Shape, Stack};
use crate::traffic::{Traffic, TrafficArgs};

const PREFIX: &str = "crawler-hints.";
const RATE: u64 = 1_000;
/// Traffic goes on for so long when the faults are over: a flip or two.
const AFTERWARDS: Duration = Duration::from_secs(4);
/// A lease, a barrier by time, a cluster that is given up, an election: the slowest chain of them, twice.
const REST_WITHIN: Duration = Duration::from_secs(240);
const FLIP_INTERVAL: Duration = Duration::from_secs(3);

/// A pipeline behind proxies, under traffic.
pub(super) struct Scene {
    pub(super) stack: Mutex<Stack>,
    pub(super) run: Mutex<Run>,
    stop: CancellationToken,
    producing: JoinHandle<anyhow::Result<u64>>,
}

/// What a run came to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The books, balanced or not, where it came so far.
    pub(super) report: Option<Report>,
    /// What shows that the faults struck.
    pub(super) evidence: Vec<String>,
    /// Why it failed, and where its logs are.
    pub(super) error: Option<String>,
}

/// What is needed, and what for.
#[derive(Clone, Copy, Debug)]
pub(super) struct SceneSettings {
    pub(super) seed: u64,
    pub(super) rate: u64,
    pub(super) flip_interval: Duration,
    pub(super) has_replicas: bool,
    pub(super) is_encrypted: bool,
    pub(super) books: &'static str,
}

/// Runs the faults of one seed.
pub(super) async fn attempt(plan: &Plan) -> Outcome {
    let settings = SceneSettings {
        seed: plan.seed,
        rate: RATE,
        flip_interval: FLIP_INTERVAL,
        has_replicas: plan.has(Fault::ReplicaPaused),
        is_encrypted: plan.has(Fault::CertificatesRotated),
        books: books_that_see(plan),
    };
    let mut outcome = Outcome::default();
    match Scene::start(settings).await {
        Ok(scene) => scene.play(plan, &mut outcome).await,
        Err(error) => outcome.error = Some(format!("{error:#}")),
    }
    outcome
}

/// Keys that are gone without any sign but the counts are missed only where these are exact, and another fault may
/// make them inexact: in company this takes strict books.
fn books_that_see(plan: &Plan) -> &'static str {
    if plan.has(Fault::KeysLost) && plan.steps.len() > 1 {
        "strict"
    } else {
        "visible"
    }
}

impl Scene {
    /// Starts everything; traffic begins at once and goes on until the end.
    pub(super) async fn start(settings: SceneSettings) -> anyhow::Result<Self> {
        let shape = Shape {
            masters: MASTERS,
            has_replicas: settings.has_replicas,
            is_proxied: true,
        };
        let stack = Stack::start_as(PREFIX, shape, settings.is_encrypted).await?;
        let mut services = vec![("BOOKS".to_owned(), settings.books.to_owned())];
        let tls = if settings.is_encrypted {
            Some(stack.broker().issue_certificates(LONG)?)
        } else {
            services.push(("KAFKA_BROKERS".to_owned(), stack.broker().proxied().to_string()));
            None
        };
        let run_settings = RunSettings {
            ingestors: 2,
            flippers: 2,
            flip_interval: settings.flip_interval,
            tls,
            settings: services,
            has_proxied_partners: true,
            ..RunSettings::default()
        };
        let args = ProduceArgs {
            rate: settings.rate,
            count: u64::MAX,
            traffic: TrafficArgs {
                seed: settings.seed,
                hosts: 60,
                ..TrafficArgs::default()
            },
        };
        let zones = Traffic::new(args.traffic.clone())?.zones();
        produce_zones(stack.kafka(), &zones).await?;
        let mut run = Run::start(stack.kafka(), &stack.clusters, run_settings).await?;
        run.forget_counters();
        let (kafka, stop) = (run.kafka.clone(), CancellationToken::new());
        let (stopped, (sent, _)) = (stop.clone(), watch::channel(0));
        let producing = tokio::spawn(async move { produce(&kafka, &args, sent, stopped).await });
        Ok(Self {
            stack: Mutex::new(stack),
            run: Mutex::new(run),
            stop,
            producing,
        })
    }

    /// All faults of a plan, and then the books.
    async fn play(self, plan: &Plan, outcome: &mut Outcome) {
        let is_alone = plan.steps.len() == 1;
        let strikes = plan.steps.iter().map(|step| self.strike(*step, is_alone));
        for struck in futures_util::future::join_all(strikes).await {
            match struck {
                Ok(None) => {}
                Ok(Some(Evidence { came, what })) => {
                    if !came && is_alone {
                        outcome.error = Some(format!("the fault did not strike: {what}"));
                    }
                    outcome.evidence.push(what);
                }
                Err(error) => outcome.error = Some(format!("{error:#}")),
            }
        }
        if !is_alone {
            self.revive(outcome).await;
        }
        self.finish(outcome).await;
    }

    /// With two faults at once a service may end by itself, as one that starts while Kafka is away: a deployment
    /// starts it again.
    pub(super) async fn revive(&self, outcome: &mut Outcome) {
        for service in &mut self.run.lock().await.services {
            match service.revive() {
                Ok(None) => {}
                Ok(Some(ended)) => outcome
                    .evidence
                    .push(format!("{} had ended with {ended}", service.name())),
                Err(error) => outcome.error = Some(format!("{error:#}")),
            }
        }
    }

    /// The books, unless the run has failed already: then its logs are kept.
    pub(super) async fn finish(self, outcome: &mut Outcome) {
        if outcome.error.is_none() {
            tokio::time::sleep(AFTERWARDS).await;
            self.close(outcome).await;
        } else {
            let logs = self.run.lock().await.keep();
            outcome.evidence.push(format!("logs are in {}", logs.display()));
        }
    }

    /// Lets something fail when its time has come, and brings it back.
    pub(super) async fn strike(&self, step: Step, is_alone: bool) -> anyhow::Result<Option<Evidence>> {
        tokio::time::sleep(step.at).await;
        let target = Target {
            run: &self.run,
            stack: &self.stack,
            is_alone,
        };
        let struck = target.strike(step.fault, step.victim).await;
        struck.with_context(|| format!("injecting {}", step.fault.label()))
    }

    /// Ends the traffic, waits for rest and closes the books. What fails keeps its logs.
    async fn close(self, outcome: &mut Outcome) {
        self.stop.cancel();
        let (stack, mut run) = (self.stack.into_inner(), self.run.into_inner());
        let rested = async {
            self.producing.await.context("producing")??;
            run.settle(&stack.clusters, REST_WITHIN).await?;
            let report = outcome.report.insert(run.audit().await?);
            anyhow::ensure!(report.balances(), "the books do not balance\n{report}");
            run.stop().await
        };
        if let Err(error) = rested.await {
            outcome.error = Some(format!("{error:#}; logs are in {}", run.keep().display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lost_without_a_sign_take_strict_books_in_company_only() {
        let plans: Vec<_> = (1..200).map(Plan::of).collect();
        let with_company = |others: usize| {
            let fits = |plan: &&Plan| plan.has(Fault::KeysLost) && plan.steps.len() == 1 + others;
            books_that_see(plans.iter().find(fits).unwrap())
        };
        assert_eq!([with_company(0), with_company(1)], ["visible", "strict"]);
        let other = plans.iter().find(|plan| !plan.has(Fault::KeysLost)).unwrap();
        assert_eq!(books_that_see(other), "visible");
    }
}
