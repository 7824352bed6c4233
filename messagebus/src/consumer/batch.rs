//! A batch of records in one piece of memory, so that neither polling nor reading allocates a record.

use std::sync::Arc;

use super::buffer::Buffer;
use crate::{ledger::Span, metrics::BusMetrics, trace::Origins};

/// Marks a record without a key.
const NO_KEY: u32 = u32::MAX;

/// A record as it was polled, borrowed from its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Partition it was read from.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its Kafka timestamp, Unix milliseconds; 0 when there is none.
    pub timestamp_ms: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; empty as well when there is none.
    pub payload: &'a [u8],
}

/// Records polled together, with one [`Span`] a partition. Counts against the consumer's buffer until dropped.
#[derive(Debug)]
pub struct RecordBatch {
    arena: Arena,
    spans: Vec<Span>,
    origins: Origins,
    buffer: Arc<Buffer>,
    counted: usize,
    /// Records of its spans: those that count as polled.
    polled: u32,
}

impl RecordBatch {
    /// Records of the arena that are of no span are dropped: their partition was taken away since they were polled.
    pub(super) fn new(mut arena: Arena, spans: Vec<Span>, origins: Origins, buffer: Arc<Buffer>) -> Self {
        arena.keep(|partition| spans.iter().any(|span| span.partition == partition));
        let counted = arena.capacity();
        let polled = spans.iter().map(|span| span.records).sum();
        buffer.grow(counted, polled);
        Self {
            arena,
            spans,
            origins,
            buffer,
            counted,
            polled,
        }
    }

    /// These records of one partition, in their order, as a batch that nobody polled: for tests of what takes batches.
    #[doc(hidden)]
    pub fn of(records: &[Record<'_>], metrics: &BusMetrics) -> Self {
        let mut arena = Arena::default();
        let kept = records.iter().filter(|record| arena.push(record)).count();
        let span = records.first().zip(records.last()).map(|(first, last)| Span {
            partition: first.partition,
            epoch: 0,
            from: first.offset,
            to: last.offset + 1,
            records: u32::try_from(kept).unwrap_or(u32::MAX),
            first_timestamp_ms: first.timestamp_ms,
        });
        let buffer = Buffer::new(usize::MAX, metrics.buffer_bytes(), None);
        let spans = span.into_iter().collect();
        Self::new(arena, spans, Origins::default(), Arc::new(buffer))
    }

    /// The records in the order they were polled: within a partition, by offset.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.arena.records()
    }

    /// The records of one of the batch's spans.
    pub fn records_of(&self, span: &Span) -> impl Iterator<Item = Record<'_>> {
        let partition = span.partition;
        self.records().filter(move |record| record.partition == partition)
    }

    /// One span for each partition that the batch has records of.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The traces that its records came from; none while no traces are sent.
    pub fn origins(&self) -> &Origins {
        &self.origins
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.arena.index.len()
    }

    /// Drops the records and keeps counting against the buffer: what was made of them takes their place.
    pub fn spend(&mut self) {
        self.buffer.recycle(std::mem::take(&mut self.arena));
        self.let_go(self.polled);
    }

    /// Says that so many of its records are nobody's to work on: they do not count as held any more.
    pub fn let_go(&mut self, records: u32) {
        let records = records.min(self.polled);
        self.polled -= records;
        self.buffer.shrink(0, records);
    }

    /// Whether there are no records; consumers send no such batch.
    pub fn is_empty(&self) -> bool {
        self.arena.index.is_empty()
    }
}

impl Drop for RecordBatch {
    fn drop(&mut self) {
        self.buffer.shrink(self.counted, self.polled);
        self.buffer.recycle(std::mem::take(&mut self.arena));
    }
}

/// Keys and values behind each other, and where each record's begin.
#[derive(Debug, Default)]
pub(super) struct Arena {
    bytes: Vec<u8>,
    index: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    offset: i64,
    timestamp_ms: i64,
    partition: i32,
    start: u32,
    key: u32,
    payload: u32,
}

