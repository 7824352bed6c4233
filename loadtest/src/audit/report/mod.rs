//! What the audit found, for people and for programs.

mod judge;
mod tables;

use std::collections::BTreeMap;

use serde::Serialize;

use super::books::State;

pub(super) use judge::{Evidence, judge};

/// The books, A to G.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Book {
    /// Records that an ingestor polled.
    A,
    /// URLs that an ingestor accepted.
    B,
    /// Keys that writers made.
    C,
    /// URLs that drains found.
    D,
    /// Batches in the topic.
    E,
    /// URLs of batches that a lane has finished.
    F,
    /// URLs from end to end.
    G,
}

impl Book {
    /// Every book.
    pub const ALL: [Self; 7] = [Self::A, Self::B, Self::C, Self::D, Self::E, Self::F, Self::G];

    /// Its letter, in tables and as a label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
            Self::E => "E",
            Self::F => "F",
            Self::G => "G",
        }
    }
}

/// One line of the books.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Which of the books.
    pub book: Book,
    /// What is compared.
    pub statement: String,
    /// Its left side.
    pub left: u64,
    /// Its right side.
    pub right: u64,
    /// Of the difference, what is still being worked on.
    pub in_flight: u64,
    /// Of the difference, what nothing explains.
    pub residue: u64,
    /// Whether it holds.
    pub holds: bool,
}

/// Something that remains, or that on-call should know.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Which of the books.
    pub book: Book,
    /// Whether the books do not balance because of it; if not, it heals by itself.
    pub is_residue: bool,
    /// Which partition, generation, partner or process.
    pub subject: String,
    /// How many.
    pub count: u64,
    /// What that means.
    pub means: String,
    /// What to do.
    pub to_do: &'static str,
}

/// One generation.
#[derive(Clone, Debug, Serialize)]
pub struct GenerationRow {
    /// Its number.
    pub generation: u64,
    /// How it stands.
    pub state: &'static str,
    /// When it was opened, Unix milliseconds.
    pub opened_at_ms: Option<u64>,
    /// Writers that sealed it.
    pub sealed: usize,
    /// Writers that did not, or not yet.
    pub unsealed: usize,
    /// Keys that writers made.
    pub new_keys: u64,
    /// Of its keys, those that were drained.
    pub drained: u64,
    /// Names of older generations that were drained with it.
    pub late: u64,
    /// Names that were emitted once although they stood under two generations.
    pub merged: u64,
    /// Its batches in the topic.
    pub batches: u64,
    /// URLs in them.
    pub urls: u64,
    /// Why its books are not exact, or why it failed.
    pub why: String,
    /// Of an open replay, the share of its range that was read again.
    pub replay: Option<f64>,
    /// What remains of it.
    pub residue: u64,
}

/// One partner's lane.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PartnerRow {
    /// The partner's name.
    pub partner: String,
    /// Batches that were ever written, those sent again included.
    pub batches: u64,
    /// Of these, finished by the lane.
    pub finished: u64,
    /// Of these, not finished.
    pub lag: u64,
    /// URLs that the partner accepted.
    pub delivered: u64,
    /// URLs that were given up, by reason.
    pub undeliverable: BTreeMap<String, u64>,
    /// URLs whose host has opted out.
    pub opted_out: u64,
    /// URLs that ended with the same URL of another batch that waited.
    pub merged: u64,
    /// URLs that were delivered again.
    pub repeats: u64,
    /// URLs of batches that are not finished.
    pub in_flight: u64,
    /// URLs of finished batches that nothing explains.
    pub residue: u64,
}

impl PartnerRow {
    /// A lane that has done nothing yet.
    #[must_use]
    pub fn new(partner: &str) -> Self {
        Self {
            partner: partner.to_owned(),
            ..Self::default()
        }
    }
}

/// How many generations ended how.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Generations {
    /// Settled, and their books agreed exactly.
    pub settled: u64,
    /// Settled without exact books.
    pub unaudited: u64,
    /// Failed.
    pub failed: u64,
    /// Without a verdict.
    pub open: u64,
    /// Whose input is not read again yet.
    pub replays_open: u64,
}

/// What a long audit holds in memory.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Kept {
    /// Generations one by one.
    pub generations: u64,
    /// Batches that some lane has not finished.
    pub batches: u64,
    /// URLs, those that are there twice counted twice.
    pub urls: u64,
}

/// The books.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Unix milliseconds of the look.
    pub at_ms: u64,
    /// Whether nothing remains.
    pub balanced: bool,
    /// Every line.
    pub rows: Vec<Row>,
    /// What remains, and what to know.
    pub findings: Vec<Finding>,
    /// The latest generations, and older ones of which something is open or remains.
    pub generation_rows: Vec<GenerationRow>,
    /// Every lane.
    pub partners: Vec<PartnerRow>,
    /// Input records that were judged.
    pub records: u64,
    /// Different URLs among them that had to reach every partner.
    pub accepted_urls: u64,
    /// Accepted URLs that stand in no batch or that a partner never got, all partners together.
    pub lost: u64,
    /// URLs in batches or at a partner that nobody sent, all partners together.
    pub invented: u64,
    /// URLs that a lane delivered again after a crash.
    pub repeats: u64,
    /// Accepted requests a distinct host, in the worst generation of the worst partner.
    pub requests_per_host: f64,
    /// How generations ended.
    pub generations: Generations,
    /// What is held in memory.
    pub kept: Kept,
}

impl Report {
    /// Whether nothing remains.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.lost == 0 && self.invented == 0 && self.rows.iter().all(|row| row.holds)
    }

    /// What remains of one book.
    #[must_use]
    pub fn residue(&self, book: Book) -> u64 {
        self.of(book).map(|row| row.residue).sum()
    }

    /// What is still being worked on in one book.
    #[must_use]
    pub fn in_flight(&self, book: Book) -> u64 {
        self.of(book).map(|row| row.in_flight).sum()
    }

    /// What remains, one by one.
    pub fn residues(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.is_residue)
    }

    fn of(&self, book: Book) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.book == book)
    }

    /// The generations in one state, by the words of [`State`].
    #[must_use]
    pub fn generations_in(&self, state: State) -> u64 {
        let rows = || {
            self.generation_rows
                .iter()
                .filter(|row| row.state == state.label())
        };
        match state {
            State::Active | State::Closed => rows().count() as u64,
            State::Settled => self.generations.settled,
            State::Unaudited => self.generations.unaudited,
            State::Failed => self.generations.failed,
        }
    }
}
