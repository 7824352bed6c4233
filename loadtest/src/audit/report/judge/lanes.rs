//! (E) and (F), and a row a partner.

use super::{Advice, Evidence, places};
use crate::audit::books::{Balance, Certainty, Lane};
use crate::audit::report::{Book, PartnerRow, Report};

pub(super) fn judge(evidence: &Evidence<'_>, report: &mut Report) {
    for (partner, lane) in evidence.books.lanes.lanes() {
        if lane.is_asked {
            let batches = batches(evidence, partner, lane, report);
            let urls = urls(evidence, partner, lane, report);
            if evidence.left_alone.contains(partner) {
                let advice = Advice {
                    means: "the partner's circuit is open: its batches wait",
                    to_do: "ask the partner; see GET /partners at the dispatcher",
                };
                report.note(Book::E, partner, batches.in_flight, advice);
            }
            report.repeats += lane.repeats;
            report.partners.push(PartnerRow {
                partner: partner.to_owned(),
                batches: batches.left,
                finished: batches.right,
                lag: batches.in_flight,
                delivered: lane.delivered,
                undeliverable: lane.undeliverable.clone(),
                opted_out: lane.opted_out,
                merged: lane.merged,
                repeats: lane.repeats,
                in_flight: urls.in_flight,
                residue: urls.residue,
            });
        } else {
            let advice = Advice {
                means: "outcomes of a partner that this audit was not asked about",
                to_do: "name it in --partners",
            };
            report.note(Book::F, partner, lane.delivered, advice);
        }
    }
    let nothing = evidence.outcomes_of_nothing;
    report.none(
        Book::F,
        "outcomes of batches that the topic does not hold",
        nothing,
    );
    let advice = Advice {
        means: "receipts or undeliverable name batches that nobody wrote",
        to_do: "see who may write to receipts and undeliverable",
    };
    report.remains(Book::F, "receipts", nothing, advice);
}

/// (E): batches in the topic = finished + lag.
fn batches(evidence: &Evidence<'_>, partner: &str, lane: &Lane, report: &mut Report) -> Balance {
    let mut batches = Balance::default();
    for (&partition, ends) in &evidence.batch_ends {
        let committed = lane.committed.get(&partition).copied().unwrap_or(0);
        let (gone, beyond) = (count(ends.low - committed), count(committed - ends.high));
        batches.left += count(ends.high);
        batches.right += count(committed);
        batches.in_flight += count(ends.high - committed.max(ends.low));
        batches.residue += gone + beyond;
        let subject = format!("{partner}, batches[{partition}]");
        let advice = Advice {
            means: "retention removed batches that this lane had not read",
            to_do: "keep batches longer, or read their generations again: POST /generations/<g>/replay",
        };
        report.remains(Book::E, &subject, gone, advice);
        let advice = Advice {
            means: "the lane has committed more than the partition holds",
            to_do: "see whether the topic was truncated or made anew",
        };
        report.remains(Book::E, &subject, beyond, advice);
    }
    if evidence.books.certainty == Certainty::AtRest {
        batches.residue += batches.in_flight;
    }
    report.row(
        Book::E,
        format!("batches in the topic = finished by {partner}"),
        batches,
    );
    batches
}

/// (F): URLs of finished batches = what became of them.
fn urls(evidence: &Evidence<'_>, partner: &str, lane: &Lane, report: &mut Report) -> Balance {
    let (residue, at) = lane.silent();
    let unfinished = evidence.batch_ends.iter().flat_map(|(&partition, ends)| {
        let committed = lane.committed.get(&partition).copied().unwrap_or(0);
        evidence.books.batches.open(partition, committed, ends.high)
    });
    let urls = Balance {
        left: lane.finished,
        right: lane.finished - residue,
        in_flight: unfinished.map(|(_, batch)| batch.urls).sum(),
        residue,
    };
    let statement = "URLs of finished batches = delivered + undeliverable + opted out + merged";
    report.row(Book::F, format!("{statement}, {partner}"), urls);
    let advice = Advice {
        means: "the lane has committed batches without any word of what became of these URLs",
        to_do: "see whether somebody moved the group's offsets; read the generations of these batches again: POST /generations/<g>/replay",
    };
    let subject = format!("{partner}, {}", places("batches", &at));
    report.remains(Book::F, subject, residue, advice);
    urls
}

fn count(offsets: i64) -> u64 {
    u64::try_from(offsets).unwrap_or(0)
}
