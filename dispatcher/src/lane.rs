//! One partner's lane: its own consumer group over `batches`, so that a slow or dead partner lags alone.
//!
//! Everything that is read waits in [`Waiting`], also while nothing can be sent; what a request carries is decided
//! when the gate lets it pass.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use messagebus::trace::{self, Origins, SpanKind, Work};
use messagebus::{RecordBatch, now_ms};
use prometheus::Histogram;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::delivery::{Attempt, Delivery, Failed};
use crate::gate::{Gate, Pass};
use crate::intake::{Held, Intake};
use crate::retries::Retries;
use crate::waiting::{Assignment, Bounds, Load, Waiting};

/// Attempts under way at once, nearly all of which are being written down: the gate bounds requests, and a receipt takes
/// as long as Kafka's acknowledgement. A process that dies has made so many requests at most that are made again.
const ATTEMPTS: usize = 1_024;
/// IndexNow's documentation bounds the URLs of a request; its bytes we bound ourselves, 5 MiB, of which the host and
/// its key take little.
const REQUEST: Bounds = Bounds {
    urls: 10_000,
    bytes: (5 << 20) - (8 << 10),
};
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long the lane counts as working after a sign of it.
const EXCUSE: Duration = Duration::from_secs(60);

/// A reason to pause the input.
const NO_ZONES: &str = "zones";

/// A lane.
pub(crate) struct Lane {
    intake: Intake,
    delivery: Arc<Delivery>,
    gate: Arc<Gate>,
    waiting: Waiting<Held>,
    retries: Retries,
    work: JoinSet<anyhow::Result<Attempt>>,
    /// From a batch's admission until it is whole.
    submit: Histogram,
}

impl Lane {
    pub(crate) fn new(intake: Intake, delivery: Delivery, gate: Arc<Gate>, submit: Histogram) -> Self {
        Self {
            intake,
            delivery: Arc::new(delivery),
            gate,
            waiting: Waiting::new(REQUEST),
            retries: Retries::default(),
            work: JoinSet::new(),
            submit,
        }
    }

