//! The log of generations, folded in its order: what was opened, sealed, drained and judged.

use std::collections::{BTreeMap, BTreeSet};

use hint_schema::generation_event::{
    Failed, Generation, GenerationEvent, Heartbeat, Incarnation, Opened, ReplayAsked, Sealed, Settled,
};

use super::admission::Admission;
use super::coverage::Coverage;
use super::roster::{Roster, WriterIncarnation};

/// The verdict on a generation; the first one in the log counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Every hint of it is durable in Kafka and gone from Redis.
    Settled(Settled),
    /// Part of it may be lost; its input is read again.
    Failed(Failed),
}

/// What the log says of one generation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct GenerationHistory {
    /// The first `Opened`, which alone counts.
    pub opened: Option<Opened>,
    /// What each writer wrote under it.
    pub seals: BTreeMap<WriterIncarnation, Sealed>,
    /// The flippers that began to drain it.
    pub draining: BTreeSet<Incarnation>,
    /// The first verdict.
    pub verdict: Option<Verdict>,
    /// Replays that on-call asked for.
    pub asked: Vec<ReplayAsked>,
    /// Every replay of it is done.
    pub replayed: bool,
    /// The log's keys of this generation, tombstoned once it is closed.
    keys: BTreeSet<String>,
}

impl GenerationHistory {
    /// What has to be read again for this generation, if anything still has.
    fn replay_range(&self) -> Option<Coverage> {
        let failed = match &self.verdict {
            Some(Verdict::Failed(failed)) => Some(&failed.range),
            Some(Verdict::Settled(_)) | None => None,
        };
        if self.replayed || (failed.is_none() && self.asked.is_empty()) {
            return None;
        }
        let asked = self.asked.iter().map(|asked| &asked.range);
        Some(failed.into_iter().chain(asked).flatten().copied().collect())
    }

    /// Nothing is left to do for it. One without an `Opened` is what a record leaves that was re-sent after
    /// its generation had been tombstoned.
    fn is_closed(&self) -> bool {
        (self.verdict.is_some() || self.opened.is_none()) && self.replay_range().is_none()
    }
}

/// The fold of the whole log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct History {
    admission: Admission,
    generations: BTreeMap<Generation, GenerationHistory>,
    roster: Roster,
}

impl History {
    /// Takes in the next record of the log. Records of generations that are closed and tombstoned, and
    /// second `Opened`s and verdicts, change nothing but the list of keys to tombstone.
    pub fn apply(&mut self, event: &GenerationEvent) {
        match event {
            GenerationEvent::Heartbeat(heartbeat) => self.heartbeat(heartbeat),
            GenerationEvent::Opened(opened) => self.opened(opened),
            GenerationEvent::Sealed(sealed) => self.sealed(sealed),
            GenerationEvent::Draining(draining) => {
                self.entry(draining.generation, event)
                    .draining
                    .insert(draining.flipper);
            }
            GenerationEvent::Settled(settled) => {
                self.judged(settled.generation, event, Verdict::Settled(settled.clone()));
            }
            GenerationEvent::Failed(failed) => {
                self.judged(failed.generation, event, Verdict::Failed(failed.clone()));
            }
            GenerationEvent::ReplayAsked(asked) => {
                let entry = self.entry(asked.generation, event);
                entry.asked.push(asked.clone());
                entry.replayed = false;
            }
            GenerationEvent::Replayed(replayed) => self.entry(replayed.generation, event).replayed = true,
        }
    }

    /// Takes in a tombstone.
    pub fn tombstone(&mut self, key: &str) {
        for generation in self.generations.values_mut() {
            generation.keys.remove(key);
        }
        let closed = |entry: &GenerationHistory| entry.is_closed() && entry.keys.is_empty();
        self.generations.retain(|_, entry| !closed(entry));
        let mut parts = key.split('/');
        if let (Some("writer"), Some(writer), Some(Ok(incarnation))) = (
            parts.next(),
            parts.next(),
            parts.next().map(|text| u64::from_str_radix(text, 16)),
        ) {
            self.roster.forget(&(writer.to_owned(), Incarnation(incarnation)));
        }
    }

