//! What stands in the topic of batches, in numbers. Pure.

use std::collections::{BTreeMap, HashSet, VecDeque};

use generations::name_hash;
use hint_schema::generation_event::Generation;
use hint_schema::{BatchId, HintBatch};
use messagebus::Record;

use super::offsets::Offsets;

/// Ids of batches that are remembered when no lane waits for them any more.
const KNOWN_IDS: usize = 200_000;

/// A place in a topic.
pub(crate) type Place = (i32, i64);

/// Every batch; one that was sent again counts once.
#[derive(Debug, Default)]
pub(crate) struct BatchBooks {
    offsets: Offsets,
    /// Messages that were read, batches sent again included.
    pub(crate) messages: u64,
    /// Of these, byte-identical batches that stood there before.
    pub(crate) resent: u64,
    /// Where something stands that is no batch.
    pub(crate) unreadable: Vec<Place>,
    /// URLs of different batches.
    pub(crate) urls: u64,
    generations: BTreeMap<Generation, GenerationBatches>,
    /// Those that some lane has not finished.
    open: BTreeMap<Place, OpenBatch>,
    ids: Ids,
    /// Generations up to it may have had batches that nobody can read any more.
    floor: Option<Generation>,
}

/// The batches of one generation.
#[derive(Clone, Debug, Default)]
pub(crate) struct GenerationBatches {
    pub(crate) batches: u64,
    pub(crate) urls: u64,
    hosts: HashSet<u128>,
}

/// A batch that lanes work on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenBatch {
    pub(crate) id: BatchId,
    pub(crate) urls: u64,
    /// Of its hosts, with how many URLs each.
    pub(crate) shape: u128,
    /// Its Kafka timestamp, Unix milliseconds.
    pub(crate) timestamp_ms: i64,
}

/// Ids that were read: all of open batches, the latest of the others.
#[derive(Debug, Default)]
struct Ids {
    known: HashSet<BatchId>,
    order: VecDeque<BatchId>,
    /// Some were forgotten, or never read.
    is_partial: bool,
}

/// What differs wherever a host or its number of URLs does, in any order.
pub(super) fn shape(hosts: impl IntoIterator<Item = (u128, u64)>) -> u128 {
    let of_host = |(host, urls): (u128, u64)| name_hash(format!("{host:x}/{urls}").as_bytes());
    hosts.into_iter().map(of_host).fold(0, u128::wrapping_add)
}

impl BatchBooks {
    /// Takes the next record; returns its batch unless it stood there before.
    pub(crate) fn take(&mut self, record: &Record<'_>) -> Option<HintBatch> {
        let gone = self.offsets.read(record.partition, record.offset)?;
        self.messages += 1;
        let place = (record.partition, record.offset);
        let Ok(batch) = HintBatch::decode(record.payload) else {
            self.unreadable.push(place);
            return None;
        };
        if gone > 0 {
            self.gone_through(batch.generation);
        }
        if !self.ids.known.insert(batch.id) {
            self.resent += 1;
            return None;
        }
        let urls = batch.url_count() as u64;
        self.urls += urls;
        let generation = self.generations.entry(batch.generation).or_default();
        generation.batches += 1;
        generation.urls += urls;
        let hosts = batch.hosts.iter();
        let hosts: Vec<(u128, u64)> = hosts
            .map(|host| (name_hash(host.host.as_bytes()), host.urls.len() as u64))
            .collect();
        generation.hosts.extend(hosts.iter().map(|(host, _)| *host));
        let open = OpenBatch {
            id: batch.id,
            urls,
            shape: shape(hosts),
            timestamp_ms: record.timestamp_ms,
        };
        self.open.insert(place, open);
        Some(batch)
    }

    /// Notes where a partition ends while `active` is the active generation.
    pub(crate) fn ended(&mut self, partition: i32, end: i64, active: Option<Generation>) {
        if self.offsets.ended(partition, end) > 0 {
            self.gone_through(active.unwrap_or(Generation::MAX));
        }
    }

    /// Retention removed batches in front of one of this generation. The next generation's may be among them
    /// where a flipper that was frozen went on later.
    fn gone_through(&mut self, generation: Generation) {
        self.floor = self.floor.max(Some(generation.saturating_add(1)));
        self.ids.is_partial = true;
    }

    /// Whether all batches of a generation were read.
    pub(crate) fn is_whole(&self, generation: Generation) -> bool {
        self.floor.is_none_or(|floor| generation > floor)
    }

    /// The generation above which all batches were read.
    pub(crate) fn floor(&self) -> Option<Generation> {
        self.floor
    }

    /// Those of one generation.
    pub(crate) fn of(&self, generation: Generation) -> Option<&GenerationBatches> {
        self.generations.get(&generation)
    }

    /// Every generation that batches name.
    pub(crate) fn generations(&self) -> impl Iterator<Item = (Generation, &GenerationBatches)> {
        self.generations
            .iter()
            .map(|(&generation, batches)| (generation, batches))
    }

    /// URLs of a generation.
    pub(crate) fn urls_of(&self, generation: Generation) -> u64 {
        self.of(generation).map_or(0, |batches| batches.urls)
    }

    /// Open batches of one partition from an offset to another.
    pub(crate) fn open(
        &self,
        partition: i32,
        from: i64,
        to: i64,
    ) -> impl Iterator<Item = (Place, OpenBatch)> {
        let range = (partition, from)..(partition, to.max(from));
        self.open.range(range).map(|(&place, &batch)| (place, batch))
    }

    /// Whether a batch of that id was read, or may have been.
    pub(crate) fn may_know(&self, id: BatchId) -> bool {
        self.ids.is_partial || self.ids.known.contains(&id)
    }

    /// Lets go of the batches below these offsets, which every lane has finished, and of closed generations.
    pub(crate) fn fold(&mut self, finished: &BTreeMap<i32, i64>, closed: Generation, folded: &[Generation]) {
        self.open.retain(|&(partition, offset), batch| {
            let is_open = finished.get(&partition).is_none_or(|&end| offset >= end);
            if !is_open {
                self.ids.order.push_back(batch.id);
            }
            is_open
        });
        while self.ids.order.len() > KNOWN_IDS
            && let Some(oldest) = self.ids.order.pop_front()
        {
            self.ids.known.remove(&oldest);
            self.ids.is_partial = true;
        }
        for generation in folded {
            self.generations.remove(generation);
        }
        for (_, batches) in self.generations.range_mut(..closed) {
            batches.hosts = HashSet::new();
        }
    }

    /// Batches that some lane has not finished.
    pub(crate) fn kept(&self) -> usize {
        self.open.len()
    }

    /// Where each partition was read to.
    pub(crate) fn ends(&self) -> &BTreeMap<i32, i64> {
        self.offsets.ends()
    }
}

impl GenerationBatches {
    /// Different hosts; 0 once nobody asks any more.
    pub(crate) fn host_count(&self) -> usize {
        self.hosts.len()
    }
}
