//! A polled batch until it is committed or dropped.

use std::time::Instant;

use hint_schema::generation_event::{Generation, OffsetInterval};
use messagebus::trace::{SpanKind, Work};
use messagebus::{Consumer, Record, RecordBatch, Span};

use crate::reason::Reason;

/// What the loop knows of it.
#[derive(Debug)]
pub(crate) struct OpenBatch {
    /// Until they are judged: their memory counts against the consumer's buffer.
    records: Option<RecordBatch>,
    /// Those that began.
    spans: Vec<Span>,
    not_begun: Vec<(Reason, u64)>,
    /// The failed generation whose input it is, read again; none for live input.
    pub(crate) replay: Option<Generation>,
    /// What it is bound to, once it is.
    pub(crate) generation: Generation,
    /// Accepted URLs without an answer that counted.
    pub(crate) unanswered: u64,
    /// When its SETs were handed over.
    pub(crate) staged: Option<Instant>,
    /// Its trace.
    pub(crate) work: Work,
}

impl OpenBatch {
    /// Begins every span that may still begin.
    pub(crate) fn begin(mut records: RecordBatch, consumer: &Consumer) -> Self {
        let (spans, stale): (Vec<Span>, Vec<Span>) =
            records.spans().iter().partition(|span| consumer.begin(span));
        let is_held = |partition| {
            let held = consumer.partitions();
            held.iter().any(|status| status.partition == partition)
        };
        let not_begun = stale.iter().map(|span| {
            let reason = if is_held(span.partition) {
                Reason::Lease
            } else {
                Reason::Revoked
            };
            (reason, u64::from(span.records))
        });
        let not_begun = not_begun.collect();
        let work = trace("ingest", &records);
        records.let_go(stale.iter().map(|span| span.records).sum());
        Self {
            not_begun,
            records: Some(records),
            spans,
            replay: None,
            generation: 0,
            unanswered: 0,
            staged: None,
            work,
        }
    }

    /// A batch of input that is read again: nobody's to begin or to complete.
    pub(crate) fn again(records: RecordBatch, failed: Generation) -> Self {
        let mut work = trace("ingest again", &records);
        work.set(
            "crawlerhints.failed_generation",
            i64::try_from(failed).unwrap_or(i64::MAX),
        );
        Self {
            spans: records.spans().to_vec(),
            not_begun: Vec::new(),
            records: Some(records),
            replay: Some(failed),
            generation: 0,
            unanswered: 0,
            staged: None,
            work,
        }
    }

    /// The offsets that it covers.
    pub(crate) fn intervals(&self) -> Vec<OffsetInterval> {
        let interval = |span: &Span| OffsetInterval {
            partition: span.partition,
            from: span.from,
            to: span.to,
        };
        self.spans.iter().map(interval).collect()
    }

    /// The spans that began.
    pub(crate) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Records that may not be worked on, and why.
    pub(crate) fn not_begun(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        self.not_begun.iter().copied()
    }

    /// Records of the spans that began and were not judged.
    pub(crate) fn unjudged(&self) -> u64 {
        match self.records {
            Some(_) => self.spans.iter().map(|span| u64::from(span.records)).sum(),
            None => 0,
        }
    }

    /// Takes the records out, to judge them; once.
    pub(crate) fn take_records(&mut self) -> Option<RecordBatch> {
        self.records.take()
    }

    /// The records of a batch that belong to the spans that began, in the order they were polled.
    pub(crate) fn begun<'a>(spans: &'a [Span], records: &'a RecordBatch) -> impl Iterator<Item = Record<'a>> {
        let all = spans.len() == records.spans().len();
        let began = move |partition| spans.iter().any(|span| span.partition == partition);
        records
            .records()
            .filter(move |record| all || began(record.partition))
    }
}

fn trace(name: &'static str, records: &RecordBatch) -> Work {
    let mut work = Work::begin(name, SpanKind::Consumer, records.origins().clone());
    work.count("messaging.batch.message_count", records.len());
    work
}