    /// Delivers `batches` until `shutdown`, once `complete` says that the zones were read to their end. Then requests
    /// under way may end, and everything that waits is left to the next process.
    ///
    /// # Errors
    /// Kafka's client has died, or Kafka will not take what has to be written down.
    pub(crate) async fn run(
        mut self,
        mut batches: mpsc::Receiver<RecordBatch>,
        complete: watch::Receiver<bool>,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        self.intake.consumer.pause(NO_ZONES);
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            let is_complete = *complete.borrow();
            let may_send = self.waiting.has_ready() && self.work.len() < ATTEMPTS;
            // What waits in the channel comes before the next request, so that the request can carry it.
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(done) = self.work.join_next() => self.settle(done.context("a delivery panicked")??),
                _ = looks.tick() => self.look(is_complete),
                Some(host) = self.retries.rested() => self.waiting.wake(&host),
                batch = batches.recv(), if is_complete => {
                    self.admit(batch.context("the consumer of batches has died")?);
                }
                pass = self.gate.pass(), if may_send => self.send(pass),
            }
        }
        while let Some(done) = self.work.join_next().await {
            self.settle(done.context("a delivery panicked")??);
        }
        let consumer = &self.intake.consumer;
        self.waiting
            .batches()
            .for_each(|held| consumer.forget(&held.span));
        consumer.close().await;
        Ok(())
    }

    /// Shows how the partner stands, and lets go of what is not this process's any more.
    fn look(&mut self, is_complete: bool) {
        let standing = self.gate.standing();
        #[expect(clippy::cast_precision_loss, reason = "a timestamp in seconds")]
        let now = now_ms() as f64 / 1_000.0;
        self.delivery.books.metrics.standing(standing, now);
        if is_complete {
            self.intake.consumer.resume(NO_ZONES);
        }
        if standing.holds_back() {
            self.intake.consumer.excuse(EXCUSE); // What waits for the partner moves no offset.
        }
        self.abandon(standing.holds_back());
    }

    /// Abandons partitions that were revoked; while nothing can be sent, those too that are being revoked, since the
    /// group waits for what has begun.
    fn abandon(&mut self, is_held_back: bool) {
        let consumer = &self.intake.consumer;
        let mut seen = HashSet::new();
        let held = self.waiting.batches();
        let gone: Vec<_> = held
            .map(|held| (Assignment::from(&held.span), held.span))
            .filter(|(assignment, _)| seen.insert(*assignment))
            .filter(|(_, span)| !consumer.is_current(span) || (is_held_back && consumer.is_leaving(span)))
            .collect();
        for (assignment, _) in gone {
            self.retries.abandon(assignment);
            for held in self.waiting.abandon(assignment) {
                self.intake.consumer.forget(&held.span);
            }
        }
    }

    fn admit(&mut self, records: RecordBatch) {
        let Some((held, hints)) = self.intake.take(records) else {
            return;
        };
        let assignment = Assignment::from(&held.span);
        if let Some(empty) = self.waiting.admit(held, assignment, hints) {
            self.intake.consumer.complete(&empty.span);
        }
    }

    fn send(&mut self, pass: Pass) {
        let Some(load) = self.waiting.take() else { return };
        let number = self.retries.requests(&load.host) + 1;
        let trace = self.trace(&load, number);
        let delivery = Arc::clone(&self.delivery);
        self.work
            .spawn(async move { delivery.attempt(load, pass, number, trace).await });
    }

    /// The trace of an attempt, linked to those that published its hints.
    fn trace(&self, load: &Load, number: u32) -> Work {
        if !trace::is_on() {
            return Work::default();
        }
        let mut origins = Origins::default();
        for batch in self.waiting.batches_of(load) {
            origins.add(&batch.origin);
        }
        let mut work = Work::begin("submit", SpanKind::Client, origins);
        work.generation(load.newest.generation);
        work.set("crawlerhints.partner", self.delivery.partner.name().to_owned());
        work.set("crawlerhints.host", load.host.name.to_string());
        work.count("crawlerhints.urls", load.urls.len());
        work.set("crawlerhints.attempt", i64::from(number));
        work
    }

    /// Notes what came of an attempt. Here alone hints end, and here alone batches are completed.
    fn settle(&mut self, attempt: Attempt) {
        if !attempt.ended.is_empty() {
            // A batch of ten thousand hosts takes a slow partner most of an hour, and commits nothing meanwhile.
            self.intake.consumer.excuse(EXCUSE);
        }
        for ended in &attempt.ended {
            for whole in self.waiting.end(&ended.load, ended.given_up) {
                self.submit.observe(whole.batch.since.elapsed().as_secs_f64());
                self.delivery.books.finished(whole.given_up);
                self.intake.consumer.complete(&whole.batch.span);
            }
        }
        match attempt.failed {
            Some(failed) => self.try_again(failed),
            None => {
                self.retries.forget(&attempt.host);
                self.waiting.finish(&attempt.host);
            }
        }
    }

    /// Puts back what failed. No failure of the partner's ends a hint: when the retries are used up the circuit opens,
    /// and everything waits for a probe to succeed.
    fn try_again(&mut self, Failed { load, error, pass }: Failed) {
        let (host, books) = (load.host.clone(), &self.delivery.books);
        let verdict = self.retries.failed(&host, error.action, pass.is_probe());
        books.failed(&error, &verdict);
        if let Some(quiet) = verdict.quiet {
            self.gate.throttle(quiet);
        }
        if verdict.is_exhausted {
            self.gate.trip();
        }
        pass.failed();
        if !self.waiting.give_back(load) {
            return self.retries.forget(&host);
        }
        match verdict.rest {
            Some(rest) => self.retries.rest(host, rest),
            None => self.waiting.wake(&host),
        }
    }
}

#[cfg(test)]
#[path = "lane_tests.rs"]
mod tests;
