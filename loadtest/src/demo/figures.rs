//! What the demo shows: figures of the whole run, taken once a second, for the terminal and for the page.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;

use crate::audit::Report;
use crate::run::Run;
use crate::scrape::Scrape;
use crate::service::Kind;

/// Seconds that charts show.
const HISTORY: usize = 300;

/// How the run stands.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Figures {
    /// Since the start.
    pub(crate) seconds: u64,
    /// What goes on.
    pub(crate) phase: &'static str,
    pub(crate) ingest: Ingest,
    /// A and B.
    pub(crate) clusters: [Cluster; 2],
    pub(crate) flips: Flips,
    pub(crate) partners: Vec<Partner>,
    /// The books as they were last looked at; none before the first look.
    pub(crate) books: Option<Report>,
    /// The last seconds, oldest first.
    pub(crate) history: Vec<Second>,
}

/// Records and what became of them.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Ingest {
    pub(crate) produced: u64,
    pub(crate) records: f64,
    /// A second.
    pub(crate) rate: f64,
    pub(crate) lag_seconds: f64,
    pub(crate) accepted: f64,
    pub(crate) rejected: f64,
    pub(crate) filtered: f64,
    /// URLs that were not known.
    pub(crate) new: f64,
    /// URLs that the process or Redis knew already.
    pub(crate) repeated: f64,
}

/// A Redis cluster.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Cluster {
    pub(crate) name: &'static str,
    /// `fills`, `drains` or `rests`.
    pub(crate) state: &'static str,
    pub(crate) urls: f64,
}

/// Generations and their batches.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Flips {
    pub(crate) drained: f64,
    pub(crate) batches: f64,
    pub(crate) settled: f64,
    pub(crate) unaudited: f64,
    pub(crate) failed: f64,
}

/// A partner and its lane.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Partner {
    pub(crate) name: String,
    /// URLs.
    pub(crate) accepted: f64,
    pub(crate) circuit_open: bool,
    /// Requests by status.
    pub(crate) answers: BTreeMap<u16, u64>,
}

/// One second of the charts.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Second {
    pub(crate) at: u64,
    pub(crate) rate: f64,
    /// URLs in A and in B.
    pub(crate) urls: [f64; 2],
}

/// Takes figures, one look after the other.
#[derive(Debug)]
pub(crate) struct Watch {
    started: Instant,
    last: Instant,
    last_records: f64,
    history: Vec<Second>,
}

impl Watch {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            last: Instant::now(),
            last_records: 0.0,
            history: Vec::new(),
        }
    }

    /// Asks every service.
    pub(crate) async fn look(&mut self, run: &Run, produced: u64, phase: &'static str) -> Figures {
        let ingestors = scrape(run, Kind::Ingestor).await;
        let flippers = scrape(run, Kind::Flipper).await;
        let dispatchers = scrape(run, Kind::Dispatcher).await;
        let ingest = self.ingest(&ingestors, produced);
        let clusters = ["A", "B"].map(|name| cluster(&flippers, name));
        let seconds = self.started.elapsed().as_secs();
        if self.history.len() == HISTORY {
            self.history.remove(0);
        }
        self.history.push(Second {
            at: seconds,
            rate: ingest.rate,
            urls: clusters.map(|cluster| cluster.urls),
        });
        let names = run.partner_names().iter();
        Figures {
            seconds,
            phase,
            ingest,
            clusters,
            flips: flips(&flippers),
            partners: names.map(|name| partner(run, &dispatchers, name)).collect(),
            books: None,
            history: self.history.clone(),
        }
    }

    fn ingest(&mut self, ingestors: &[Scrape], produced: u64) -> Ingest {
        let records = sum(ingestors, "ingestor_records_total", &[]);
        let seconds = self.last.elapsed().as_secs_f64().max(0.001);
        let rate = (records - self.last_records).max(0.0) / seconds;
        (self.last, self.last_records) = (Instant::now(), records);
        let of = |outcome| sum(ingestors, "ingestor_records_total", &[("outcome", outcome)]);
        let urls = |result| sum(ingestors, "ingestor_urls_total", &[("result", result)]);
        let lags = ingestors
            .iter()
            .map(|scrape| scrape.max("kafka_consumer_lag_seconds", &[]));
        Ingest {
            produced,
            records,
            rate,
            lag_seconds: lags.fold(0.0, f64::max),
            accepted: of("accepted"),
            rejected: of("rejected"),
            filtered: of("filtered"),
            new: urls("new"),
            repeated: urls("repeated") + urls("repeated_in_process"),
        }
    }
}

async fn scrape(run: &Run, kind: Kind) -> Vec<Scrape> {
    let mut all = Vec::new();
    for service in run.of(kind) {
        all.extend(service.metrics().await);
    }
    all
}

fn cluster(flippers: &[Scrape], name: &'static str) -> Cluster {
    let label = if name == "A" { "hints-a" } else { "hints-b" };
    let labels = [("redis_cluster", label)];
    // A flipper that stands by looks at the clusters as well.
    let looks = flippers
        .iter()
        .map(|scrape| scrape.max("flipper_generation_remaining_urls", &labels));
    let urls = looks.fold(0.0, f64::max);
    let state = if sum(flippers, "flipper_active_cluster", &labels) > 0.0 {
        "fills"
    } else if urls > 0.0 {
        "drains"
    } else {
        "rests"
    };
    Cluster { name, state, urls }
}

fn flips(flippers: &[Scrape]) -> Flips {
    let verdicts = |verdict| sum(flippers, "flipper_generations_total", &[("verdict", verdict)]);
    Flips {
        drained: sum(flippers, "flipper_urls_drained_total", &[]),
        batches: sum(
            flippers,
            "flipper_batches_published_total",
            &[("outcome", "acknowledged")],
        ),
        settled: verdicts("settled"),
        unaudited: verdicts("unaudited"),
        failed: verdicts("failed"),
    }
}

fn partner(run: &Run, dispatchers: &[Scrape], name: &str) -> Partner {
    let accepted = [("partner", name), ("outcome", "accepted")];
    Partner {
        name: name.to_owned(),
        accepted: sum(dispatchers, "dispatcher_urls_total", &accepted),
        circuit_open: sum(dispatchers, "dispatcher_circuit_open", &[("partner", name)]) > 0.0,
        answers: run.partners.status(name).answers.into_iter().collect(),
    }
}

fn sum(scrapes: &[Scrape], name: &str, labels: &[(&str, &str)]) -> f64 {
    // A sum of nothing is -0.0 otherwise.
    scrapes
        .iter()
        .fold(0.0, |sum, scrape| sum + scrape.sum(name, labels))
}
