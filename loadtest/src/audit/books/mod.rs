//! The books, counted: pure folds of the topics' records. What they say is in `report`.

mod batches;
mod generation;
mod generations;
mod lanes;
mod offsets;
mod owed;
mod processes;
#[cfg(test)]
mod tests;
mod urls;
mod zones;

use std::collections::BTreeMap;

use ingestor::transformation::Transformations;

pub(super) use batches::{BatchBooks, Place};
pub(super) use generation::Entry;
pub use generation::State;
pub(super) use generations::{Frontier, GenerationBooks};
pub(super) use lanes::{Lane, LaneBooks};
pub(super) use processes::{Balance, Triple};
pub(super) use urls::{Certainty, Origin, UrlBooks, UrlSet};
pub(super) use zones::ZoneBooks;

/// All that is counted from topics.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) generations: GenerationBooks,
    pub(super) batches: BatchBooks,
    pub(super) lanes: LaneBooks,
    pub(super) zones: ZoneBooks,
    pub(super) urls: UrlBooks,
    pub(super) certainty: Certainty,
    /// Up to where all was closed when this look's batches were not read yet.
    pub(super) frontier: Frontier,
}

impl Books {
    pub(super) fn new(
        partners: &[String],
        steps: &Transformations,
        certainty: Certainty,
        limit: usize,
    ) -> Self {
        let is_at_rest = certainty == Certainty::AtRest;
        Self {
            generations: GenerationBooks::default(),
            batches: BatchBooks::default(),
            lanes: LaneBooks::new(partners, is_at_rest),
            zones: ZoneBooks::default(),
            urls: UrlBooks::new(steps, certainty, limit),
            certainty,
            frontier: Frontier::default(),
        }
    }

    /// The log was read, and nothing behind it yet: what is closed by now has all its batches in the topic.
    pub(super) fn note_frontier(&mut self) {
        if let Some(frontier) = self.generations.frontier() {
            self.frontier = frontier;
        }
    }

    /// Compares URLs with batches: everything below the frontier, or, at rest, below what is committed.
    pub(super) fn settle_urls(&mut self, committed: &BTreeMap<i32, i64>) {
        let below = match self.certainty {
            Certainty::AtRest => committed,
            Certainty::Live => &self.frontier.offsets,
        };
        self.urls
            .settle(below, &self.judged_from(), &self.generations.live());
        let generations = &self.generations;
        self.urls.judge_strangers(|generation| {
            let entry = generations.entry(generation)?;
            let verdict = entry.verdict?;
            Some(Origin {
                starts: &entry.starts,
                holds_replays: entry.holds_replays,
                late: verdict.late,
            })
        });
    }

    /// Below these offsets input may have been consumed under generations whose batches are gone. A record that
    /// was not committed when a generation was opened was consumed under one of the two before it, or later.
    fn judged_from(&self) -> BTreeMap<i32, i64> {
        let Some(floor) = self.batches.floor() else {
            return BTreeMap::new();
        };
        let first = self.generations.entries().find(|(generation, entry, _)| {
            *generation > floor.saturating_add(2) && entry.opened_at_ms.is_some()
        });
        match first {
            Some((_, entry, _)) => {
                let starts = entry.starts.iter().map(|start| (start.partition, start.offset));
                starts.collect()
            }
            None => self
                .urls
                .ends()
                .keys()
                .map(|&partition| (partition, i64::MAX))
                .collect(),
        }
    }

    /// Lets go of what no later look asks for.
    pub(super) fn fold(&mut self) {
        let open = self.frontier.open;
        let batches = &self.batches;
        let remains = |generation, entry: &Entry| {
            entry.key_residue() > 0
                || (batches.is_whole(generation) && entry.batch_residue(batches.urls_of(generation)) > 0)
        };
        let remembered = self.generations.remembered(&self.frontier);
        let folded = self.generations.fold(open, remembered, remains);
        self.lanes.fold(&self.batches, open);
        let finished = self.lanes.finished_by_all();
        self.batches.fold(&finished, open, &folded);
        self.urls.fold(remembered, &self.frontier.offsets);
    }
}
