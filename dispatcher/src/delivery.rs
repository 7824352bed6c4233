//! One batch to one partner: each host a submission, each submission retried until it is accepted or refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::stream::{StreamExt, TryStreamExt};
use hint_schema::{BatchId, HintBatch, HostHints, Receipt, Undeliverable};
use hinters::{Action, Failure, Hinter, IndexerError, Submission};
use messagebus::metrics::{BusMetrics, Stage};
use messagebus::now_ms;
use prometheus::Histogram;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::backoff::Waits;
use crate::gate::Gate;
use crate::hosts::{Found, HostDirectory};
use crate::metrics::LaneMetrics;
use crate::outbox::Outbox;

/// Requests to one partner under way at once.
pub(crate) const REQUESTS: usize = 16;
/// URLs in one request at most (IndexNow's documentation).
const REQUEST_URLS: usize = 10_000;
/// How often long waits look whether their batch is still this process's.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Every URL is accepted, undeliverable or opted out, and that is written down.
    Whole,
    /// The batch is no longer this process's, or the process stops: it is delivered again.
    Abandoned,
}

/// Delivers to one partner.
#[derive(Debug)]
pub(crate) struct Delivery {
    partner: Arc<dyn Hinter>,
    gate: Arc<Gate>,
    hosts: HostDirectory,
    outbox: Outbox,
    pub(crate) metrics: LaneMetrics,
    requests: Semaphore,
    submit: Histogram,
    age: Histogram,
    stop: CancellationToken,
}

/// A batch as its submissions see it.
struct Batch<'a, C> {
    id: BatchId,
    generation: u64,
    is_current: &'a C,
    /// URLs of it that ended undeliverable.
    given_up: AtomicU64,
}

/// Why URLs of a host end without a request; words of `undeliverable`'s closed set.
mod reason {
    pub(super) const NO_KEY: &str = "no_key";
    pub(super) const BAD_KEY: &str = "bad_key";
    pub(super) const KEY_SCOPE: &str = "key_scope";
}

impl Delivery {
    pub(crate) fn new(
        partner: Arc<dyn Hinter>,
        gate: Arc<Gate>,
        hosts: HostDirectory,
        outbox: Outbox,
        metrics: LaneMetrics,
        bus: &BusMetrics,
        stop: CancellationToken,
    ) -> Self {
        let age = bus.hint_age(Stage::Delivered, partner.name());
        Self {
            partner,
            gate,
            hosts,
            outbox,
            metrics,
            requests: Semaphore::new(REQUESTS),
            submit: bus.step("submit"),
            age,
            stop,
        }
    }

    /// Delivers a batch. Given up when `is_current` says no, or the process stops.
    ///
    /// # Errors
    /// Kafka will not take a receipt or what is undeliverable.
    pub(crate) async fn deliver<C>(&self, batch: HintBatch, is_current: C) -> anyhow::Result<Ended>
    where
        C: Fn() -> bool + Send + Sync,
    {
        let started = Instant::now();
        let context = &Batch {
            id: batch.id,
            generation: batch.generation,
            is_current: &is_current,
            given_up: AtomicU64::new(0),
        };
        let hosts = futures_util::stream::iter(batch.hosts);
        let ended = hosts
            .map(|hints| self.host(context, hints))
            .buffer_unordered(REQUESTS)
            .try_fold(Ended::Whole, async |all, host| {
                Ok(if host == Ended::Whole { all } else { host })
            })
            .await?;
        self.submit.observe(started.elapsed().as_secs_f64());
        if ended == Ended::Whole {
            if context.given_up.load(Ordering::Relaxed) == 0 {
                self.metrics.finished.inc();
            } else {
                self.metrics.partly.inc();
            }
        }
        Ok(ended)
    }

