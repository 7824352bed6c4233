//! What on-call sees of partners.

use std::time::Duration;

use hinters::Failure;
use messagebus::metrics::{CounterFamily, GaugeFamily, HistogramFamily, Registrar};
use prometheus::{Gauge, Histogram, IntCounter};

use crate::gate::Standing;

/// From a partner next door to the client's time-out; 5 is what `PartnerSlow` reads.
const REQUEST_SECONDS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const ATTEMPTS: [f64; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
/// One of each label of `dispatcher_requests_total`: statuses that are told apart, one of each other class, and
/// what is no answer.
const OUTCOMES: [Failure; 18] = [
    Failure::Status(200),
    Failure::Status(202),
    Failure::Status(299),
    Failure::Status(399),
    Failure::Status(400),
    Failure::Status(403),
    Failure::Status(405),
    Failure::Status(422),
    Failure::Status(429),
    Failure::Status(499),
    Failure::Status(500),
    Failure::Status(502),
    Failure::Status(503),
    Failure::Status(504),
    Failure::Status(599),
    Failure::Timeout,
    Failure::Connect,
    Failure::Tls,
];

/// Every metric of the dispatcher's own; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: CounterFamily<2>,
    duration: HistogramFamily<1>,
    urls: CounterFamily<2>,
    submissions: CounterFamily<2>,
    circuit: GaugeFamily<1>,
    batches: CounterFamily<2>,
    retries: CounterFamily<2>,
    attempts: HistogramFamily<1>,
    in_flight: GaugeFamily<1>,
    throttled: GaugeFamily<1>,
}

/// Those of one partner.
#[derive(Clone, Debug)]
pub(crate) struct LaneMetrics {
    all: Metrics,
    partner: String,
    pub(crate) duration: Histogram,
    pub(crate) attempts: Histogram,
    pub(crate) urls_accepted: IntCounter,
    pub(crate) urls_undeliverable: IntCounter,
    pub(crate) urls_opted_out: IntCounter,
    pub(crate) urls_merged: IntCounter,
    pub(crate) accepted: IntCounter,
    pub(crate) refused: IntCounter,
    pub(crate) exhausted: IntCounter,
    pub(crate) finished: IntCounter,
    pub(crate) partly: IntCounter,
    circuit: Gauge,
    throttled: Gauge,
}

impl Metrics {
    /// Registers them all.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn register(registrar: &Registrar) -> prometheus::Result<Self> {
        Ok(Self {
            requests: registrar.counter(
                "dispatcher_requests_total",
                "How do partners answer requests?",
                ["partner", "code"],
            )?,
            duration: registrar.histogram(
                "dispatcher_request_duration_seconds",
                "How long do partners take to answer?",
                ["partner"],
                &REQUEST_SECONDS,
            )?,
            urls: registrar.counter(
                "dispatcher_urls_total",
                "What became of the URLs of batches?",
                ["partner", "outcome"],
            )?,
            submissions: registrar.counter(
                "dispatcher_submissions_total",
                "How do submissions end, and how often were all their retries used up?",
                ["partner", "outcome"],
            )?,
            circuit: registrar.gauge(
                "dispatcher_circuit_open",
                "Which partners are left alone until a probe succeeds?",
                ["partner"],
            )?,
            batches: registrar.counter(
                "dispatcher_batches_total",
                "How many batches went out whole, and how many but for some URLs?",
                ["partner", "outcome"],
            )?,
            retries: registrar.counter(
                "dispatcher_retries_total",
                "Why are submissions tried again?",
                ["partner", "reason"],
            )?,
            attempts: registrar.histogram(
                "dispatcher_submission_attempts",
                "How many requests does a submission take?",
                ["partner"],
                &ATTEMPTS,
            )?,
            in_flight: registrar.gauge(
                "dispatcher_in_flight_requests",
                "How many requests are under way?",
                ["partner"],
            )?,
            throttled: registrar.gauge(
                "dispatcher_throttled_until_timestamp_seconds",
                "Until when does a partner want to be left alone?",
                ["partner"],
            )?,
        })
    }

    pub(crate) fn lane(&self, partner: &str) -> LaneMetrics {
        let urls = |outcome| self.urls.with([partner, outcome]);
        let submissions = |outcome| self.submissions.with([partner, outcome]);
        for outcome in OUTCOMES {
            drop(self.requests.with([partner, code(outcome)]));
        }
        for reason in ["5xx", "429", "timeout", "connect"] {
            drop(self.retries.with([partner, reason]));
        }
        self.in_flight.set([partner], 0);
        LaneMetrics {
            all: self.clone(),
            partner: partner.to_owned(),
            duration: self.duration.with([partner]),
            attempts: self.attempts.with([partner]),
            urls_accepted: urls("accepted"),
            urls_undeliverable: urls("undeliverable"),
            urls_opted_out: urls("opted_out"),
            urls_merged: urls("merged"),
            accepted: submissions("accepted"),
            refused: submissions("refused"),
            exhausted: submissions("exhausted"),
            finished: self.batches.with([partner, "finished"]),
            partly: self.batches.with([partner, "partly"]),
            circuit: self.circuit.with([partner]),
            throttled: self.throttled.with([partner]),
        }
    }
}

