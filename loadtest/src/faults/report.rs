//! What the seeds came to.

use std::fmt;

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde::Serialize;

use super::attempt::Outcome;
use super::plan::Plan;

/// One seed.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The seed.
    pub seed: u64,
    /// What failed.
    pub faults: String,
    /// Different URLs that had to reach every partner.
    pub accepted: u64,
    /// Of these, those that did, all partners together.
    pub delivered: u64,
    /// Those that did not.
    pub lost: u64,
    /// URLs that a partner got and nobody sent.
    pub invented: u64,
    /// URLs that a lane delivered again.
    pub repeats: u64,
    /// Generations that failed and were read again.
    pub failed_generations: u64,
    /// What shows that the faults struck, where that is worth a word.
    pub evidence: Vec<String>,
    /// Why the run itself failed, if it did.
    pub error: Option<String>,
    /// The arguments that repeat it.
    #[serde(skip)]
    pub again: String,
}

/// Every seed.
#[derive(Clone, Debug, Default)]
pub struct FaultReport {
    /// A row each.
    pub rows: Vec<Row>,
}

impl Row {
    pub(super) fn of(plan: &Plan, outcome: Outcome) -> Self {
        let again = format!("faults --seed {}", plan.seed);
        Self::new(plan.seed, plan.label(), again, outcome)
    }

    pub(super) fn new(seed: u64, faults: String, again: String, outcome: Outcome) -> Self {
        let report = outcome.report.unwrap_or_default();
        Self {
            seed,
            faults,
            accepted: report.accepted_urls,
            delivered: 2 * report.accepted_urls - report.lost,
            lost: report.lost,
            invented: report.invented,
            repeats: report.repeats,
            failed_generations: report.generations.failed,
            evidence: outcome.evidence,
            error: outcome.error,
            again,
        }
    }

    /// How it went, in a line.
    pub(super) fn verdict(&self) -> String {
        let evidence = self.evidence.join("; ");
        let counted = format!(
            "{} URLs, lost {} invented {}",
            self.accepted, self.lost, self.invented
        );
        let Self { seed, faults, .. } = self;
        match &self.error {
            None => format!("seed {seed}: {faults}: {counted} {evidence}"),
            Some(error) => format!("seed {seed}: {faults}: FAILED, {counted}: {error} {evidence}"),
        }
    }

    fn is_good(&self) -> bool {
        self.error.is_none() && self.lost == 0 && self.invented == 0
    }
}

impl FaultReport {
    /// Whether nothing was lost or invented, whatever failed.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.rows.iter().all(Row::is_good)
    }
}

impl fmt::Display for FaultReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        table.set_header([
            "seed", "faults", "accepted", "lost", "invented", "repeats", "failed", "evidence",
        ]);
        for row in &self.rows {
            let numbers = [
                row.accepted,
                row.lost,
                row.invented,
                row.repeats,
                row.failed_generations,
            ];
            let [accepted, lost, invented, repeats, failed] = numbers.map(|number| number.to_string());
            let evidence = match row.is_good() {
                true => row.evidence.join("; "),
                false => "FAILED".to_owned(),
            };
            let seed = row.seed.to_string();
            table.add_row([
                seed,
                row.faults.clone(),
                accepted,
                lost,
                invented,
                repeats,
                failed,
                evidence,
            ]);
        }
        write!(f, "{table}")?;
        for row in self.rows.iter().filter(|row| !row.is_good()) {
            let (verdict, again) = (row.verdict(), &row.again);
            write!(
                f,
                "\n{verdict}\nrepeat it with: cargo run --package loadtest -- {again}"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_failed_says_why_and_how_to_repeat_it() {
        let outcome = Outcome {
            error: Some("the books do not balance; logs are in somewhere".to_owned()),
            ..Outcome::default()
        };
        let row = Row::new(7, "two faults".to_owned(), "soak --seed 7".to_owned(), outcome);
        let shown = FaultReport { rows: vec![row] }.to_string();
        for word in [
            "the books do not balance",
            "logs are in somewhere",
            "-- soak --seed 7",
        ] {
            assert!(shown.contains(word), "{word} is missing:\n{shown}");
        }
    }
}
