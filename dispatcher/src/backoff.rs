//! How long to wait before a submission is tried again. The one module that names the crate `backoff`, which is
//! unmaintained: only its arithmetic is used.

use std::time::Duration;

use ::backoff::ExponentialBackoff;
use ::backoff::backoff::Backoff;

/// Retries of a submission before its partner's circuit opens.
const RETRIES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long an open circuit waits before a probe; each failed probe doubles it.
const FIRST_PROBE: Duration = Duration::from_secs(5);
const LONGEST_PROBE: Duration = Duration::from_secs(300);

/// The waits of one submission.
#[derive(Debug)]
pub(crate) struct Waits {
    left: u32,
    policy: ExponentialBackoff,
}

/// The waits between an open circuit's probes.
#[derive(Debug)]
pub(crate) struct Probes(ExponentialBackoff);

impl Waits {
    pub(crate) fn new() -> Self {
        Self {
            left: RETRIES,
            policy: policy(FIRST_WAIT, LONGEST_WAIT),
        }
    }

    /// The wait before the next try, never sooner than the partner asked; nothing when all retries are used up.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let wait = self.policy.next_backoff().unwrap_or(LONGEST_WAIT);
        // What was asked for is a minimum: jitter goes on top.
        Some(asked.map_or(wait, |asked| asked + wait))
    }
}

impl Probes {
    /// The wait before the next probe.
    pub(crate) fn next(&mut self) -> Duration {
        self.0.next_backoff().unwrap_or(LONGEST_PROBE)
    }

    /// The partner answers again.
    pub(crate) fn reset(&mut self) {
        self.0.reset();
    }
}

impl Default for Probes {
    fn default() -> Self {
        Self(policy(FIRST_PROBE, LONGEST_PROBE))
    }
}

fn policy(first: Duration, longest: Duration) -> ExponentialBackoff {
    ExponentialBackoff {
        initial_interval: first,
        current_interval: first,
        multiplier: 2.0,
        randomization_factor: 0.3,
        max_interval: longest,
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submission_is_tried_again_five_times_with_growing_waits() {
        let mut waits = Waits::new();
        let all: Vec<f64> = std::iter::from_fn(|| waits.next(None))
            .map(|wait| wait.as_secs_f64())
            .collect();
        assert_eq!(all.len(), 5);
        for (wait, expected) in all.iter().zip([0.5, 1.0, 2.0, 4.0, 8.0]) {
            assert!((expected * 0.69..=expected * 1.31).contains(wait), "{all:?}");
        }
    }

    #[test]
    fn no_retry_comes_sooner_than_asked() {
        let asked = Duration::from_secs(7);
        for _ in 0..100 {
            assert!(Waits::new().next(Some(asked)).unwrap() >= asked);
        }
    }

    #[test]
    fn probes_grow_rarer_and_go_on_for_ever() {
        let mut probes = Probes::default();
        let first = probes.next();
        let last = (0..50).map(|_| probes.next()).last().unwrap();
        assert!(first < Duration::from_secs(7) && last > Duration::from_secs(200));
        probes.reset();
        assert!(probes.next() < Duration::from_secs(7));
    }
}
