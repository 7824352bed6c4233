//! The books as tables.

use std::fmt;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};

use super::{Finding, Generations, Report};

impl Report {
    /// A table a generation, the latest last.
    fn generations_table(&self) -> Table {
        let mut table = table(&[
            "generation",
            "state",
            "sealed",
            "new keys",
            "drained",
            "late",
            "merged",
            "batches",
            "URLs",
            "residue",
            "why",
        ]);
        for row in &self.generation_rows {
            let sealed = if row.unsealed > 0 {
                format!("{} of {}", row.sealed, row.sealed + row.unsealed)
            } else {
                row.sealed.to_string()
            };
            let why = match row.replay {
                Some(done) => format!("{}; replay open, {:.0} % read", row.why, done * 100.0),
                None => row.why.clone(),
            };
            table.add_row([
                row.generation.to_string(),
                row.state.to_owned(),
                sealed,
                row.new_keys.to_string(),
                row.drained.to_string(),
                row.late.to_string(),
                row.merged.to_string(),
                row.batches.to_string(),
                row.urls.to_string(),
                row.residue.to_string(),
                why,
            ]);
        }
        right(&mut table, 3..10);
        table
    }

    fn partners_table(&self) -> Table {
        let mut table = table(&[
            "partner",
            "batches",
            "finished",
            "lag",
            "delivered",
            "undeliverable",
            "opted out",
            "merged",
            "repeats",
            "in flight",
            "residue",
        ]);
        for row in &self.partners {
            let reasons = row.undeliverable.iter();
            let reasons: Vec<String> = reasons.map(|(reason, urls)| format!("{urls} {reason}")).collect();
            table.add_row([
                row.partner.clone(),
                row.batches.to_string(),
                row.finished.to_string(),
                row.lag.to_string(),
                row.delivered.to_string(),
                if reasons.is_empty() {
                    "0".to_owned()
                } else {
                    reasons.join(", ")
                },
                row.opted_out.to_string(),
                row.merged.to_string(),
                row.repeats.to_string(),
                row.in_flight.to_string(),
                row.residue.to_string(),
            ]);
        }
        right(&mut table, 1..11);
        table
    }

    fn books_table(&self) -> Table {
        let mut table = table(&[
            "book",
            "statement",
            "left",
            "right",
            "in flight",
            "residue",
            "holds",
        ]);
        for row in &self.rows {
            table.add_row([
                row.book.label().to_owned(),
                row.statement.clone(),
                row.left.to_string(),
                row.right.to_string(),
                row.in_flight.to_string(),
                row.residue.to_string(),
                if row.holds { "yes" } else { "NO" }.to_owned(),
            ]);
        }
        right(&mut table, 2..6);
        table
    }

    /// How it stands, in a line.
    #[must_use]
    pub fn line(&self) -> String {
        let Generations {
            settled,
            unaudited,
            failed,
            open,
            replays_open,
        } = self.generations;
        let in_flight: Vec<String> = self
            .partners
            .iter()
            .map(|row| format!("{} {}", row.partner, row.in_flight))
            .collect();
        let residues: Vec<String> = super::Book::ALL
            .iter()
            .map(|book| (book.label(), self.residue(*book)))
            .filter(|(_, residue)| *residue > 0)
            .map(|(book, residue)| format!("{book} {residue}"))
            .collect();
        format!(
            "{}: {settled} settled, {unaudited} unaudited, {failed} failed, {open} open, {replays_open} replays; URLs in flight: {}{}",
            if self.balances() { "balanced" } else { "RESIDUE" },
            if in_flight.is_empty() {
                "none".to_owned()
            } else {
                in_flight.join(", ")
            },
            if residues.is_empty() {
                String::new()
            } else {
                format!("; remains: {}", residues.join(", "))
            },
        )
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header(header);
    table
}

fn right(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            subject,
            count,
            means,
            to_do,
            ..
        } = self;
        let kind = if self.is_residue { "REMAINS" } else { "note" };
        let book = self.book.label();
        write!(f, "{kind}: book {book}, {subject}: {count}: {means}; {to_do}")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.generations_table())?;
        writeln!(f, "{}", self.partners_table())?;
        writeln!(f, "{}", self.books_table())?;
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        let Generations {
            settled,
            unaudited,
            failed,
            open,
            replays_open,
        } = self.generations;
        writeln!(
            f,
            "generations: {settled} settled, {unaudited} unaudited, {failed} failed, {open} open; {replays_open} replays open"
        )?;
        writeln!(
            f,
            "requests per host and generation: at most {:.2}",
            self.requests_per_host
        )?;
        writeln!(
            f,
            "kept: {} generations, {} batches, {} URLs",
            self.kept.generations, self.kept.batches, self.kept.urls
        )?;
        writeln!(
            f,
            "records {} accepted URLs {} repeats {}",
            self.records, self.accepted_urls, self.repeats
        )?;
        write!(f, "lost {} invented {}", self.lost, self.invented)
    }
}
