//! Live figures: a block that is drawn again in a terminal, plain lines elsewhere.

use std::time::{Duration, Instant};

use crate::run::Run;
use crate::scrape::Scrape;
use crate::screen::Screen;
use crate::service::Kind;

/// Elsewhere than in a terminal a line comes this rarely.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Draws the figures.
#[derive(Debug)]
pub(crate) struct Live {
    screen: Screen,
    started: Instant,
    last: Instant,
    last_line: Option<Instant>,
    last_records: f64,
}

impl Live {
    pub(crate) fn new() -> Self {
        Self {
            screen: Screen::default(),
            started: Instant::now(),
            last: Instant::now(),
            last_line: None,
            last_records: 0.0,
        }
    }

    /// Shows how a run stands.
    pub(crate) async fn show(&mut self, run: &Run, produced: u64) {
        if !self.screen.is_terminal() && self.last_line.is_some_and(|last| last.elapsed() < LINE_EVERY) {
            return;
        }
        self.last_line = Some(Instant::now());
        let mut scrapes = Vec::new();
        for kind in [Kind::Ingestor, Kind::Flipper, Kind::Dispatcher] {
            let mut all = Vec::new();
            for service in run.of(kind) {
                all.extend(service.metrics().await);
            }
            scrapes.push(all);
        }
        let [ingestors, flippers, dispatchers] = &scrapes[..] else {
            return;
        };
        let mut lines = vec![self.ingest(ingestors, produced), flip(flippers)];
        lines.extend(
            run.partner_names()
                .iter()
                .map(|partner| lane(run, dispatchers, partner)),
        );
        self.screen.draw(&lines.join("\n"));
    }

    fn ingest(&mut self, ingestors: &[Scrape], produced: u64) -> String {
        let records = sum(ingestors, "ingestor_records_total", &[]);
        let seconds = self.last.elapsed().as_secs_f64().max(0.001);
        let rate = (records - self.last_records).max(0.0) / seconds;
        (self.last, self.last_records) = (Instant::now(), records);
        let lag = ingestors
            .iter()
            .map(|scrape| scrape.max("kafka_consumer_lag_seconds", &[]))
            .fold(0.0, f64::max);
        let of = |outcome| sum(ingestors, "ingestor_records_total", &[("outcome", outcome)]);
        let new = sum(ingestors, "ingestor_urls_total", &[("result", "new")]);
        format!(
            "{:>4.0} s  ingest   {produced} produced, {records} read at {rate:.0}/s, lag {lag:.1} s; {} accepted \
             ({new} new), {} rejected, {} filtered",
            self.started.elapsed().as_secs_f64(),
            of("accepted"),
            of("rejected"),
            of("filtered"),
        )
    }
}

fn flip(flippers: &[Scrape]) -> String {
    let active = ["hints-a", "hints-b"]
        .into_iter()
        .find(|cluster| sum(flippers, "flipper_active_cluster", &[("redis_cluster", cluster)]) > 0.0)
        .map_or("-", |label| if label == "hints-a" { "A" } else { "B" });
    let verdicts = |verdict| sum(flippers, "flipper_generations_total", &[("verdict", verdict)]);
    let draining = if sum(flippers, "flipper_drain_in_progress", &[]) > 0.0 {
        let left = sum(flippers, "flipper_generation_remaining_urls", &[]);
        format!("draining, {left} URLs in Redis")
    } else {
        "no drain".to_owned()
    };
    format!(
        "        flip     cluster {active} active, {draining}; {} drained; {} settled, {} unaudited, {} failed",
        sum(flippers, "flipper_urls_drained_total", &[]),
        verdicts("settled"),
        verdicts("unaudited"),
        verdicts("failed"),
    )
}

fn lane(run: &Run, dispatchers: &[Scrape], partner: &str) -> String {
    let accepted = sum(
        dispatchers,
        "dispatcher_urls_total",
        &[("partner", partner), ("outcome", "accepted")],
    );
    let circuit = sum(dispatchers, "dispatcher_circuit_open", &[("partner", partner)]);
    let mut answers: Vec<_> = run.partners.status(partner).answers.into_iter().collect();
    answers.sort_unstable();
    let answers: Vec<_> = answers
        .iter()
        .map(|(status, count)| format!("{status}: {count}"))
        .collect();
    format!(
        "        {partner:<8} {accepted} URLs accepted; answers {}{}",
        answers.join(", "),
        if circuit > 0.0 { "; circuit open" } else { "" }
    )
}

fn sum(scrapes: &[Scrape], name: &str, labels: &[(&str, &str)]) -> f64 {
    // A sum of nothing is -0.0 otherwise.
    scrapes
        .iter()
        .fold(0.0, |sum, scrape| sum + scrape.sum(name, labels))
}
