//! The audit's own metrics: the figures of its last look.

use messagebus::metrics::{CounterFamily, GaugeFamily, Registrar};

use super::books::State;
use super::report::{Book, PartnerRow, Report};

/// Outcomes of `audit_looks_total`.
const LOOKS: [&str; 3] = ["balanced", "residue", "failed"];

/// Every metric of the audit's own. Labels are books, states and the partners of the settings.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    looks: CounterFamily<1>,
    last_look: GaugeFamily<0>,
    residue: GaugeFamily<1>,
    in_flight: GaugeFamily<1>,
    generations: GaugeFamily<1>,
    replays_open: GaugeFamily<0>,
    lag: GaugeFamily<1>,
    urls: GaugeFamily<2>,
    kept: GaugeFamily<1>,
}

impl Metrics {
    /// Registers them all, at 0.
    ///
    /// # Errors
    /// A name that is taken.
    pub(super) fn register(registrar: &Registrar, partners: &[String]) -> prometheus::Result<Self> {
        let metrics = Self {
            looks: registrar.counter(
                "audit_looks_total",
                "How did looks at the books end?",
                ["outcome"],
            )?,
            last_look: registrar.gauge(
                "audit_last_look_timestamp_seconds",
                "When did the last look end that could read everything?",
                [],
            )?,
            residue: registrar.gauge(
                "audit_residue",
                "How much remains of each book that nothing explains?",
                ["book"],
            )?,
            in_flight: registrar.gauge("audit_in_flight", "How much of each book is under way?", ["book"])?,
            generations: registrar.gauge("audit_generations", "How do generations stand?", ["state"])?,
            replays_open: registrar.gauge(
                "audit_replays_open",
                "How many generations' input is not read again yet?",
                [],
            )?,
            lag: registrar.gauge(
                "audit_lag_batches",
                "How many batches has each partner's lane not finished?",
                ["partner"],
            )?,
            urls: registrar.gauge(
                "audit_urls",
                "What became of the URLs of each partner's batches, as far as topics say?",
                ["partner", "outcome"],
            )?,
            kept: registrar.gauge("audit_kept", "How much does the audit hold in memory?", ["what"])?,
        };
        LOOKS
            .iter()
            .for_each(|outcome| metrics.looks.with([outcome]).reset());
        metrics.last_look.set([], 0);
        metrics.show(&Report::default());
        for partner in partners {
            metrics.show_partner(&PartnerRow::new(partner));
        }
        Ok(metrics)
    }

    /// Shows a look that could read everything.
    pub(super) fn looked(&self, report: &Report) {
        let outcome = if report.balances() { "balanced" } else { "residue" };
        self.looks.with([outcome]).inc();
        self.last_look.set([], report.at_ms / 1_000);
        self.show(report);
    }

    /// Counts a look that could not.
    pub(super) fn failed(&self) {
        self.looks.with(["failed"]).inc();
    }

    fn show(&self, report: &Report) {
        for book in Book::ALL {
            self.residue.set([book.label()], report.residue(book));
            self.in_flight.set([book.label()], report.in_flight(book));
        }
        for state in State::ALL {
            self.generations
                .set([state.label()], report.generations_in(state));
        }
        self.replays_open.set([], report.generations.replays_open);
        report.partners.iter().for_each(|row| self.show_partner(row));
        self.kept.set(["generations"], report.kept.generations);
        self.kept.set(["batches"], report.kept.batches);
        self.kept.set(["urls"], report.kept.urls);
    }

    fn show_partner(&self, row: &PartnerRow) {
        let partner = row.partner.as_str();
        self.lag.set([partner], row.lag);
        let outcomes = [
            ("delivered", row.delivered),
            ("undeliverable", row.undeliverable.values().sum()),
            ("opted_out", row.opted_out),
            ("merged", row.merged),
            ("repeated", row.repeats),
            ("in_flight", row.in_flight),
            ("missing", row.residue),
        ];
        for (outcome, urls) in outcomes {
            self.urls.set([partner, outcome], urls);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prometheus::Registry;

    use super::*;

    #[test]
    fn every_metric_stands_in_the_readme_from_the_start_and_no_other_does() {
        let registry = Registry::new();
        let partners = ["north".to_owned()];
        drop(Metrics::register(&Registrar::new(&registry, "audit"), &partners).unwrap());
        let families = registry.gather();
        let exported: BTreeSet<&str> = families
            .iter()
            .map(prometheus::proto::MetricFamily::name)
            .collect();
        let readme = include_str!("../../README.md");
        let words = readme.split('`').map(|code| code.split('{').next().unwrap());
        let documented: BTreeSet<&str> = words
            .filter(|word| word.starts_with("crawlerhints_audit_"))
            .collect();
        assert_eq!(exported, documented);
    }
}
