//! The log of generations, folded as the services fold it, and kept in numbers. Pure.

use std::collections::{BTreeMap, BTreeSet};

use generations::protocol::{Coverage, History};
use hint_schema::generation_event::{Generation, GenerationEvent, OffsetInterval};
use messagebus::Record;

use super::generation::{Entry, State};
use super::offsets::Offsets;

/// Closed generations that are kept one by one; older ones go into a total, unless something remains of them.
const KEPT: usize = 500;
/// Closed generations that are remembered URL by URL even if no seal asks for it.
const UNSEALED: Generation = 4;

/// The log.
#[derive(Debug, Default)]
pub(crate) struct GenerationBooks {
    history: History,
    entries: BTreeMap<Generation, Entry>,
    folded: BTreeMap<&'static str, u64>,
    folded_keys: Keys,
    offsets: Offsets,
    /// Batches were read since: verdicts that come now are judged by the next look.
    is_second_reading: bool,
    /// Records that are none of ours.
    pub(crate) unreadable: u64,
}

/// Both sides of (C), over audited generations.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Keys {
    pub(crate) new: u64,
    pub(crate) drained: u64,
}

/// Up to where all is closed: what was committed below has to stand in batches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frontier {
    /// The lowest generation that is not closed.
    pub(crate) open: Generation,
    /// Of each partition, where it was opened.
    pub(crate) offsets: BTreeMap<i32, i64>,
}

impl GenerationBooks {
    /// A look begins: what was told late by the last one counts now.
    pub(crate) fn begin_look(&mut self) {
        self.is_second_reading = false;
        self.entries.values_mut().for_each(|entry| entry.is_fresh = false);
    }

    /// From now on batches may be older than verdicts.
    pub(crate) fn begin_second_reading(&mut self) {
        self.is_second_reading = true;
    }

    /// Takes the next record of the log.
    pub(crate) fn take(&mut self, record: &Record<'_>) {
        if self.offsets.read(record.partition, record.offset).is_none() {
            return;
        }
        if record.payload.is_empty() {
            self.tombstone(&String::from_utf8_lossy(record.key.unwrap_or_default()));
            return;
        }
        match GenerationEvent::decode(record.payload) {
            Ok(event) => self.apply(&event),
            Err(_) => self.unreadable += 1,
        }
    }

    fn apply(&mut self, event: &GenerationEvent) {
        let Some(generation) = event.generation() else {
            self.history.apply(event);
            return;
        };
        // Asked before the verdict retires them.
        let unsealed = self.history.missing_seals(generation).len();
        self.history.apply(event);
        if let Some(history) = self.history.generation(generation) {
            let entry = self.entries.entry(generation).or_default();
            let was_judged = entry.verdict.is_some();
            entry.update(history, unsealed);
            entry.keys.insert(event.key());
            entry.is_fresh |= !was_judged && entry.verdict.is_some() && self.is_second_reading;
        }
        self.close();
    }

    fn tombstone(&mut self, key: &str) {
        let generation = key.split('/').nth(1).and_then(|number| number.parse().ok());
        if let Some(entry) = generation.and_then(|generation: Generation| self.entries.get_mut(&generation)) {
            entry.is_partial |= !entry.keys.contains(key);
        }
        self.history.tombstone(key);
    }

    /// Notes which generations have nothing left to do.
    fn close(&mut self) {
        let open: BTreeSet<Generation> = self
            .history
            .open_replays()
            .map(|(generation, _)| generation)
            .collect();
        for (generation, entry) in &mut self.entries {
            entry.is_closed = entry.verdict.is_some() && !open.contains(generation);
        }
    }

    /// The active generation.
    pub(crate) fn active(&self) -> Option<Generation> {
        self.history.active()
    }

    /// Up to where all is closed. An entry without its `Opened` is what a record leaves that was sent again after
    /// its generation was deleted from the log.
    pub(crate) fn frontier(&self) -> Option<Frontier> {
        let is_open = |entry: &Entry| entry.opened_at_ms.is_some() && !entry.is_closed;
        let (&open, entry) = self.entries.iter().find(|(_, entry)| is_open(entry))?;
        let starts = entry.starts.iter().map(|start| (start.partition, start.offset));
        Some(Frontier {
            open,
            offsets: starts.collect(),
        })
    }

