//! Whether the process is alive, ready and started: a background task finds out, the handlers only read.

mod report;
mod verdict;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{task::spawn_blocking, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::BootInstant,
    consumer::Consumer,
    metrics::{BusMetrics, Check},
    producer::Producer,
};
use report::{Report, Subject};
use verdict::SIGN_OF_LIFE;

/// Time between two checks.
const CHECK_EVERY: Duration = Duration::from_secs(15);

/// The process's health; cheap to clone, all clones are one.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    metrics: BusMetrics,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    consumers: Vec<Consumer>,
    producers: Vec<Producer>,
    conditions: BTreeMap<&'static str, bool>,
    signs: BTreeMap<Check, Option<BootInstant>>,
    report: Report,
    started: bool,
    draining: bool,
}

impl Health {
    /// Nothing watched yet: alive, ready and not started until the first check.
    pub fn new(metrics: BusMetrics) -> Self {
        for check in Check::ALL {
            metrics.health_status(check).set(1.0);
        }
        Self(Arc::new(Inner {
            metrics,
            state: Mutex::new(State::default()),
        }))
    }

    /// Watches a consumer: liveness needs its partitions to move, its polling thread to go round and its broker to answer within five minutes,
    /// readiness and the start need it to have joined its group.
    pub fn watch_consumer(&self, consumer: &Consumer) {
        self.0.state.lock().consumers.push(consumer.clone());
    }

    /// Watches a producer: liveness needs a broker within five minutes, readiness within 30 s.
    pub fn watch_producer(&self, producer: &Producer) {
        self.require(Check::Producer);
        self.0.state.lock().producers.push(producer.clone());
    }

    /// Makes readiness need a sign of life within the last 30 s.
    pub fn require(&self, check: Check) {
        self.0.state.lock().signs.entry(check).or_default();
    }

    /// Notes a sign of life: what the check is about has just answered.
    pub fn alive(&self, check: Check) {
        self.0.state.lock().signs.insert(check, Some(BootInstant::now()));
    }

    /// Sets a condition of readiness, as "the zones are read"; each that was ever set must hold.
    pub fn set_ready(&self, condition: &'static str, holds: bool) {
        self.0.state.lock().conditions.insert(condition, holds);
    }

    /// Checks every 15 s until `shutdown`, from when on the process is not ready.
    ///
    /// # Errors
    /// None; the signature is that of a service's task.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut ticks = tokio::time::interval(CHECK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                _ = ticks.tick() => self.check().await,
            }
        }
        self.0.state.lock().draining = true;
        Ok(())
    }

    /// Asks everything that is watched once.
    async fn check(&self) {
        let (consumers, producers) = {
            let state = self.0.state.lock();
            (state.consumers.clone(), state.producers.clone())
        };
        // Each question may wait for a broker, so they are asked side by side and on threads that may block.
        let consumers: Vec<_> = consumers
            .into_iter()
            .map(|consumer| spawn_blocking(move || (consumer.probe().is_ok(), Subject::see(&consumer))))
            .collect();
        let producers: Vec<_> = producers
            .into_iter()
            .map(|producer| spawn_blocking(move || producer.probe().is_ok()))
            .collect();
        let mut answered = Vec::new();
        let mut subjects = Vec::new();
        for consumer in consumers {
            let Ok((answer, subject)) = consumer.await else {
                continue;
            };
            answered.push(answer);
            subjects.push(subject);
        }
        let mut produced = Vec::new();
        for producer in producers {
            produced.push(producer.await.unwrap_or(false));
        }
        if !produced.is_empty() && produced.iter().all(|&answer| answer) {
            self.alive(Check::Producer);
        }
        answered.extend(produced);
        self.judge(&subjects, answered.iter().all(|&answer| answer));
    }

    /// Draws the conclusions of a check.
    fn judge(&self, subjects: &[Subject], answered: bool) {
        let now = BootInstant::now();
        let mut state = self.0.state.lock();
        state.report.update(subjects, answered, now);
        state.started = state.started || (answered && subjects.iter().all(|subject| subject.joined));
        let mut results = vec![
            (Check::Broker, state.report.is_broker_healthy()),
            (Check::Progress, state.report.stuck().is_empty()),
        ];
        results.extend(
            state
                .signs
                .iter()
                .map(|(&check, sign)| (check, is_recent(*sign, now))),
        );
        for stuck in state.report.stuck() {
            tracing::error!(stuck, "no progress: only a restart helps");
        }
        drop(state);
        for (check, healthy) in results {
            self.0
                .metrics
                .health_status(check)
                .set(if healthy { 1.0 } else { 0.0 });
            if !healthy {
                self.0.metrics.health_failures(check).inc();
            }
        }
    }

    /// Whether a restart would not help.
    ///
    /// # Errors
    /// A sentence for each reason why it would.
    pub fn live(&self) -> Result<(), Vec<String>> {
        let state = self.0.state.lock();
        let mut reasons = state.report.stuck().to_vec();
        if !state.report.is_broker_healthy() {
            reasons.push("no broker has answered for five minutes".to_owned());
        }
        none_of(reasons)
    }

    /// Whether the process does its work now.
    ///
    /// # Errors
    /// A sentence for each reason why it does not.
    pub fn ready(&self) -> Result<(), Vec<String>> {
        let state = self.0.state.lock();
        let now = BootInstant::now();
        let mut reasons = Vec::new();
        if state.draining {
            reasons.push("shutting down".to_owned());
        }
        if !state.consumers.iter().all(Consumer::has_joined) {
            reasons.push("the consumer group has not been joined".to_owned());
        }
        let failed = state.conditions.iter().filter(|(_, holds)| !**holds);
        reasons.extend(failed.map(|(condition, _)| format!("not yet: {condition}")));
        let silent = state.signs.iter().filter(|(_, sign)| !is_recent(**sign, now));
        reasons.extend(silent.map(|(check, _)| format!("{} has not answered for 30 s", check.label())));
        none_of(reasons)
    }

    /// Whether the start is over: a check has found every group joined.
    ///
    /// # Errors
    /// A sentence for why it is not.
    pub fn started(&self) -> Result<(), Vec<String>> {
        if self.0.state.lock().started {
            Ok(())
        } else {
            Err(vec!["starting".to_owned()])
        }
    }
}

fn is_recent(sign: Option<BootInstant>, now: BootInstant) -> bool {
    sign.is_some_and(|sign| now.since(sign) <= SIGN_OF_LIFE)
}

fn none_of(reasons: Vec<String>) -> Result<(), Vec<String>> {
    if reasons.is_empty() { Ok(()) } else { Err(reasons) }
}

#[cfg(test)]
mod tests;
