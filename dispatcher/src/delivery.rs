//! One attempt to tell a partner about one host: its key, the request, and what came of it.

use std::sync::Arc;
use std::time::Instant;

use hinters::{Action, Failure, Hinter, HostKey as Key, IndexerError, Submission};
use messagebus::trace::Work;

use crate::books::{Books, Reason};
use crate::gate::Pass;
use crate::hosts::{Found, HostDirectory};
use crate::waiting::{HostKey, Load};

/// Delivers to one partner.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) partner: Arc<dyn Hinter>,
    pub(crate) hosts: HostDirectory,
    pub(crate) books: Books,
}

/// What came of an attempt.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) host: HostKey,
    /// What has ended, and is written down.
    pub(crate) ended: Vec<Ended>,
    /// What is to be tried again.
    pub(crate) failed: Option<Failed>,
}

/// URLs that were accepted or given up, or whose host has opted out.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) load: Load,
    pub(crate) given_up: bool,
}

/// URLs that the partner could not take now.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) load: Load,
    pub(crate) error: IndexerError,
    /// Still held, so that nothing is sent before it is decided what follows.
    pub(crate) pass: Pass,
}

impl Delivery {
    /// Makes one request, the `number`th for these URLs, unless the host has opted out or has no key.
    ///
    /// # Errors
    /// Kafka will not take what has to be written down.
    pub(crate) async fn attempt(
        &self,
        load: Load,
        pass: Pass,
        number: u32,
        mut trace: Work,
    ) -> anyhow::Result<Attempt> {
        let mut attempt = Attempt {
            host: load.host.clone(),
            ended: Vec::new(),
            failed: None,
        };
        // Asked anew each time: a host may opt out, or get another key, while it waits.
        let key = match self.hosts.find(&load.host.name) {
            Found::Key(key) => key,
            Found::OptedOut => {
                self.books.opted_out(&load);
                attempt.end(load, false);
                return Ok(attempt);
            }
            Found::NoKey => {
                drop(pass);
                self.give_up(&mut attempt, load, &Reason::no_key()).await?;
                return Ok(attempt);
            }
            Found::BadKey(error) => {
                drop(pass);
                self.give_up(&mut attempt, load, &Reason::bad_key(error)).await?;
                return Ok(attempt);
            }
        };
        let (covered, outside) = load.split(|url| key.covers(url));
        self.give_up(&mut attempt, outside, &Reason::key_scope()).await?;
        if !covered.urls.is_empty() {
            self.submit(&mut attempt, covered, &key, pass, number, &mut trace)
                .await?;
        }
        Ok(attempt)
    }

    async fn submit(
        &self,
        attempt: &mut Attempt,
        load: Load,
        key: &Key,
        pass: Pass,
        number: u32,
        trace: &mut Work,
    ) -> anyhow::Result<()> {
        match self.request(&load, key, trace).await {
            Ok(status) => {
                pass.succeeded();
                self.books.metrics.attempts.observe(f64::from(number));
                self.books.accepted(&load, status).await?;
                attempt.end(load, false);
            }
            Err(error) if error.action == Action::GiveUp => {
                // The partner works: it is these URLs that it does not want.
                pass.succeeded();
                self.books.metrics.attempts.observe(f64::from(number));
                self.books.refused(&error);
                self.give_up(attempt, load, &Reason::refusal(error)).await?;
            }
            Err(error) => attempt.failed = Some(Failed { load, error, pass }),
        }
        Ok(())
    }

    async fn request(&self, load: &Load, key: &Key, trace: &mut Work) -> Result<u16, IndexerError> {
        let started = Instant::now();
        let submission = Submission {
            host: &load.host.name,
            key,
            urls: &load.urls,
        };
        let result = self.partner.hint(submission).await;
        let outcome = match &result {
            Ok(accepted) => Failure::Status(accepted.status),
            Err(error) => error.failure,
        };
        self.books.metrics.request(outcome, started.elapsed());
        if result.is_err() {
            trace.fail(outcome.to_string()); // Without the partner's words, which may name a URL.
        }
        result.map(|accepted| accepted.status)
    }

    /// Gives URLs up, if there are any.
    async fn give_up(&self, attempt: &mut Attempt, load: Load, reason: &Reason) -> anyhow::Result<()> {
        for part in self.books.given_up(load, reason).await? {
            attempt.end(part, true);
        }
        Ok(())
    }
}

impl Attempt {
    fn end(&mut self, load: Load, given_up: bool) {
        self.ended.push(Ended { load, given_up });
    }
}
