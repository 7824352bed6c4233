//! (G).

use super::{Advice, Evidence, places};
use crate::audit::books::{Balance, UrlBooks};
use crate::audit::report::{Book, Report};

pub(super) fn judge(evidence: &Evidence<'_>, report: &mut Report) {
    let urls = &evidence.books.urls;
    stand_in_batches(urls, report);
    were_sent(urls, report);
    if urls.is_given_up {
        let advice = Advice {
            means: "there are more URLs than --max-urls: they are not compared one by one",
            to_do: "give it more memory and a higher --max-urls",
        };
        report.note(Book::G, "URLs", 0, advice);
    }
    if evidence.logs.is_empty() {
        let silent: u64 = report.partners.iter().map(|row| row.residue).sum();
        report.accepted_urls = urls.found + urls.missing + urls.waiting();
        report.lost = urls.missing + silent;
        report.invented = urls.invented.values().sum();
    } else {
        reached_partners(evidence, report);
    }
}

fn stand_in_batches(urls: &UrlBooks, report: &mut Report) {
    let balance = Balance {
        left: urls.found + urls.missing,
        right: urls.found,
        in_flight: urls.waiting(),
        residue: urls.missing,
    };
    let statement = "accepted URLs of closed generations = those that stand in batches";
    report.row(Book::G, statement, balance);
    let advice = Advice {
        means: "accepted, committed, and in no batch since: lost",
        to_do: "read the input again: POST /generations/<g>/replay at the flipper; keep the topics, and report it",
    };
    let at = places("cache-misses", &urls.missing_at);
    report.remains(Book::G, at, urls.missing, advice);
}

fn were_sent(urls: &UrlBooks, report: &mut Report) {
    let invented = urls.invented.values().sum();
    report.none(Book::G, "URLs of batches that nobody sent", invented);
    for (generation, count) in &urls.invented {
        let advice = Advice {
            means: "URLs stand in batches and no accepted record has them: invented",
            to_do: "see who may write to the topic of batches and to Redis; pause the partners: POST /partners/<name>/pause",
        };
        report.remains(Book::G, format!("generation {generation}"), *count, advice);
    }
}

/// What partners say themselves.
fn reached_partners(evidence: &Evidence<'_>, report: &mut Report) {
    report.accepted_urls = evidence.books.urls.accepted().count() as u64;
    for log in &evidence.logs {
        let partner = &log.partner;
        report.none(
            Book::G,
            format!("accepted URLs that {partner} never got"),
            log.lost,
        );
        report.none(
            Book::G,
            format!("URLs that {partner} got and nobody sent"),
            log.invented,
        );
        report.lost += log.lost;
        report.invented += log.invented;
    }
}