    fn entry(&mut self, generation: Generation, event: &GenerationEvent) -> &mut GenerationHistory {
        let entry = self.generations.entry(generation).or_default();
        entry.keys.insert(event.key());
        entry
    }

    fn heartbeat(&mut self, heartbeat: &Heartbeat) {
        let active = self.active().unwrap_or(0);
        self.roster.heartbeat(heartbeat, active);
    }

    fn opened(&mut self, opened: &Opened) {
        let event = GenerationEvent::Opened(opened.clone());
        if self.admission.admit(opened) {
            self.entry(opened.generation, &event).opened = Some(opened.clone());
            if let Some(closed) = opened.closed_through {
                self.generations
                    .retain(|&generation, entry| generation > closed || !entry.is_closed());
            }
        } else if let Some(entry) = self.generations.get_mut(&opened.generation) {
            entry.keys.insert(event.key());
        }
    }

    fn sealed(&mut self, sealed: &Sealed) {
        if self
            .admission
            .closed_through()
            .is_some_and(|closed| sealed.generation <= closed)
        {
            return;
        }
        let writer = (sealed.writer.clone(), sealed.incarnation);
        if sealed.is_final {
            self.roster.retire(&writer);
        }
        let event = GenerationEvent::Sealed(sealed.clone());
        self.entry(sealed.generation, &event)
            .seals
            .insert(writer, sealed.clone());
    }

    fn judged(&mut self, generation: Generation, event: &GenerationEvent, verdict: Verdict) {
        if self
            .admission
            .closed_through()
            .is_some_and(|closed| generation <= closed)
        {
            return;
        }
        let entry = self.entry(generation, event);
        entry.verdict.get_or_insert(verdict);
        // A verdict stands behind barrier(g): who had not sealed g by then is waited for no more. Without its
        // `Opened` it is being tombstoned, and seals may be gone already.
        if entry.opened.is_some() {
            self.retire_unsealed(generation);
        }
    }

    /// Retires every incarnation that passed barrier(g) without its seal and was not heard of since.
    pub(crate) fn retire_unsealed(&mut self, generation: Generation) {
        for writer in self.missing_seals(generation) {
            self.roster.retire_silent(&writer, generation);
        }
    }

    /// The active generation.
    #[must_use]
    pub fn active(&self) -> Option<Generation> {
        self.admission.highest()
    }

    /// Every generation up to this one is closed and its keys are tombstoned.
    #[must_use]
    pub fn closed_through(&self) -> Option<Generation> {
        self.admission.closed_through()
    }

    /// What the log says of a generation.
    #[must_use]
    pub fn generation(&self, generation: Generation) -> Option<&GenerationHistory> {
        self.generations.get(&generation)
    }

    /// Every generation that the log still speaks of, the lowest first.
    pub fn generations(&self) -> impl Iterator<Item = (Generation, &GenerationHistory)> {
        self.generations
            .iter()
            .map(|(&generation, entry)| (generation, entry))
    }

    /// The first verdict on a generation.
    #[must_use]
    pub fn verdict(&self, generation: Generation) -> Option<&Verdict> {
        self.generations.get(&generation)?.verdict.as_ref()
    }

    /// Whether the generation is behind us: judged, or so old that its `Opened` is gone.
    #[must_use]
    pub fn is_judged(&self, generation: Generation) -> bool {
        match self
            .generations
            .get(&generation)
            .filter(|entry| entry.opened.is_some())
        {
            Some(entry) => entry.verdict.is_some(),
            None => self.active().is_some_and(|active| generation < active),
        }
    }

    /// The writers whose seal of `generation` has not come yet.
    #[must_use]
    pub fn missing_seals(&self, generation: Generation) -> Vec<WriterIncarnation> {
        self.roster
            .writers_of(generation)
            .filter(|writer| !self.has_sealed(writer, generation))
            .cloned()
            .collect()
    }

