//! From what was counted to what remains. Pure.

mod ends;
mod generations;
mod lanes;
mod processes;

use std::collections::BTreeSet;

use super::{Book, Finding, Kept, Report, Row};
use crate::audit::books::{Balance, Books, Place, Triple};
use crate::audit::logs::PartnerUrls;
use crate::audit::topic::TopicEnds;

/// What one look has gathered.
pub(in crate::audit) struct Evidence<'a> {
    pub(in crate::audit) at_ms: u64,
    pub(in crate::audit) books: &'a Books,
    /// Outcomes of batches that the topic does not hold.
    pub(in crate::audit) outcomes_of_nothing: u64,
    /// Living ingestors, each looked at several times.
    pub(in crate::audit) ingestors: Vec<(String, Vec<Triple>)>,
    /// The consumer group of ingestors.
    pub(in crate::audit) ingest_group: String,
    /// Partners that living lanes leave alone until a probe succeeds.
    pub(in crate::audit) left_alone: BTreeSet<String>,
    /// Where the topic of batches ended, read behind everything that lanes wrote.
    pub(in crate::audit) batch_ends: TopicEnds,
    /// What partners say themselves.
    pub(in crate::audit) logs: Vec<PartnerUrls>,
    /// Services that do not answer, and why.
    pub(in crate::audit) silent: Vec<String>,
    /// Flippers that work, of those that were asked.
    pub(in crate::audit) working: Option<u64>,
}

/// Judges every book.
pub(in crate::audit) fn judge(evidence: &Evidence<'_>) -> Report {
    let books = evidence.books;
    let mut report = Report {
        at_ms: evidence.at_ms,
        records: books.urls.records,
        ..Report::default()
    };
    processes::judge(evidence, &mut report);
    generations::judge(books, &mut report);
    lanes::judge(evidence, &mut report);
    ends::judge(evidence, &mut report);
    report.rows.sort_by_key(|row| row.book);
    report.requests_per_host = books.lanes.requests_per_host(&books.batches);
    report.kept = Kept {
        generations: books.generations.kept() as u64,
        batches: books.batches.kept() as u64,
        urls: books.urls.kept() as u64,
    };
    report.balanced = report.balances();
    report
}

/// What a number of something means, and what to do about it.
#[derive(Clone, Copy)]
struct Advice<'a> {
    means: &'a str,
    to_do: &'static str,
}

impl Report {
    fn row(&mut self, book: Book, statement: impl Into<String>, balance: Balance) {
        self.rows.push(Row {
            book,
            statement: statement.into(),
            left: balance.left,
            right: balance.right,
            in_flight: balance.in_flight,
            residue: balance.residue,
            holds: balance.residue == 0,
        });
    }

    /// Nothing may stand on the right.
    fn none(&mut self, book: Book, statement: impl Into<String>, found: u64) {
        let balance = Balance {
            right: found,
            residue: found,
            ..Balance::default()
        };
        self.row(book, statement, balance);
    }

    /// Something remains, if anything does.
    fn remains(&mut self, book: Book, subject: impl Into<String>, count: u64, advice: Advice<'_>) {
        if count > 0 {
            self.find(book, true, subject.into(), count, advice);
        }
    }

    /// Something to know, that is no residue.
    fn note(&mut self, book: Book, subject: impl Into<String>, count: u64, advice: Advice<'_>) {
        self.find(book, false, subject.into(), count, advice);
    }

    fn find(&mut self, book: Book, is_residue: bool, subject: String, count: u64, advice: Advice<'_>) {
        self.findings.push(Finding {
            book,
            is_residue,
            subject,
            count,
            means: advice.means.to_owned(),
            to_do: advice.to_do,
        });
    }
}

/// Places for people.
fn places<'a>(topic: &str, places: impl IntoIterator<Item = &'a Place>) -> String {
    let named = places.into_iter().take(5);
    let named = named.map(|(partition, offset)| format!("{topic}[{partition}]@{offset}"));
    named.collect::<Vec<_>>().join(" ")
}
