//! The writers a flipper waits for: every incarnation that sent a heartbeat and was not retired since.

use std::collections::BTreeMap;

use hint_schema::generation_event::{Generation, Heartbeat, Incarnation};

/// One start of one writer.
pub(super) type WriterIncarnation = (String, Incarnation);

/// What the log says about one incarnation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Entry {
    first_generation: Generation,
    /// The generation that was active where its last heartbeat stands in the log.
    heard_under: Generation,
    retired: Option<Retired>,
}

/// Why an incarnation is not waited for any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Retired {
    /// It sealed for good.
    Left,
    /// This generation's barrier passed without its seal. Its lease had lapsed by then; until that it may have
    /// written under the next generation as well.
    Silent(Generation),
}

/// Every incarnation that the log knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Roster {
    entries: BTreeMap<WriterIncarnation, Entry>,
}

impl Roster {
    /// A heartbeat enlists its writer, also one that was retired; `active` is the generation at its place in the
    /// log.
    pub(crate) fn heartbeat(&mut self, heartbeat: &Heartbeat, active: Generation) {
        let entry = Entry {
            first_generation: heartbeat.first_generation,
            heard_under: active,
            retired: None,
        };
        self.entries
            .insert((heartbeat.writer.clone(), heartbeat.incarnation), entry);
    }

    /// The incarnation left: it is not waited for again until it sends another heartbeat.
    pub(crate) fn retire(&mut self, writer: &WriterIncarnation) {
        if let Some(entry) = self.entries.get_mut(writer) {
            entry.retired = Some(Retired::Left);
        }
    }

    /// As [`Self::retire`], for one that let barrier(`generation`) pass without its seal. One that was heard behind
    /// the next `Opened` stays: it may hold a lease for the next generation while its seal is still under way (I2).
    pub(crate) fn retire_silent(&mut self, writer: &WriterIncarnation, generation: Generation) {
        if let Some(entry) = self.entries.get_mut(writer)
            && entry.heard_under <= generation
        {
            entry.retired = Some(Retired::Silent(generation));
        }
    }

    /// A tombstoned heartbeat. One that was enlisted again meanwhile stays: its heartbeat and the tombstone
    /// crossed, and the topic's `min.compaction.lag.ms` keeps that heartbeat readable while its lease lasts.
    pub(crate) fn forget(&mut self, writer: &WriterIncarnation) {
        if self
            .entries
            .get(writer)
            .is_some_and(|entry| entry.retired.is_some())
        {
            self.entries.remove(writer);
        }
    }

    /// The incarnations that could have written under `generation`.
    pub(crate) fn writers_of(&self, generation: Generation) -> impl Iterator<Item = &WriterIncarnation> {
        self.entries
            .iter()
            .filter(move |(_, entry)| entry.retired.is_none() && entry.first_generation <= generation)
            .map(|(writer, _)| writer)
    }

    /// The incarnations that nobody waits for at barrier(`generation`), though they may have written under it:
    /// those that were silent at the barrier before.
    pub(crate) fn silent_before(&self, generation: Generation) -> impl Iterator<Item = &WriterIncarnation> {
        self.entries
            .iter()
            .filter(move |(_, entry)| {
                matches!(entry.retired, Some(Retired::Silent(silent)) if silent + 1 >= generation)
            })
            .map(|(writer, _)| writer)
    }

    /// The incarnations that nobody waits for any more and no books ask for, given which generations are judged.
    pub(crate) fn forgettable(
        &self,
        is_judged: impl Fn(Generation) -> bool,
    ) -> impl Iterator<Item = &WriterIncarnation> {
        self.entries
            .iter()
            .filter(move |(_, entry)| match entry.retired {
                None => false,
                Some(Retired::Left) => true,
                Some(Retired::Silent(silent)) => is_judged(silent + 1),
            })
            .map(|(writer, _)| writer)
    }

    /// How many incarnations are waited for.
    pub(crate) fn len(&self) -> usize {
        self.entries
            .values()
            .filter(|entry| entry.retired.is_none())
            .count()
    }
}
