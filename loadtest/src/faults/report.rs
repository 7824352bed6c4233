//! What the seeds came to.

use std::fmt;

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde::Serialize;

use super::fault::Plan;
use crate::audit::Report;

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
    /// Why the run itself failed, if it did.
    pub error: Option<String>,
}

/// Every seed.
#[derive(Clone, Debug, Default)]
pub struct FaultReport {
    /// A row each.
    pub rows: Vec<Row>,
}

impl Row {
    pub(super) fn of(plan: &Plan, report: &Report) -> Self {
        Self {
            seed: plan.seed,
            faults: plan.label(),
            accepted: report.accepted_urls,
            delivered: 2 * report.accepted_urls - report.lost,
            lost: report.lost,
            invented: report.invented,
            repeats: report.repeats,
            error: None,
        }
    }

    pub(super) fn failed(plan: &Plan, error: &anyhow::Error) -> Self {
        Self {
            seed: plan.seed,
            faults: plan.label(),
            accepted: 0,
            delivered: 0,
            lost: 0,
            invented: 0,
            repeats: 0,
            error: Some(format!("{error:#}")),
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

    /// How far it is, and how the last seed went.
    pub(super) fn progress(&self, seeds: u64) -> String {
        let done = self.rows.len();
        let Some(row) = self.rows.last() else {
            return String::new();
        };
        let verdict = match &row.error {
            None if row.is_good() => format!("{} URLs, lost 0 invented 0", row.accepted),
            None => format!("lost {} invented {}", row.lost, row.invented),
            Some(error) => error.clone(),
        };
        format!("[{done}/{seeds}] seed {}: {}: {verdict}", row.seed, row.faults)
    }
}

impl fmt::Display for FaultReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        table.set_header(["seed", "faults", "accepted", "lost", "invented", "repeats", ""]);
        for row in &self.rows {
            let [seed, accepted, lost, invented, repeats] =
                [row.seed, row.accepted, row.lost, row.invented, row.repeats]
                    .map(|number| number.to_string());
            let verdict = if row.is_good() { "" } else { "FAILED" };
            table.add_row([
                &*seed,
                &row.faults,
                &accepted,
                &lost,
                &invented,
                &repeats,
                verdict,
            ]);
        }
        write!(f, "{table}")?;
        for row in self.rows.iter().filter(|row| !row.is_good()) {
            write!(f, "\nagain: loadtest faults --seed {} --seeds 1", row.seed)?;
        }
        Ok(())
    }
}
