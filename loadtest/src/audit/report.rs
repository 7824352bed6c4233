//! What the audit found, for people and for programs.

use std::fmt;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

/// One line of the books.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Which of the books, A to G.
    pub book: &'static str,
    /// What is compared.
    pub statement: String,
    /// Its left side.
    pub left: u64,
    /// Its right side.
    pub right: u64,
    /// Whether it holds.
    pub holds: bool,
}

/// How generations ended.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Generations {
    /// Settled, and their books agreed exactly.
    pub settled: u64,
    /// Settled without exact books.
    pub unaudited: u64,
    /// Failed.
    pub failed: u64,
}

/// The books.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Every line.
    pub rows: Vec<Row>,
    /// Input records that were committed.
    pub records: u64,
    /// Different URLs among them that had to reach every partner.
    pub accepted_urls: u64,
    /// Accepted URLs that a partner never got, all partners together.
    pub lost: u64,
    /// URLs that a partner got and nobody sent, all partners together.
    pub invented: u64,
    /// URLs that a lane delivered again after a crash.
    pub repeats: u64,
    /// Accepted requests a distinct host, in the worst generation of the worst partner.
    pub requests_per_host: f64,
    /// How generations ended.
    pub generations: Generations,
}

impl Report {
    /// Whether every line holds.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.lost == 0 && self.invented == 0 && self.rows.iter().all(|row| row.holds)
    }

    pub(super) fn equal(&mut self, book: &'static str, statement: impl Into<String>, left: u64, right: u64) {
        self.push(book, statement.into(), left, right, left == right);
    }

    pub(super) fn at_most(
        &mut self,
        book: &'static str,
        statement: impl Into<String>,
        left: u64,
        right: u64,
    ) {
        self.push(book, statement.into(), left, right, left <= right);
    }

    fn push(&mut self, book: &'static str, statement: String, left: u64, right: u64, holds: bool) {
        self.rows.push(Row {
            book,
            statement,
            left,
            right,
            holds,
        });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        table.set_header(["book", "statement", "left", "right", "holds"]);
        for row in &self.rows {
            let holds = if row.holds { "yes" } else { "NO" };
            let (left, right) = (row.left.to_string(), row.right.to_string());
            table.add_row([row.book, &row.statement, &left, &right, holds]);
        }
        for column in [2, 3] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let Generations {
            settled,
            unaudited,
            failed,
        } = self.generations;
        writeln!(f, "{table}")?;
        writeln!(
            f,
            "generations: {settled} settled, {unaudited} unaudited, {failed} failed"
        )?;
        writeln!(
            f,
            "requests per host and generation: at most {:.2}",
            self.requests_per_host
        )?;
        writeln!(
            f,
            "records {} accepted URLs {} repeats {}",
            self.records, self.accepted_urls, self.repeats
        )?;
        write!(f, "lost {} invented {}", self.lost, self.invented)
    }
}
