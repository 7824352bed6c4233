//! What a lane reads: records into batches, each begun once.

use std::time::Instant;

use hint_schema::HintBatch;
use messagebus::metrics::{ConsumerError, GroupMetrics};
use messagebus::trace::Origins;
use messagebus::{Consumer, Record, RecordBatch, Span};
use prometheus::Histogram;

use crate::seen::SeenIds;

/// Reads the batches of one lane.
pub(crate) struct Intake {
    pub(crate) consumer: Consumer,
    pub(crate) seen: SeenIds,
    pub(crate) metrics: GroupMetrics,
    pub(crate) decode: Histogram,
}

/// What is kept of a batch while its hints wait.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) span: Span,
    pub(crate) since: Instant,
    /// The trace that published it.
    pub(crate) origin: Origins,
    /// Counts against the lane's buffer: what waits bounds what is read.
    _place: RecordBatch,
}

impl Intake {
    /// Begins a batch; nothing when it is not this process's any more, cannot be read or is a repeat.
    pub(crate) fn take(&mut self, mut records: RecordBatch) -> Option<(Held, HintBatch)> {
        let span = *records.spans().first()?;
        if !self.consumer.begin(&span) {
            return None;
        }
        let Some(hints) = records
            .records()
            .next()
            .and_then(|record| self.read(&span, &record))
        else {
            self.consumer.complete(&span);
            return None;
        };
        records.spend();
        let held = Held {
            span,
            since: Instant::now(),
            origin: records.origins().clone(),
            _place: records,
        };
        Some((held, hints))
    }

    fn read(&mut self, span: &Span, record: &Record<'_>) -> Option<HintBatch> {
        let started = Instant::now();
        let decoded = HintBatch::decode(record.payload);
        self.decode.observe(started.elapsed().as_secs_f64());
        match decoded {
            Ok(batch) if self.seen.is_repeat(span, batch.id) => {
                tracing::info!(batch = %batch.id, offset = record.offset, "a batch that was sent again is dropped");
                None
            }
            Ok(batch) => Some(batch),
            Err(error) => {
                self.metrics.errors(ConsumerError::Decode).inc();
                tracing::error!(
                    partition = record.partition,
                    offset = record.offset,
                    error = &error as &dyn std::error::Error,
                    "a batch cannot be read and is passed over: no flipper of this project wrote it"
                );
                None
            }
        }
    }
}
