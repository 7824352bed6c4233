//! Topics made by hand, and what one look at them says.

use std::collections::{BTreeMap, BTreeSet};

use hint_schema::cache_miss::CacheMiss;
use hint_schema::generation_event::{
    Draining, Failed, FailedReason, Generation, GenerationEvent, Incarnation, OffsetInterval, Opened,
    PartitionOffset, Replayed, Sealed, Settled,
};
use hint_schema::{BatchId, HintBatch, HostHints, Receipt, Undeliverable, Zone, ZoneHost};
use messagebus::Record;

use super::super::{Books, Certainty};
use crate::audit::report::{Evidence, Report, judge};
use crate::audit::topic::Ends;

pub(super) const HOST: &str = "www.example.com";
pub(super) const OTHER_HOST: &str = "other.example.com";
pub(super) const ME: Incarnation = Incarnation(1);
pub(super) const OTHER: Incarnation = Incarnation(2);
/// When records were written: long after zones changed.
pub(super) const NOW_MS: i64 = 1_000_000;

/// Every topic, as far as it was written, and the books of an audit that reads along.
pub(super) struct Topics {
    pub(super) books: Books,
    log: i64,
    pub(super) batches: i64,
    input: i64,
    receipts: i64,
    undeliverable: i64,
    zones: i64,
    /// What stands in the topic of batches.
    pub(super) stored: BTreeMap<i64, HintBatch>,
    /// What retention left of it.
    pub(super) batches_from: i64,
}

impl Topics {
    /// A zone has opted in long ago, and generation 0 is open.
    pub(super) fn new() -> Self {
        Self::with_limit(1_000)
    }

    pub(super) fn with_limit(limit: usize) -> Self {
        let steps = "opt_in|policy|canonical|host".parse().unwrap();
        let mut topics = Self {
            books: Books::new(&["north".to_owned()], &steps, Certainty::Live, limit),
            log: 0,
            batches: 0,
            input: 0,
            receipts: 0,
            undeliverable: 0,
            zones: 0,
            stored: BTreeMap::new(),
            batches_from: 0,
        };
        topics.zone(true);
        topics.open(0, 0);
        topics
    }

    pub(super) fn event(&mut self, event: &GenerationEvent) {
        self.put(&event.key(), &event.encode());
    }

    pub(super) fn tombstone(&mut self, key: &str) {
        self.put(key, &[]);
    }

    fn put(&mut self, key: &str, payload: &[u8]) {
        let record = record(0, self.log, NOW_MS, key.as_bytes(), payload);
        self.books.generations.take(&record);
        self.log += 1;
    }

    /// Compaction has removed records of the log.
    pub(super) fn compact_log(&mut self, records: i64) {
        self.log += records;
    }

    /// Opened when `committed` of the only partition was committed.
    pub(super) fn open(&mut self, generation: Generation, committed: i64) {
        self.event(&opened(generation, committed));
    }

    pub(super) fn seal(&mut self, generation: Generation, new_keys: u64, live: (i64, i64)) {
        self.event(&sealed(generation, new_keys, live));
    }

    pub(super) fn drain(&mut self, generation: Generation, flipper: Incarnation) {
        self.event(&GenerationEvent::Draining(Draining { generation, flipper }));
    }

    pub(super) fn settle(&mut self, generation: Generation, keys: u64, audited: bool) {
        self.event(&settled(generation, keys, audited));
    }

    /// Opened, sealed, drained and settled, in exact agreement.
    pub(super) fn close(&mut self, generation: Generation, keys: u64, live: (i64, i64)) {
        self.seal(generation, keys, live);
        self.drain(generation, ME);
        self.settle(generation, keys, true);
    }

    pub(super) fn fail(
        &mut self,
        generation: Generation,
        keys: u64,
        reason: FailedReason,
        range: (i64, i64),
    ) {
        self.event(&GenerationEvent::Failed(Failed {
            generation,
            flipper: ME,
            reason,
            range: vec![interval(range)],
            keys,
            batches: 0,
            late_keys: 0,
            merged_keys: 0,
        }));
    }

    pub(super) fn replayed(&mut self, generation: Generation) {
        self.event(&GenerationEvent::Replayed(Replayed {
            generation,
            flipper: ME,
        }));
    }

    /// A batch of these paths, of partition 0.
    pub(super) fn batch(&mut self, id: u128, generation: Generation, paths: &[&str]) -> HintBatch {
        let batch = batch(id, generation, paths);
        self.batch_again(&batch);
        batch
    }

    pub(super) fn batch_again(&mut self, batch: &HintBatch) {
        let payload = batch.encode();
        let record = record(0, self.batches, NOW_MS, b"0", &payload);
        if let Some(batch) = self.books.batches.take(&record) {
            self.books.urls.batch(&batch);
        }
        self.stored.insert(self.batches, batch.clone());
        self.batches += 1;
    }

    /// Retention has removed batches that nobody read.
    pub(super) fn lose_batches(&mut self, batches: i64) {
        self.batches += batches;
        self.batches_from = self.batches;
    }

    /// A cache miss at the edge, in partition 0.
    pub(super) fn miss(&mut self, path: &str) {
        self.miss_at(0, self.input, path);
        self.input += 1;
    }

    /// A cache miss of any partition.
    pub(super) fn miss_at(&mut self, partition: i32, offset: i64, path: &str) {
        let miss = CacheMiss {
            timestamp_ms: 1,
            url: &format!("https://{HOST}{path}"),
            zone_id: 1,
            origin_status: 200,
            content_type: "text/html",
            ..CacheMiss::default()
        };
        let payload = miss.encode();
        let record = record(partition, offset, NOW_MS, HOST.as_bytes(), &payload);
        self.books.urls.record(&record, &self.books.zones);
    }

