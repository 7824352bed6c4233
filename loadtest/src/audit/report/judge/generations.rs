//! (C) and (D), and a row a generation.

use hint_schema::generation_event::Generation;

use super::{Advice, places};
use crate::audit::books::{Balance, Books, Entry, State};
use crate::audit::report::{Book, GenerationRow, Generations, Report};

/// Closed generations that are shown, beside those of which something is open or remains.
const SHOWN: usize = 20;

/// One generation and what remains of it.
struct Judged<'a> {
    generation: Generation,
    entry: &'a Entry,
    state: State,
    batches: u64,
    /// URLs of its batches in the topic.
    urls: u64,
    /// All its batches were read.
    is_whole: bool,
    replay: Option<f64>,
    key_residue: u64,
    batch_residue: u64,
}

pub(super) fn judge(books: &Books, report: &mut Report) {
    let log = &books.generations;
    let replays = log.replays();
    let judged: Vec<Judged<'_>> = log
        .entries()
        .map(|(generation, entry, state)| {
            let replay = replays.get(&generation).copied();
            Judged::of(books, generation, entry, state, replay)
        })
        .collect();
    let (keys, mut urls) = balances(books, &judged);
    judged.iter().for_each(|judged| judged.find(report));
    urls.residue += never_opened(books, report);
    let right = "drained + late − merged = URLs in batches (≤ after a takeover or a loss)";
    report.row(Book::C, "new keys = drained keys, audited generations", keys);
    report.row(Book::D, right, urls);
    unreadable(books, report);
    report.generations = Generations {
        settled: log.count(State::Settled),
        unaudited: log.count(State::Unaudited),
        failed: log.count(State::Failed),
        open: log.count(State::Active) + log.count(State::Closed),
        replays_open: replays.len() as u64,
    };
    let latest = judged.len().saturating_sub(SHOWN);
    let shown = judged.iter().enumerate();
    let shown = shown.filter(|(index, judged)| *index >= latest || judged.is_open_or_remains());
    report.generation_rows = shown.map(|(_, judged)| judged.row(books)).collect();
}

/// Both sides of (C) and of (D).
fn balances(books: &Books, judged: &[Judged<'_>]) -> (Balance, Balance) {
    let audited = books.generations.audited_keys();
    let mut keys = Balance {
        left: audited.new,
        right: audited.drained,
        ..Balance::default()
    };
    let mut urls = Balance::default();
    for judged in judged {
        keys.residue += judged.key_residue;
        urls.residue += judged.batch_residue;
        match &judged.entry.verdict {
            None => {
                keys.in_flight += judged.entry.new_keys;
                urls.in_flight += judged.urls;
            }
            Some(verdict) if judged.is_whole => {
                urls.left += verdict.found();
                urls.right += judged.urls;
            }
            Some(_) => {}
        }
    }
    (keys, urls)
}

impl<'a> Judged<'a> {
    fn of(
        books: &Books,
        generation: Generation,
        entry: &'a Entry,
        state: State,
        replay: Option<f64>,
    ) -> Self {
        let batches = books.batches.of(generation);
        let urls = books.batches.urls_of(generation);
        let is_whole = books.batches.is_whole(generation);
        Self {
            generation,
            entry,
            state,
            batches: batches.map_or(0, |batches| batches.batches),
            urls,
            is_whole,
            replay,
            key_residue: entry.key_residue(),
            batch_residue: if is_whole { entry.batch_residue(urls) } else { 0 },
        }
    }

    fn is_open_or_remains(&self) -> bool {
        let remains = self.key_residue + self.batch_residue > 0;
        remains || self.replay.is_some() || self.state == State::Closed
    }

    fn find(&self, report: &mut Report) {
        let (entry, subject) = (self.entry, format!("generation {}", self.generation));
        let Some(verdict) = entry.verdict else { return };
        let (made, found) = (entry.new_keys, verdict.keys);
        let means =
            format!("writers made {made} keys, the drain found {found}, and it was settled all the same");
        let advice = Advice {
            means: &means,
            to_do: "read its input again: POST /generations/<g>/replay at the flipper; a defect of the flipper: report it",
        };
        report.remains(Book::C, &subject, self.key_residue, advice);
        let advice = if verdict.found() > self.urls {
            Advice {
                means: "URLs were drained, acknowledged and removed, and do not stand in the topic",
                to_do: "see whether Kafka lost records (unclean election, truncation); read its input again: POST /generations/<g>/replay",
            }
        } else {
            Advice {
                means: "URLs stand in the topic that no drain found: somebody else wrote a batch, or a removal was refused and repeated",
                to_do: "see who may write to the topic of batches; book G says whether the URLs were sent",
            }
        };
        report.remains(Book::D, &subject, self.batch_residue, advice);
        if let Some(done) = self.replay {
            let why = match verdict.failed {
                Some(_) => entry.why(),
                None => "asked for by hand".to_owned(),
            };
            let means = format!("{why}: its input is being read again, {:.0} % done", done * 100.0);
            let advice = Advice {
                means: &means,
                to_do: "wait; Redis and its log say what was lost",
            };
            report.note(Book::C, &subject, made.saturating_sub(found), advice);
        }
    }

    fn row(&self, books: &Books) -> GenerationRow {
        let verdict = self.entry.verdict;
        let unsealed = match verdict {
            Some(_) => self.entry.unsealed,
            None => books.generations.missing_seals(self.generation),
        };
        GenerationRow {
            generation: self.generation,
            state: self.state.label(),
            opened_at_ms: self.entry.opened_at_ms,
            sealed: self.entry.sealed,
            unsealed,
            new_keys: self.entry.new_keys,
            drained: verdict.map_or(0, |verdict| verdict.keys),
            late: verdict.map_or(0, |verdict| verdict.late),
            merged: verdict.map_or(0, |verdict| verdict.merged),
            batches: self.batches,
            urls: self.urls,
            why: self.entry.why(),
            replay: self.replay,
            residue: self.key_residue + self.batch_residue,
        }
    }
}

/// Batches of generations above the active one: nobody can have drained them.
fn never_opened(books: &Books, report: &mut Report) -> u64 {
    let active = books.generations.active();
    let mut urls = 0;
    for (generation, batches) in books.batches.generations() {
        if active.is_none_or(|active| generation > active) {
            urls += batches.urls;
            let advice = Advice {
                means: "batches of a generation that was never opened: somebody else wrote them",
                to_do: "see who may write to the topic of batches",
            };
            report.remains(Book::D, format!("generation {generation}"), batches.urls, advice);
        }
    }
    urls
}

fn unreadable(books: &Books, report: &mut Report) {
    let at = &books.batches.unreadable;
    report.none(Book::D, "messages that are no batch", at.len() as u64);
    let advice = Advice {
        means: "lanes pass over them: no flipper of this project wrote them",
        to_do: "see who may write to the topic of batches",
    };
    report.remains(Book::D, places("batches", at), at.len() as u64, advice);
    let others = books.generations.unreadable + books.lanes.unreadable + books.zones.unreadable;
    if others > 0 {
        let advice = Advice {
            means: "records of generations, zones, receipts or undeliverable that cannot be read are left out",
            to_do: "see who may write to them",
        };
        report.note(Book::D, "other topics", others, advice);
    }
}
