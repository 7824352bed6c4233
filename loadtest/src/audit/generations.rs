//! (C) and (D): what writers say, what the drain found, what stands in the topic.

use std::collections::BTreeMap;

use hint_schema::generation_event::{Generation, GenerationEvent};
use messagebus::KafkaArgs;
use rdkafka::Message;

use super::batches::BatchBooks;
use super::report::Report;
use crate::read_topic::read_topic;

/// The log of generations.
#[derive(Clone, Debug, Default)]
pub(super) struct GenerationBooks(BTreeMap<Generation, Entry>);

#[derive(Clone, Debug, Default)]
struct Entry {
    new_keys: u64,
    draining: u64,
    verdict: Option<Verdict>,
}

#[derive(Clone, Copy, Debug)]
struct Verdict {
    audited: bool,
    failed: bool,
    keys: u64,
    late: u64,
    merged: u64,
}

impl GenerationBooks {
    /// Reads the log. Blocks.
    pub(super) fn read(kafka: &KafkaArgs) -> anyhow::Result<Self> {
        let mut books = Self::default();
        read_topic(kafka, &kafka.topics().generations(), |record| {
            if let Some(Ok(event)) = record.payload().map(GenerationEvent::decode) {
                books.take(&event);
            }
            Ok(())
        })?;
        Ok(books)
    }

    fn take(&mut self, event: &GenerationEvent) {
        let Some(generation) = event.generation() else {
            return;
        };
        let entry = self.0.entry(generation).or_default();
        match event {
            GenerationEvent::Sealed(sealed) => entry.new_keys += sealed.new_keys,
            GenerationEvent::Draining(_) => entry.draining += 1,
            // The first verdict counts.
            GenerationEvent::Settled(settled) => {
                entry.verdict.get_or_insert(Verdict {
                    audited: settled.audited,
                    failed: false,
                    keys: settled.keys,
                    late: settled.late_keys,
                    merged: settled.merged_keys,
                });
            }
            GenerationEvent::Failed(failed) => {
                entry.verdict.get_or_insert(Verdict {
                    audited: false,
                    failed: true,
                    keys: failed.keys,
                    late: failed.late_keys,
                    merged: failed.merged_keys,
                });
            }
            _ => {}
        }
    }

    /// (C): in every audited generation the writers' new keys are the drained keys.
    pub(super) fn drained(&self, report: &mut Report) {
        let audited = || self.verdicts().filter(|(_, _, verdict)| verdict.audited);
        let new: u64 = audited().map(|(_, entry, _)| entry.new_keys).sum();
        let drained: u64 = audited().map(|(_, _, verdict)| verdict.keys).sum();
        report.equal("C", "new keys = drained keys, audited generations", new, drained);
        for (generation, entry, verdict) in
            audited().filter(|(_, entry, verdict)| entry.new_keys != verdict.keys)
        {
            let statement = format!("new keys = drained keys of generation {generation}");
            report.equal("C", statement, entry.new_keys, verdict.keys);
        }
    }

    /// (D): drained + late − merged is what stands in the topic. More may stand there after a takeover, and where a
    /// generation failed: a node that lost names after they were acknowledged and before they were removed takes
    /// them out of the count.
    pub(super) fn batched(&self, batches: &BatchBooks, report: &mut Report) {
        let (mut drained, mut batched) = (0, 0);
        for (generation, entry, verdict) in self.verdicts() {
            let found = verdict.keys + verdict.late - verdict.merged;
            let stands = batches.urls_of(generation);
            let balances = if entry.draining > 1 || verdict.failed {
                found <= stands
            } else {
                found == stands
            };
            if !balances {
                let statement =
                    format!("drained + late − merged = URLs in batches of generation {generation}");
                report.equal("D", statement, found, stands);
            }
            (drained, batched) = (drained + found, batched + stands);
        }
        let is_exact = self
            .verdicts()
            .all(|(_, entry, verdict)| entry.draining <= 1 && !verdict.failed);
        let statement = "drained + late − merged = URLs in batches";
        if is_exact {
            report.equal("D", statement, drained, batched);
        } else {
            let statement = format!("{statement} (≤ after a takeover or a loss)");
            report.at_most("D", statement, drained, batched);
        }
    }

    /// How many generations ended how.
    pub(super) fn summary(&self, report: &mut Report) {
        let count = |which: fn(&Verdict) -> bool| {
            self.verdicts().filter(|(_, _, verdict)| which(verdict)).count() as u64
        };
        report.generations.settled = count(|verdict| verdict.audited);
        report.generations.unaudited = count(|verdict| !verdict.audited && !verdict.failed);
        report.generations.failed = count(|verdict| verdict.failed);
    }

    fn verdicts(&self) -> impl Iterator<Item = (Generation, &Entry, Verdict)> {
        self.0
            .iter()
            .filter_map(|(generation, entry)| Some((*generation, entry, entry.verdict?)))
    }
}