    pub(super) fn receipt(&mut self, batch: u128, count: u32) {
        self.receipt_of(batch, count, 0);
    }

    /// A receipt of a request that took URLs of several batches; it names the newest.
    pub(super) fn receipt_of(&mut self, batch: u128, count: u32, merged: u32) {
        self.receive(HOST, batch, count, merged);
    }

    pub(super) fn receipt_at(&mut self, host: &str, batch: u128, count: u32) {
        self.receive(host, batch, count, 0);
    }

    fn receive(&mut self, host: &str, batch: u128, count: u32, merged: u32) {
        let receipt = Receipt {
            partner: "north".to_owned(),
            host: host.to_owned(),
            count,
            status: 200,
            generation: 0,
            batch_id: BatchId::from(batch),
            at_ms: 1,
            merged,
        };
        let payload = receipt.encode();
        let record = record(0, self.receipts, NOW_MS, b"", &payload);
        self.books.lanes.receipt(&record);
        self.receipts += 1;
    }

    /// Retention has removed receipts.
    pub(super) fn lose_receipts(&mut self, receipts: i64) {
        self.receipts += receipts;
    }

    pub(super) fn give_up(&mut self, batch: u128, paths: &[&str]) {
        let given_up = Undeliverable {
            partner: "north".to_owned(),
            host: HOST.to_owned(),
            urls: paths.iter().map(|path| format!("https://{HOST}{path}")).collect(),
            reason: "unprocessable".to_owned(),
            batch_id: BatchId::from(batch),
            ..Undeliverable::default()
        };
        let payload = given_up.encode();
        let record = record(0, self.undeliverable, NOW_MS, b"", &payload);
        self.books.lanes.undeliverable(&record);
        self.undeliverable += 1;
    }

    /// The zone opts in or out, long before the records.
    pub(super) fn zone(&mut self, enabled: bool) {
        self.zone_at(enabled, 0);
    }

    pub(super) fn zone_at(&mut self, enabled: bool, at_ms: i64) {
        let host = |name: &str| ZoneHost {
            name: name.to_owned(),
            ..ZoneHost::default()
        };
        let zone = Zone {
            id: 1,
            enabled,
            hosts: vec![host(HOST), host(OTHER_HOST)],
        };
        self.books
            .zones
            .take(&record(0, self.zones, at_ms, b"1", &zone.encode()));
        self.zones += 1;
    }

    /// Ends the look in which everything so far was read; the lane has committed so many batches.
    pub(super) fn look(&mut self, committed: i64) -> Report {
        let books = &mut self.books;
        books.note_frontier();
        books.lanes.committed("north", &[(0, Some(committed))]);
        books.batches.ended(0, self.batches, books.generations.active());
        books.lanes.judge(&books.batches);
        for (partition, offsets) in books.lanes.suspects() {
            for offset in offsets {
                let batch = self.stored.get(&offset);
                books.lanes.explain((partition, offset), batch, &books.zones);
            }
        }
        let outcomes_of_nothing = books.lanes.outcomes_of_nothing(&books.batches);
        books.settle_urls(&BTreeMap::new());
        let ends = Ends {
            low: self.batches_from,
            high: self.batches,
        };
        let report = judge(&Evidence {
            at_ms: 0,
            books,
            outcomes_of_nothing,
            ingestors: Vec::new(),
            ingest_group: String::new(),
            left_alone: BTreeSet::new(),
            batch_ends: BTreeMap::from([(0, ends)]),
            logs: Vec::new(),
            silent: Vec::new(),
            working: None,
        });
        books.fold();
        books.generations.begin_look();
        report
    }
}

fn record<'a>(
    partition: i32,
    offset: i64,
    timestamp_ms: i64,
    key: &'a [u8],
    payload: &'a [u8],
) -> Record<'a> {
    Record {
        partition,
        offset,
        timestamp_ms,
        key: Some(key),
        payload,
    }
}

fn interval((from, to): (i64, i64)) -> OffsetInterval {
    OffsetInterval {
        partition: 0,
        from,
        to,
    }
}

pub(super) fn opened(generation: Generation, committed: i64) -> GenerationEvent {
    GenerationEvent::Opened(Opened {
        generation,
        flipper: ME,
        opened_at_ms: 7,
        closed_through: None,
        start_offsets: vec![PartitionOffset {
            partition: 0,
            offset: committed,
        }],
        nodes: Vec::new(),
    })
}

pub(super) fn sealed(generation: Generation, new_keys: u64, live: (i64, i64)) -> GenerationEvent {
    GenerationEvent::Sealed(Sealed {
        generation,
        writer: "writer".to_owned(),
        incarnation: ME,
        new_keys,
        new_hash: 0,
        repeated_keys: 0,
        unknown: 0,
        live: vec![interval(live)],
        replayed: Vec::new(),
        is_final: false,
    })
}

pub(super) fn settled(generation: Generation, keys: u64, audited: bool) -> GenerationEvent {
    GenerationEvent::Settled(Settled {
        generation,
        flipper: ME,
        keys,
        batches: 1,
        late_keys: 0,
        merged_keys: 0,
        audited,
    })
}

pub(super) fn batch(id: u128, generation: Generation, paths: &[&str]) -> HintBatch {
    HintBatch {
        id: BatchId::from(id),
        generation,
        created_at_ms: 1,
        hosts: vec![HostHints {
            host: HOST.to_owned(),
            oldest_event_ms: 1,
            urls: paths.iter().map(|path| format!("https://{HOST}{path}")).collect(),
        }],
    }
}
