//! What stands between a lane's submissions and their partner: on-call's pause, the partner's wish to be left
//! alone, the circuit, which opens when retries are used up and closes when a probe succeeds, and the number of
//! requests under way.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::backoff::Probes;

/// Requests to one partner under way at once.
const REQUESTS: usize = 16;

/// One partner's gate.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Requests under way.
    in_flight: usize,
    paused: bool,
    throttled_until: Option<Instant>,
    circuit: Circuit,
    probes: Probes,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Circuit {
    #[default]
    Closed,
    Open {
        until: Instant,
    },
    Probing,
}

/// What holds submissions back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Requests under way.
    pub(crate) in_flight: usize,
    pub(crate) paused: bool,
    pub(crate) circuit_open: bool,
    /// How long the partner is left alone from now on.
    pub(crate) throttled_for: Duration,
}

/// Leave to make one request.
#[derive(Debug)]
#[must_use = "what came of the request decides about the circuit"]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    is_probe: bool,
}

enum Decision {
    Go { is_probe: bool },
    WaitUntil(Instant),
    WaitForChange,
}

impl Gate {
    /// Waits until a request may be made. Cancel-safe.
    pub(crate) async fn pass(self: &Arc<Self>) -> Pass {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.decide(Instant::now()) {
                Decision::Go { is_probe } => {
                    let gate = Arc::clone(self);
                    return Pass { gate, is_probe };
                }
                Decision::WaitForChange => changed.await,
                Decision::WaitUntil(until) => tokio::select! {
                    () = tokio::time::sleep_until(until) => {}
                    () = changed => {}
                },
            }
        }
    }

    fn decide(&self, now: Instant) -> Decision {
        let mut state = self.state.lock();
        if state.paused || state.in_flight >= REQUESTS {
            return Decision::WaitForChange;
        }
        if let Some(until) = state.throttled_until.filter(|until| *until > now) {
            return Decision::WaitUntil(until);
        }
        let is_probe = match state.circuit {
            Circuit::Closed => false,
            Circuit::Open { until } if until > now => return Decision::WaitUntil(until),
            Circuit::Open { .. } => {
                state.circuit = Circuit::Probing;
                true
            }
            Circuit::Probing => return Decision::WaitForChange,
        };
        state.in_flight += 1;
        Decision::Go { is_probe }
    }

    /// Leaves the partner alone for so long.
    pub(crate) fn throttle(&self, wait: Duration) {
        let mut state = self.state.lock();
        state.throttled_until = state.throttled_until.max(Some(Instant::now() + wait));
    }

    /// Opens the circuit: a submission's retries are used up.
    pub(crate) fn trip(&self) {
        let mut state = self.state.lock();
        if state.circuit == Circuit::Closed {
            state.open();
        }
    }

    /// On-call's pause, or its end.
    pub(crate) fn set_paused(&self, paused: bool) {
        self.state.lock().paused = paused;
        self.changed.notify_waiters();
    }

    /// What holds submissions back now.
    pub(crate) fn standing(&self) -> Standing {
        let state = self.state.lock();
        Standing {
            in_flight: state.in_flight,
            paused: state.paused,
            circuit_open: state.circuit != Circuit::Closed,
            throttled_for: state.throttled_until.map_or(Duration::ZERO, |until| {
                until.saturating_duration_since(Instant::now())
            }),
        }
    }
}

impl Standing {
    /// Whether nothing can be sent now.
    pub(crate) fn holds_back(&self) -> bool {
        self.paused || self.circuit_open || !self.throttled_for.is_zero()
    }
}

impl State {
    fn open(&mut self) {
        let until = Instant::now() + self.probes.next();
        self.circuit = Circuit::Open { until };
    }
}

impl Pass {
    /// Whether this request decides if the circuit closes.
    pub(crate) fn is_probe(&self) -> bool {
        self.is_probe
    }

    /// The partner answered as a partner that works does.
    pub(crate) fn succeeded(self) {
        let mut state = self.gate.state.lock();
        state.circuit = Circuit::Closed;
        state.probes.reset();
    }

    /// The partner did not answer, or said that it is in trouble.
    pub(crate) fn failed(self) {
        let mut state = self.gate.state.lock();
        if self.is_probe {
            state.open();
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.gate.state.lock();
        state.in_flight -= 1;
        if self.is_probe && state.circuit == Circuit::Probing {
            // Given up before its answer: the next one probes.
            state.circuit = Circuit::Open {
                until: Instant::now(),
            };
        }
        drop(state);
        self.gate.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn passes(gate: &Arc<Gate>) -> bool {
        gate.pass().now_or_never().is_some_and(|pass| {
            pass.succeeded();
            true
        })
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_circuit_lets_one_probe_through_and_closes_when_it_succeeds() {
        let gate = Arc::new(Gate::default());
        gate.trip();
        assert!(!passes(&gate));
        let probe = gate.pass().await;
        assert!(probe.is_probe());
        assert!(gate.pass().now_or_never().is_none());
        probe.succeeded();
        assert!(!gate.standing().circuit_open);
        assert!(passes(&gate));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_probe_opens_it_for_longer() {
        let gate = Arc::new(Gate::default());
        gate.trip();
        gate.pass().await.failed();
        let before = Instant::now();
        let probe = gate.pass().await;
        assert!(probe.is_probe() && before.elapsed() > Duration::from_secs(6));
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_given_up_leaves_the_probing_to_the_next() {
        let gate = Arc::new(Gate::default());
        gate.trip();
        drop(gate.pass().await);
        assert!(gate.pass().await.is_probe());
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_partner_is_left_alone_for_as_long_as_it_asked() {
        let gate = Arc::new(Gate::default());
        gate.throttle(Duration::from_secs(60));
        gate.throttle(Duration::from_secs(5));
        let before = Instant::now();
        drop(gate.pass().await);
        assert!(before.elapsed() >= Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_until_it_is_taken_back() {
        let gate = Arc::new(Gate::default());
        gate.set_paused(true);
        assert!(!passes(&gate));
        let waiting = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { drop(gate.pass().await) }
        });
        gate.set_paused(false);
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn requests_beyond_the_limit_wait_for_an_answer() {
        let gate = Arc::new(Gate::default());
        let passes: Vec<_> = (0..REQUESTS)
            .map(|_| gate.pass().now_or_never().unwrap())
            .collect();
        assert!(gate.pass().now_or_never().is_none());
        assert_eq!(gate.standing().in_flight, REQUESTS);
        drop(passes);
        drop(gate.pass().await);
        assert_eq!(gate.standing().in_flight, 0);
    }
}
