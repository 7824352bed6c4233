//! What stands in the topic of batches.

use std::collections::{BTreeMap, HashSet};

use anyhow::Context;
use hint_schema::HintBatch;
use hint_schema::generation_event::Generation;
use messagebus::KafkaArgs;
use rdkafka::Message;

use super::end_to_end::UrlSet;
use crate::read_topic::read_topic;

/// Every batch; one that was sent again counts once.
#[derive(Clone, Debug, Default)]
pub(super) struct BatchBooks {
    /// Messages, batches sent again included.
    pub(super) messages: u64,
    /// URLs of different batches.
    pub(super) urls: u64,
    /// Every URL that stands in one.
    pub(super) known: UrlSet,
    generations: BTreeMap<Generation, GenerationBatches>,
}

#[derive(Clone, Debug, Default)]
struct GenerationBatches {
    urls: u64,
    hosts: HashSet<String>,
}

impl BatchBooks {
    /// Reads the topic. Blocks.
    pub(super) fn read(kafka: &KafkaArgs) -> anyhow::Result<Self> {
        let mut books = Self::default();
        let mut seen = HashSet::new();
        let topic = kafka.topics().batches();
        read_topic(kafka, &topic, |record| {
            books.messages += 1;
            let batch = HintBatch::decode(record.payload().unwrap_or_default());
            let batch =
                batch.with_context(|| format!("{topic}[{}]@{}", record.partition(), record.offset()))?;
            if !seen.insert(batch.id) {
                return Ok(());
            }
            let urls = batch.url_count() as u64;
            books.urls += urls;
            let generation = books.generations.entry(batch.generation).or_default();
            generation.urls += urls;
            for host in batch.hosts {
                host.urls.iter().for_each(|url| books.known.insert(url));
                generation.hosts.insert(host.host);
            }
            Ok(())
        })?;
        Ok(books)
    }

    pub(super) fn urls_of(&self, generation: Generation) -> u64 {
        self.generations
            .get(&generation)
            .map_or(0, |batches| batches.urls)
    }

    pub(super) fn hosts_of(&self, generation: Generation) -> u64 {
        self.generations
            .get(&generation)
            .map_or(0, |batches| batches.hosts.len() as u64)
    }
}