    /// Whether every writer that may have written under `generation` has sealed it. The barrier waits for fewer:
    /// a writer that was silent at the one before holds no lease any more, but what it wrote is in no seal (I5).
    #[must_use]
    pub fn is_sealed_by_all(&self, generation: Generation) -> bool {
        let mut writers = self
            .roster
            .writers_of(generation)
            .chain(self.roster.silent_before(generation));
        writers.all(|writer| self.has_sealed(writer, generation))
    }

    fn has_sealed(&self, writer: &WriterIncarnation, generation: Generation) -> bool {
        self.generations
            .get(&generation)
            .is_some_and(|entry| entry.seals.contains_key(writer))
    }

    /// How many writers are waited for.
    #[must_use]
    pub fn writers(&self) -> usize {
        self.roster.len()
    }

    /// The replays that are not done, with what each has to read.
    pub fn open_replays(&self) -> impl Iterator<Item = (Generation, Coverage)> + '_ {
        self.generations
            .iter()
            .filter_map(|(&generation, entry)| Some((generation, entry.replay_range()?)))
    }

    /// Whether all that `generation` has to read again stands in settled generations above it.
    #[must_use]
    pub fn replay_is_covered(&self, generation: Generation) -> bool {
        let Some(range) = self
            .generations
            .get(&generation)
            .and_then(GenerationHistory::replay_range)
        else {
            return false;
        };
        let covered = self.read_since(generation, |verdict| matches!(verdict, Some(Verdict::Settled(_))));
        range
            .intervals()
            .iter()
            .all(|interval| covered.contains(interval))
    }

    /// What has been read of `generation`'s input since, into generations that are settled or may yet be: nobody
    /// has to read it again for now.
    #[must_use]
    pub fn read_again(&self, generation: Generation) -> Coverage {
        self.read_since(generation, |verdict| !matches!(verdict, Some(Verdict::Failed(_))))
    }

    /// Input consumed under generations above `generation` whose verdict counts.
    fn read_since(&self, generation: Generation, counts: fn(Option<&Verdict>) -> bool) -> Coverage {
        let mut covered = Coverage::default();
        for (_, later) in self.generations.range(generation.saturating_add(1)..) {
            if !counts(later.verdict.as_ref()) {
                continue; // Progress into a generation that fails is read again.
            }
            for seal in later.seals.values() {
                covered.extend(seal.live.iter().copied());
                let replayed = seal
                    .replayed
                    .iter()
                    .filter(|progress| progress.generation == generation);
                covered.extend(replayed.flat_map(|progress| progress.intervals.iter().copied()));
            }
        }
        covered
    }

    /// The keys that may be tombstoned: of every generation below the active one that is closed together
    /// with all below it, and of retired writers. `Opened` goes first: a generation without one is behind
    /// every reader, however much of the rest it still sees.
    #[must_use]
    pub fn garbage(&self) -> Vec<String> {
        let active = self.active().unwrap_or(0);
        let closed = self
            .generations
            .iter()
            .take_while(|(g, entry)| **g < active && entry.is_closed());
        let mut keys = Vec::new();
        for (_, entry) in closed {
            let (opened, rest): (Vec<_>, Vec<_>) = entry
                .keys
                .iter()
                .cloned()
                .partition(|key| key.starts_with("opened/"));
            keys.extend(opened);
            keys.extend(rest);
        }
        let retired = self.roster.forgettable(|generation| self.is_judged(generation));
        keys.extend(retired.map(|(writer, incarnation)| format!("writer/{writer}/{incarnation}")));
        keys
    }

    /// The highest generation below which all are closed, for the next `Opened`: only those whose
    /// tombstones this log has shown already.
    #[must_use]
    pub fn closed_below(&self) -> Option<Generation> {
        let known = self
            .generations
            .iter()
            .filter(|(_, entry)| entry.opened.is_some());
        let lowest_known = known.map(|(&generation, _)| generation).next()?;
        lowest_known.checked_sub(1).max(self.closed_through())
    }
}