    /// Where each offset was consumed live, as far as seals say: disjoint intervals, by the lowest generation.
    pub(crate) fn live(&self) -> BTreeMap<(i32, i64), (i64, Generation)> {
        let mut known = Coverage::default();
        let mut live = BTreeMap::new();
        for (&generation, entry) in &self.entries {
            for interval in &entry.live {
                for OffsetInterval { partition, from, to } in known.gaps(interval) {
                    live.insert((partition, from), (to, generation));
                }
                known.insert(*interval);
            }
        }
        live
    }

    /// The lowest generation that consumed a record above the frontier, as far as seals say: a commit may come
    /// several generations behind its answers. Where a writer crashed before sealing, a few generations back.
    pub(crate) fn remembered(&self, frontier: &Frontier) -> Generation {
        let is_above = |interval: &OffsetInterval| {
            let below = frontier.offsets.get(&interval.partition);
            below.is_none_or(|below| interval.to > *below)
        };
        let mut closed = self.entries.range(..frontier.open);
        let lowest = closed.find(|(_, entry)| entry.live.iter().any(is_above));
        let unsealed = frontier.open.saturating_sub(UNSEALED);
        lowest.map_or(unsealed, |(&lowest, _)| lowest.min(unsealed))
    }

    /// Every generation that is kept one by one.
    pub(crate) fn entries(&self) -> impl DoubleEndedIterator<Item = (Generation, &Entry, State)> {
        let active = self.active();
        self.entries
            .iter()
            .map(move |(&generation, entry)| (generation, entry, entry.state(active == Some(generation))))
    }

    /// One of them.
    pub(crate) fn entry(&self, generation: Generation) -> Option<&Entry> {
        self.entries.get(&generation)
    }

    /// Writers whose seal of a generation has not come yet.
    pub(crate) fn missing_seals(&self, generation: Generation) -> usize {
        self.history.missing_seals(generation).len()
    }

    /// Replays that are open, with the share of their range that was read again.
    pub(crate) fn replays(&self) -> BTreeMap<Generation, f64> {
        let length =
            |intervals: &[OffsetInterval]| intervals.iter().map(|part| part.to - part.from).sum::<i64>();
        let share = |(generation, range): (Generation, Coverage)| {
            let (wanted, read) = (range.intervals(), self.history.read_again(generation));
            let missing: i64 = wanted.iter().map(|interval| length(&read.gaps(interval))).sum();
            #[expect(clippy::cast_precision_loss, reason = "a share")]
            let done = 1.0 - missing as f64 / length(&wanted).max(1) as f64;
            (generation, done)
        };
        self.history.open_replays().map(share).collect()
    }

    /// How many generations ended in a state, those of the total included.
    pub(crate) fn count(&self, state: State) -> u64 {
        let kept = self.entries().filter(|(_, _, found)| *found == state).count() as u64;
        kept + self.folded.get(state.label()).copied().unwrap_or(0)
    }

    /// Both sides of (C), over audited generations, those of the total included.
    pub(crate) fn audited_keys(&self) -> Keys {
        let mut keys = self.folded_keys;
        for verdict_of in self.entries.values() {
            if let Some(verdict) = verdict_of.verdict.filter(|verdict| verdict.audited) {
                keys.new += if verdict_of.is_partial || verdict_of.opened_at_ms.is_none() {
                    verdict.keys
                } else {
                    verdict_of.new_keys
                };
                keys.drained += verdict.keys;
            }
        }
        keys
    }

    /// Lets go of what nobody asks for any more: intervals of generations below `remembered`, and the oldest closed generations
    /// of which nothing remains. Returns these.
    pub(crate) fn fold(
        &mut self,
        frontier: Generation,
        remembered: Generation,
        remains: impl Fn(Generation, &Entry) -> bool,
    ) -> Vec<Generation> {
        for (_, entry) in self.entries.range_mut(..remembered) {
            entry.live = Vec::new();
        }
        let excess = self.entries.len().saturating_sub(KEPT);
        let old: Vec<Generation> = self
            .entries
            .range(..frontier)
            .filter(|(generation, entry)| entry.is_closed && !remains(**generation, entry))
            .map(|(&generation, _)| generation)
            .take(excess)
            .collect();
        for generation in &old {
            let Some(entry) = self.entries.remove(generation) else {
                continue;
            };
            *self.folded.entry(entry.state(false).label()).or_default() += 1;
            if let Some(verdict) = entry.verdict.filter(|verdict| verdict.audited) {
                self.folded_keys.new += verdict.keys;
                self.folded_keys.drained += verdict.keys;
            }
        }
        old
    }

    /// Generations that are kept one by one.
    pub(crate) fn kept(&self) -> usize {
        self.entries.len()
    }
}