    async fn host<C>(&self, batch: &Batch<'_, C>, hints: HostHints) -> anyhow::Result<Ended>
    where
        C: Fn() -> bool + Send + Sync,
    {
        let HostHints {
            host,
            oldest_event_ms,
            urls,
        } = hints;
        let key = match self.hosts.find(&host) {
            Found::Key(key) => key,
            Found::OptedOut => {
                self.metrics.urls_opted_out.inc_by(urls.len() as u64);
                return Ok(Ended::Whole);
            }
            Found::NoKey => {
                let detail = "its zone names no key and INDEXNOW_MASTER_KEY_FILE is not set";
                return self.give_up(batch, &host, urls, reason::NO_KEY, detail).await;
            }
            Found::BadKey(error) => {
                let detail = error.to_string();
                return self.give_up(batch, &host, urls, reason::BAD_KEY, &detail).await;
            }
        };
        let (covered, outside): (Vec<_>, Vec<_>) = urls.into_iter().partition(|url| key.covers(url));
        if !outside.is_empty() {
            let detail = "outside the directory of the host's key file";
            self.give_up(batch, &host, outside, reason::KEY_SCOPE, detail)
                .await?;
        }
        for urls in covered.chunks(REQUEST_URLS) {
            let submission = Submission {
                host: &host,
                key: &key,
                urls,
            };
            if self.submit(batch, submission, oldest_event_ms).await? == Ended::Abandoned {
                return Ok(Ended::Abandoned);
            }
        }
        Ok(Ended::Whole)
    }

    /// Makes requests until one is accepted or refused. No failure of the partner's ends this: when the retries
    /// are used up the circuit opens, and the submission waits for a probe to succeed.
    async fn submit<C>(
        &self,
        batch: &Batch<'_, C>,
        submission: Submission<'_>,
        oldest_event_ms: u64,
    ) -> anyhow::Result<Ended>
    where
        C: Fn() -> bool + Send + Sync,
    {
        let mut waits = Waits::new();
        let mut attempts = 0_u32;
        loop {
            let Some(pass) = self.unless_abandoned(batch, self.gate.pass()).await else {
                return Ok(Ended::Abandoned);
            };
            // Asked again before each request: a host may have opted out while it waited.
            if matches!(self.hosts.find(submission.host), Found::OptedOut) {
                self.metrics.urls_opted_out.inc_by(submission.urls.len() as u64);
                return Ok(Ended::Whole);
            }
            attempts += 1;
            let error = match self.request(submission).await? {
                Ok(status) => {
                    pass.succeeded();
                    self.metrics.attempts.observe(f64::from(attempts));
                    self.accepted(batch, submission, status, oldest_event_ms).await?;
                    return Ok(Ended::Whole);
                }
                Err(error) => error,
            };
            if error.action == Action::GiveUp {
                pass.succeeded();
                self.metrics.attempts.observe(f64::from(attempts));
                self.refused(batch, submission, &error).await?;
                return Ok(Ended::Whole);
            }
            let is_probe = pass.is_probe();
            pass.failed();
            let wait = self.wait_after(&error, is_probe, &mut waits);
            let Some(wait) = wait else {
                self.exhausted(&error, is_probe);
                waits = Waits::new();
                continue;
            };
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                ?wait,
                "submission tried again"
            );
            if self
                .unless_abandoned(batch, tokio::time::sleep(wait))
                .await
                .is_none()
            {
                return Ok(Ended::Abandoned);
            }
        }
    }

    /// How long to wait after a failure of the partner's; nothing when the retries are used up. Where the partner
    /// asked for time, or for fewer requests, nothing else is sent to it meanwhile.
    fn wait_after(&self, error: &IndexerError, is_probe: bool, waits: &mut Waits) -> Option<Duration> {
        self.metrics.retry(error.failure);
        let asked = match error.action {
            Action::Retry { after } | Action::SlowDown { after } => after,
            Action::GiveUp => None,
        };
        let wait = if is_probe { None } else { waits.next(asked) };
        let slowed = wait.filter(|_| matches!(error.action, Action::SlowDown { .. }));
        if let Some(quiet) = asked.max(slowed) {
            self.gate.throttle(quiet);
        }
        wait
    }

    /// One attempt.
    async fn request(&self, submission: Submission<'_>) -> anyhow::Result<Result<u16, IndexerError>> {
        let _slot = self.requests.acquire().await.context("the lane has ended")?;
        let started = Instant::now();
        let result = self.partner.hint(submission).await;
        let outcome = match &result {
            Ok(accepted) => Failure::Status(accepted.status),
            Err(error) => error.failure,
        };
        self.metrics.request(outcome, started.elapsed());
        Ok(result.map(|accepted| accepted.status))
    }

