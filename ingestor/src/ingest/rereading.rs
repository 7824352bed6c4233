//! Reading a failed generation's input again, beside live work: one range at a time, in small batches.

use generations::protocol::WriterEvent;
use generations::protocol::replays::Missing;
use hint_schema::generation_event::OffsetInterval;
use messagebus::RecordBatch;
use messagebus::consumer::{Range, RangeReader, read_range};
use tokio::sync::mpsc;

use super::{IngestLoop, OpenBatch};

/// A range under way.
pub(super) struct Rereading {
    missing: Missing,
    /// Keeps the reading thread alive.
    _reader: RangeReader,
    batches: mpsc::Receiver<RecordBatch>,
}

/// The next batch of the range under way, nothing at its end; waits for ever while there is none.
pub(super) async fn next(rereading: &mut Option<Rereading>) -> Option<RecordBatch> {
    match rereading {
        Some(rereading) => rereading.batches.recv().await,
        None => std::future::pending().await,
    }
}

impl IngestLoop {
    /// Begins with what is missing, or stops with what is not this process's to read any more.
    pub(super) fn plan_rereading(&mut self, held: &[i32]) -> anyhow::Result<()> {
        if let Some(Rereading { missing, .. }) = &self.rereading {
            let is_wanted =
                held.contains(&missing.interval.partition) && self.replays.is_open(missing.failed);
            if is_wanted {
                return Ok(());
            }
            self.rereading = None;
        }
        // What is in flight may be what seems to be missing.
        let is_in_flight = self.open.values().any(|batch| batch.replay.is_some());
        if !self.caught_up || !self.has_lease || is_in_flight {
            return Ok(());
        }
        let Some(missing) = self.replays.next(held) else {
            return Ok(());
        };
        let OffsetInterval { partition, from, to } = missing.interval;
        tracing::warn!(
            generation = missing.failed,
            partition,
            from,
            to,
            "reading input of a failed generation again"
        );
        let range = Range {
            topic: self.parts.kafka.topics().cache_misses(),
            partition,
            from,
            to,
        };
        let gone = self.parts.metrics.replay_gone.clone();
        let (reader, batches) = read_range(&self.parts.kafka, range, gone, &self.parts.bus)?;
        self.rereading = Some(Rereading {
            missing,
            _reader: reader,
            batches,
        });
        Ok(())
    }

    /// Takes a batch of the range under way; it is written into the active generation like any other.
    pub(super) fn reread(&mut self, records: Option<RecordBatch>) -> anyhow::Result<()> {
        let (Some(rereading), Some(records)) = (&self.rereading, records) else {
            self.rereading = None; // Read to its end.
            return Ok(());
        };
        let failed = rereading.missing.failed;
        let batch = OpenBatch::again(records, failed);
        let (tag, spans) = (self.next_tag, batch.intervals());
        self.next_tag += 1;
        self.open.insert(tag, batch);
        self.handle(WriterEvent::Polled {
            batch: tag,
            spans,
            replay: Some(failed),
        })
    }
}
