//! Hosts whose last request failed: how often each was tried, and which rest until they are tried again.

use std::collections::HashMap;
use std::time::Duration;

use ahash::RandomState;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use hinters::Action;

use crate::backoff::Waits;
use crate::waiting::{Assignment, HostKey};

/// The hosts of one lane.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    failed: HashMap<HostKey, Failures, RandomState>,
    resting: FuturesUnordered<BoxFuture<'static, HostKey>>,
}

#[derive(Debug)]
struct Failures {
    requests: u32,
    waits: Waits,
}

/// What follows a failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// How long the host rests before it is tried again, never less than the partner asked for; nothing when its
    /// retries are used up.
    pub(crate) rest: Option<Duration>,
    /// How long nothing at all is sent: the partner asked for time, or for fewer requests.
    pub(crate) quiet: Option<Duration>,
    /// The retries are used up; they begin anew.
    pub(crate) is_exhausted: bool,
}

impl Retries {
    /// Requests made for what waits of a host.
    pub(crate) fn requests(&self, host: &HostKey) -> u32 {
        self.failed.get(host).map_or(0, |failures| failures.requests)
    }

    /// Counts a failed request and says what follows.
    pub(crate) fn failed(&mut self, host: &HostKey, action: Action, is_probe: bool) -> Verdict {
        let (asked, is_slowed) = match action {
            Action::SlowDown { after } => (after, true),
            Action::Retry { after } => (after, false),
            Action::GiveUp => (None, false),
        };
        let failures = self.failed.entry(host.clone()).or_insert_with(|| Failures {
            requests: 0,
            waits: Waits::new(),
        });
        failures.requests += 1;
        // A probe is not tried again: the circuit says when the next one is due.
        let rest = failures.waits.next(asked).filter(|_| !is_probe);
        if rest.is_none() {
            failures.waits = Waits::new();
        }
        Verdict {
            rest,
            quiet: asked.max(rest.filter(|_| is_slowed)),
            is_exhausted: rest.is_none() && !is_probe,
        }
    }

    /// Begins a host's rest.
    pub(crate) fn rest(&mut self, host: HostKey, wait: Duration) {
        let rest = async move {
            tokio::time::sleep(wait).await;
            host
        };
        self.resting.push(Box::pin(rest));
    }

    /// The next host whose rest is over; nothing while none rests. Cancel-safe.
    pub(crate) async fn rested(&mut self) -> Option<HostKey> {
        self.resting.next().await
    }

    /// What waited of a host has ended.
    pub(crate) fn forget(&mut self, host: &HostKey) {
        self.failed.remove(host);
    }

    /// What waited of an assignment is somebody else's.
    pub(crate) fn abandon(&mut self, assignment: Assignment) {
        self.failed.retain(|host, _| host.assignment != assignment);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const EXHAUSTED: Verdict = Verdict {
        rest: None,
        quiet: None,
        is_exhausted: true,
    };

    fn host() -> HostKey {
        HostKey {
            assignment: Assignment {
                partition: 0,
                epoch: 1,
            },
            name: Arc::from("a.example"),
        }
    }

    #[test]
    fn five_retries_and_then_five_again() {
        let (mut retries, host) = (Retries::default(), host());
        let action = Action::Retry { after: None };
        for round in 1..=2 {
            assert!((0..5).all(|_| retries.failed(&host, action, false).rest.is_some()));
            assert_eq!(retries.failed(&host, action, false), EXHAUSTED);
            assert_eq!(retries.requests(&host), round * 6);
        }
        retries.forget(&host);
        assert_eq!(retries.requests(&host), 0);
    }

    #[test]
    fn a_partner_that_asks_for_time_is_left_alone_for_no_less() {
        let after = Some(Duration::from_secs(3_600));
        for action in [Action::Retry { after }, Action::SlowDown { after }] {
            let mut retries = Retries::default();
            for _ in 0..5 {
                let verdict = retries.failed(&host(), action, false);
                assert!(verdict.rest >= after && verdict.quiet >= after);
            }
            let quiet = after;
            assert_eq!(
                retries.failed(&host(), action, false),
                Verdict { quiet, ..EXHAUSTED }
            );
            let is_exhausted = false;
            let probe = Verdict {
                quiet,
                is_exhausted,
                ..EXHAUSTED
            };
            assert_eq!(retries.failed(&host(), action, true), probe);
        }
    }

    #[test]
    fn too_many_requests_slow_the_whole_partner_and_other_failures_their_host() {
        let mut retries = Retries::default();
        let slowed = retries.failed(&host(), Action::SlowDown { after: None }, false);
        assert!(slowed.rest.is_some() && slowed.quiet == slowed.rest);
        let failed = retries.failed(&host(), Action::Retry { after: None }, false);
        assert!(failed.rest.is_some() && failed.quiet.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_rests_as_long_as_it_was_told() {
        let mut retries = Retries::default();
        assert_eq!(retries.rested().await, None);
        let before = tokio::time::Instant::now();
        retries.rest(host(), Duration::from_secs(9));
        assert_eq!(retries.rested().await, Some(host()));
        assert!(before.elapsed() >= Duration::from_secs(9));
    }
}