    fn exhausted(&self, error: &IndexerError, is_probe: bool) {
        if is_probe {
            return; // The circuit is open already.
        }
        self.metrics.exhausted.inc();
        self.gate.trip();
        tracing::warn!(
            partner = self.partner.name(),
            error = error as &dyn std::error::Error,
            "retries used up: the circuit opens and batches wait in Kafka"
        );
    }

    async fn accepted<C>(
        &self,
        batch: &Batch<'_, C>,
        submission: Submission<'_>,
        status: u16,
        oldest_event_ms: u64,
    ) -> anyhow::Result<()> {
        let at_ms = now_ms();
        let receipt = Receipt {
            partner: self.partner.name().to_owned(),
            host: submission.host.to_owned(),
            count: u32::try_from(submission.urls.len()).unwrap_or(u32::MAX),
            status,
            generation: batch.generation,
            batch_id: batch.id,
            at_ms,
        };
        self.outbox.receipt(&receipt).await?;
        self.metrics.accepted.inc();
        self.metrics.urls_accepted.inc_by(submission.urls.len() as u64);
        #[expect(clippy::cast_precision_loss, reason = "ages are small")]
        let age = at_ms.saturating_sub(oldest_event_ms) as f64 / 1_000.0;
        let ages = self.age.local();
        submission.urls.iter().for_each(|_| ages.observe(age));
        Ok(())
    }

    async fn refused<C>(
        &self,
        batch: &Batch<'_, C>,
        submission: Submission<'_>,
        error: &IndexerError,
    ) -> anyhow::Result<()> {
        tracing::warn!(
            partner = self.partner.name(),
            error = error as &dyn std::error::Error,
            "refused for good: see the topic undeliverable"
        );
        self.metrics.refused.inc();
        let given_up = Undeliverable {
            status: error.failure.status(),
            ..self.undeliverable(
                batch,
                submission.host,
                submission.urls.to_vec(),
                refusal(error.failure),
                &error.detail,
            )
        };
        self.write_down(batch, &given_up).await
    }

    async fn give_up<C>(
        &self,
        batch: &Batch<'_, C>,
        host: &str,
        urls: Vec<String>,
        reason: &str,
        detail: &str,
    ) -> anyhow::Result<Ended> {
        let given_up = self.undeliverable(batch, host, urls, reason, detail);
        self.write_down(batch, &given_up).await?;
        Ok(Ended::Whole)
    }

    fn undeliverable<C>(
        &self,
        batch: &Batch<'_, C>,
        host: &str,
        urls: Vec<String>,
        reason: &str,
        detail: &str,
    ) -> Undeliverable {
        Undeliverable {
            partner: self.partner.name().to_owned(),
            host: host.to_owned(),
            urls,
            reason: reason.to_owned(),
            status: 0,
            detail: detail.to_owned(),
            generation: batch.generation,
            batch_id: batch.id,
            at_ms: now_ms(),
        }
    }

    async fn write_down<C>(&self, batch: &Batch<'_, C>, given_up: &Undeliverable) -> anyhow::Result<()> {
        self.outbox.undeliverable(given_up).await?;
        let urls = given_up.urls.len() as u64;
        self.metrics.urls_undeliverable.inc_by(urls);
        batch.given_up.fetch_add(urls, Ordering::Relaxed);
        Ok(())
    }

    /// Waits for something, unless the batch is no longer ours or the process stops.
    async fn unless_abandoned<C, F>(&self, batch: &Batch<'_, C>, wait: F) -> Option<F::Output>
    where
        C: Fn() -> bool,
        F: Future,
    {
        tokio::pin!(wait);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                done = &mut wait => return Some(done),
                () = tokio::time::sleep(LOOK_EVERY) => if !(batch.is_current)() {
                    return None;
                },
            }
        }
    }
}

/// The word for a refusal in `undeliverable`.
fn refusal(failure: Failure) -> &'static str {
    match failure.status() {
        400 => "bad_request",
        403 => "key_refused",
        405 => "method_not_allowed",
        422 => "unprocessable",
        300..=399 => "redirect",
        _ => "refused",
    }
}