impl LaneMetrics {
    /// Counts a request by what came of it.
    pub(crate) fn request(&self, outcome: Failure, took: Duration) {
        self.all.requests.with([&self.partner, code(outcome)]).inc();
        self.duration.observe(took.as_secs_f64());
    }

    /// Counts a retry by its cause.
    pub(crate) fn retry(&self, cause: Failure) {
        let reason = match cause {
            Failure::Status(429) => "429",
            Failure::Status(_) => "5xx",
            Failure::Timeout => "timeout",
            Failure::Connect | Failure::Tls => "connect",
        };
        self.all.retries.with([&self.partner, reason]).inc();
    }

    /// Shows how the partner stands.
    pub(crate) fn standing(&self, standing: Standing, now_seconds: f64) {
        self.circuit.set(f64::from(u8::from(standing.circuit_open)));
        self.all.in_flight.set([&self.partner], standing.in_flight as u64);
        let wait = standing.throttled_for.as_secs_f64();
        self.throttled
            .set(if wait > 0.0 { now_seconds + wait } else { 0.0 });
    }
}

/// The label of an answer; a closed set.
fn code(outcome: Failure) -> &'static str {
    match outcome {
        Failure::Status(200) => "200",
        Failure::Status(202) => "202",
        Failure::Status(400) => "400",
        Failure::Status(403) => "403",
        Failure::Status(405) => "405",
        Failure::Status(422) => "422",
        Failure::Status(429) => "429",
        Failure::Status(500) => "500",
        Failure::Status(502) => "502",
        Failure::Status(503) => "503",
        Failure::Status(504) => "504",
        Failure::Status(200..=299) => "other_2xx",
        Failure::Status(400..=499) => "other_4xx",
        Failure::Status(500..) => "other_5xx",
        // No client sees 1xx as an answer.
        Failure::Status(_) => "other_3xx",
        Failure::Timeout => "timeout",
        Failure::Connect => "connect",
        Failure::Tls => "tls",
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;

    #[test]
    fn every_code_is_exported_from_the_start() {
        let codes: std::collections::HashSet<_> = OUTCOMES.into_iter().map(code).collect();
        assert_eq!(codes.len(), OUTCOMES.len());
        for status in 100..=999 {
            assert!(codes.contains(code(Failure::Status(status))), "{status}");
        }
    }

    #[test]
    fn answers_are_counted_by_partner_and_code() {
        let registry = Registry::new();
        let metrics = Metrics::register(&Registrar::new(&registry, "dispatcher")).unwrap();
        let lane = metrics.lane("bing");
        lane.request(Failure::Status(418), Duration::from_millis(3));
        lane.request(Failure::Timeout, Duration::from_secs(10));
        let count = |code| metrics.requests.with(["bing", code]).get();
        assert_eq!((count("other_4xx"), count("timeout"), count("200")), (1, 1, 0));
        assert_eq!(lane.duration.get_sample_count(), 2);
    }
}
