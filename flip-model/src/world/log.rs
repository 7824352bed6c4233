//! The log of generations: one record after the other, told to everybody who reads it.

use std::collections::BTreeMap;
use std::sync::Arc;

use generations::protocol::history::{History, Verdict};
use generations::protocol::{BooksPolicy, WriterEvent};
use hint_schema::generation_event::{GenerationEvent, Settled};

use super::{Promise, World};
use crate::scenario::Rule;

/// A record of the log; a tombstone carries its key alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Record {
    Event(Arc<GenerationEvent>),
    Tombstone(String),
}

/// The log as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Log {
    /// Its fold, by somebody who has read it all.
    pub(super) history: History,
    /// Its records, as long as somebody may still start and read them.
    pub(super) records: Vec<Record>,
}

impl World {
    /// Whether a process may start that reads the log from its beginning: also a writer that was told to stop does.
    pub(super) fn somebody_may_start(&self) -> bool {
        let (may, spent) = (self.scenario().faults, self.spent);
        spent.takeovers < may.takeovers
            || spent.crashes < may.crashes
            || spent.shutdowns < may.shutdowns
            || self.writers.iter().any(|writer| writer.leaving)
    }

    /// Whether generations can fail, so that writers have to know what is to be read again.
    pub(super) fn something_may_fail(&self) -> bool {
        let faults = self.scenario().faults;
        let in_vain = self.scenario().books == Some(BooksPolicy::Strict) || self.scenario().flippers > 1;
        in_vain || faults.losses + faults.silent + faults.cuts > 0
    }

    pub(super) fn append(&mut self, event: GenerationEvent) {
        let event = Arc::new(self.without_books(event));
        let before = self.log.history.active();
        let judged = event
            .generation()
            .is_some_and(|generation| self.log.history.verdict(generation).is_some());
        self.log.change().history.apply(&event);
        if self.log.history.active() < before {
            self.breaks(Promise::Monotone);
        }
        match &*event {
            GenerationEvent::Settled(settled) if !judged => self.check_settled(settled),
            GenerationEvent::Failed(failed) if !judged => self.check_failed(failed),
            GenerationEvent::Replayed(_) => self.facts.change().replayed = true,
            _ => {}
        }
        self.tell_writers(&event);
        self.record(Record::Event(event));
    }

    pub(super) fn append_tombstone(&mut self, key: String) {
        self.log.change().history.tombstone(&key);
        if self.something_may_fail() {
            for writer in &mut self.writers {
                writer.change().replays.tombstone(&key);
            }
        }
        self.record(Record::Tombstone(key));
    }

    fn record(&mut self, record: Record) {
        for index in 0..self.flippers.len() {
            if self.hears(index, &record) {
                self.flippers[index].change().inbox.push_back(record.clone());
            }
        }
        if self.somebody_may_start() {
            self.log.change().records.push(record);
        } else if !self.log.records.is_empty() {
            self.log.change().records.clear();
        }
    }

    /// Without books every generation is called settled, so that no replay heals what a row is to show.
    fn without_books(&self, event: GenerationEvent) -> GenerationEvent {
        match event {
            GenerationEvent::Failed(failed) if self.scenario().books.is_none() => {
                GenerationEvent::Settled(Settled {
                    generation: failed.generation,
                    flipper: failed.flipper,
                    keys: failed.keys,
                    batches: failed.batches,
                    late_keys: failed.late_keys,
                    merged_keys: failed.merged_keys,
                    audited: false,
                })
            }
            other => other,
        }
    }

    /// Writers are told what concerns them: openings, their own heartbeats, and what is to be read again. The
    /// last they know at once; to learn of it later only delays a replay.
    fn tell_writers(&mut self, event: &Arc<GenerationEvent>) {
        let renews = self.leaves_out(Rule::LeaseForLater);
        for index in 0..self.writers.len() {
            if self.something_may_fail() {
                self.writers[index].change().replays.read(event);
            }
            match &**event {
                GenerationEvent::Heartbeat(heartbeat)
                    if heartbeat.incarnation == self.writers[index].incarnation =>
                {
                    if renews {
                        self.tell_writer(index, WriterEvent::Control((**event).clone()));
                    } else {
                        self.writers[index].change().inbox.push_back(Arc::clone(event));
                    }
                }
                GenerationEvent::Opened(_) => {
                    self.writers[index].change().inbox.push_back(Arc::clone(event));
                }
                _ => {}
            }
        }
    }

    /// Whether a flipper is told of a record, in the rows that leave out what it would learn.
    fn hears(&self, flipper: usize, record: &Record) -> bool {
        let Record::Event(event) = record else { return true };
        match &**event {
            GenerationEvent::Heartbeat(heartbeat) => {
                let last = self.writers.last().map(|writer| writer.incarnation);
                !(self.leaves_out(Rule::Barrier)
                    || (self.leaves_out(Rule::EveryWriter) && Some(heartbeat.incarnation) == last))
            }
            GenerationEvent::Draining(draining) => {
                !self.leaves_out(Rule::SecondDraining)
                    || draining.flipper == self.flippers[flipper].incarnation
            }
            _ => true,
        }
    }

    /// What a flipper that starts now reads.
    pub(super) fn records_for(&self, flipper: usize, compacted: bool) -> Vec<Record> {
        let mut records = self.log.records.clone();
        if compacted {
            let mut last = BTreeMap::new();
            for (place, record) in records.iter().enumerate() {
                last.insert(self.key(record), place);
            }
            let is_last = |place: usize, record: &Record| last.get(&self.key(record)) == Some(&place);
            let mut place = 0;
            records.retain(|record| {
                place += 1;
                is_last(place - 1, record) && matches!(record, Record::Event(_))
            });
        }
        records.retain(|record| self.hears(flipper, record));
        records
    }

    fn key(&self, record: &Record) -> String {
        let key = match record {
            Record::Event(event) => event.key(),
            Record::Tombstone(key) => key.clone(),
        };
        match key.rsplit_once('/') {
            Some((bare, _)) if self.leaves_out(Rule::FirstOpened) && bare.starts_with("opened/") => {
                bare.to_owned()
            }
            _ => key,
        }
    }

    pub(super) fn is_settled(&self, generation: u64) -> bool {
        matches!(self.log.history.verdict(generation), Some(Verdict::Settled(_)))
    }
}
