//! (A) and (B), and who works.

use super::{Advice, Evidence};
use crate::audit::books::{Balance, Certainty, Triple};
use crate::audit::report::{Book, Report};

pub(super) fn judge(evidence: &Evidence<'_>, report: &mut Report) {
    let is_at_rest = evidence.books.certainty == Certainty::AtRest;
    for (name, looks) in &evidence.ingestors {
        let records = best_of(looks, |triple| triple.records(&evidence.ingest_group));
        let urls = best_of(looks, Triple::urls);
        let left = "polled + read again = accepted + rejected + filtered + dropped";
        let right = "accepted = new + repeated + repeated in process + unknown";
        for (book, statement, balance) in [(Book::A, left, records), (Book::B, right, urls)] {
            let Some(mut balance) = balance else { continue };
            if is_at_rest {
                balance.residue += balance.in_flight;
            }
            report.row(book, format!("{statement}, {name}"), balance);
            let advice = Advice {
                means: "this process counts what it neither finished nor holds, or finished what it never took",
                to_do: "a defect of the ingestor: keep its log and /metrics, and report it",
            };
            report.remains(book, name, balance.residue, advice);
        }
    }
    for silent in &evidence.silent {
        let advice = Advice {
            means: "its own figures are not in the books",
            to_do: "see whether it runs, and its address",
        };
        report.note(Book::A, silent, 1, advice);
    }
    if let Some(working) = evidence.working.filter(|working| *working != 1) {
        let advice = Advice {
            means: "so many flippers work: 0 for a moment while one is elected, 2 cost repeats",
            to_do: "wait 10 s, then see their logs",
        };
        report.note(Book::C, "flippers", working, advice);
    }
}

/// The look with the smallest residue: what a process does between two counters is gone in the next look.
fn best_of(looks: &[Triple], balance: impl Fn(&Triple) -> Balance) -> Option<Balance> {
    looks.iter().map(balance).min_by_key(|balance| balance.residue)
}