impl Arena {
    /// Copies a record; false when the arena has no room for it, which takes four gigabytes.
    pub(super) fn push(&mut self, record: &Record<'_>) -> bool {
        let key = match record.key {
            Some(key) => u32::try_from(key.len()).ok().filter(|&length| length != NO_KEY),
            None => Some(NO_KEY),
        };
        let payload = u32::try_from(record.payload.len()).ok();
        let (Some(key), Some(payload), Ok(start)) = (key, payload, u32::try_from(self.bytes.len())) else {
            return false;
        };
        self.bytes.extend_from_slice(record.key.unwrap_or_default());
        self.bytes.extend_from_slice(record.payload);
        let (offset, timestamp_ms, partition) = (record.offset, record.timestamp_ms, record.partition);
        self.index.push(Entry {
            offset,
            timestamp_ms,
            partition,
            start,
            key,
            payload,
        });
        true
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Bytes in use.
    pub(super) fn used(&self) -> usize {
        self.bytes.len() + self.index.len() * size_of::<Entry>()
    }

    /// Bytes of memory held.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity() + self.index.capacity() * size_of::<Entry>()
    }

    /// A copy that holds no more memory than it needs.
    pub(super) fn compact(&self) -> Self {
        Self {
            bytes: self.bytes.clone(),
            index: self.index.clone(),
        }
    }

    /// Forgets the records of other partitions.
    fn keep(&mut self, is_kept: impl Fn(i32) -> bool) {
        self.index.retain(|entry| is_kept(entry.partition));
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.index.clear();
    }

    fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.index.iter().map(|entry| self.record(entry))
    }

    fn record(&self, entry: &Entry) -> Record<'_> {
        let start = entry.start as usize;
        let key_end = start
            + if entry.key == NO_KEY {
                0
            } else {
                entry.key as usize
            };
        let end = key_end + entry.payload as usize;
        let key = self.bytes.get(start..key_end).unwrap_or_default();
        Record {
            partition: entry.partition,
            offset: entry.offset,
            timestamp_ms: entry.timestamp_ms,
            key: (entry.key != NO_KEY).then_some(key),
            payload: self.bytes.get(key_end..end).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Gauge;

    use super::*;

    fn record<'a>(offset: i64, key: Option<&'a [u8]>, payload: &'a [u8]) -> Record<'a> {
        Record {
            partition: 3,
            offset,
            timestamp_ms: 7,
            key,
            payload,
        }
    }

    #[test]
    fn records_come_back_as_they_went_in() {
        let records = [
            record(0, Some(b"k"), b"value"),
            record(1, None, b""),
            record(5, Some(b""), b"x"),
        ];
        let mut arena = Arena::default();
        assert!(records.iter().all(|record| arena.push(record)));
        assert_eq!(arena.records().collect::<Vec<_>>(), records);
        assert_eq!(arena.compact().records().collect::<Vec<_>>(), records);
    }

    fn span(records: u32) -> Span {
        Span {
            partition: 3,
            epoch: 1,
            from: 0,
            to: i64::from(records),
            records,
            first_timestamp_ms: 7,
        }
    }

    #[test]
    fn records_without_a_span_are_not_handed_out() {
        let gauge = Gauge::new("buffer_bytes", "help").unwrap();
        let kept = record(0, None, b"kept");
        let revoked = Record {
            partition: 4,
            ..record(9, None, b"revoked")
        };
        let mut arena = Arena::default();
        assert!([revoked, kept, revoked].iter().all(|record| arena.push(record)));
        let buffer = Arc::new(Buffer::new(1 << 20, gauge, None));
        let batch = RecordBatch::new(arena, vec![span(1)], Origins::default(), buffer);
        assert_eq!(batch.records().collect::<Vec<_>>(), [kept]);
    }

    #[test]
    fn a_batch_counts_until_it_is_dropped() {
        let gauge = |name| Gauge::new(name, "help").unwrap();
        let records = gauge("buffer_records");
        let buffer = Buffer::new(1 << 20, gauge("buffer_bytes"), Some(records.clone()));
        let buffer = Arc::new(buffer);
        let mut arena = Arena::default();
        arena.push(&record(0, None, &[7; 100]));
        let mut batch = RecordBatch::new(arena, vec![span(3)], Origins::default(), Arc::clone(&buffer));
        assert!(buffer.used() >= 100);
        batch.let_go(1);
        assert_eq!(records.get(), 2.0);
        batch.spend();
        assert!(batch.is_empty() && buffer.used() >= 100);
        assert_eq!(records.get(), 0.0);
        drop(batch);
        assert_eq!((buffer.used(), records.get()), (0, 0.0));
    }
}
