//! Reads one interval of one partition again, beside the group and without its offsets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use prometheus::IntCounter;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};
use tokio::sync::mpsc;

use super::batch::{Arena, Record, RecordBatch};
use super::buffer::Buffer;
use crate::args::KafkaArgs;
use crate::client::sign_of_life;
use crate::credentials::CredentialFiles;
use crate::ledger::Span;
use crate::metrics::{BusMetrics, ConsumerError, GroupMetrics};
use crate::offsets;
use crate::trace::Origins;
use crate::trouble::Trouble;

/// Small batches: what is read again goes between the live ones.
const BATCH_RECORDS: usize = 2_000;
/// Batches that wait; full, the thread waits, since no group expects it to poll.
const BATCHES: usize = 2;
const BUFFER_BYTES: usize = 16 << 20;
/// Longest wait for a record, and so for the end of the reader to be noticed.
const POLL: Duration = Duration::from_millis(100);

/// What is read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// First offset.
    pub from: i64,
    /// First offset behind it.
    pub to: i64,
}

/// Keeps the reading thread alive; dropping it ends the thread and the receiver's batches.
#[derive(Debug)]
pub struct RangeReader {
    stop: Arc<AtomicBool>,
}

impl Drop for RangeReader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

/// Reads a range.
///
/// The batches' spans cover all of it, offsets without a record included; their epoch is 0, they
/// are nobody's to complete. Offsets that retention has removed are counted in `gone` and covered by the first
/// span. The receiver ends with the range, with the reader, or when the client has died.
///
/// # Errors
/// The client cannot be created from its settings, or the thread cannot be started.
pub fn read_range(
    kafka: &KafkaArgs,
    range: Range,
    gone: IntCounter,
    metrics: &BusMetrics,
) -> anyhow::Result<(RangeReader, mpsc::Receiver<RecordBatch>)> {
    let (worker, receiver) = Worker::new(kafka, range, gone, metrics)?;
    let stop = Arc::clone(&worker.stop);
    std::thread::Builder::new()
        .name("kafka-range".to_owned())
        .spawn(move || worker.run())
        .context("starting the range reader's thread")?;
    Ok((RangeReader { stop }, receiver))
}

fn client(kafka: &KafkaArgs, topic: &str) -> anyhow::Result<BaseConsumer<Trouble>> {
    kafka
        .reader_config(&kafka.topics().group("replay"))
        .set("queued.max.messages.kbytes", "8192")
        .create_with_context(Trouble::of(topic))
        .context("creating the reader of a range")
}

fn assign(client: &BaseConsumer<Trouble>, range: &Range, offset: i64) -> anyhow::Result<()> {
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition_offset(&range.topic, range.partition, Offset::Offset(offset))?;
    client.assign(&list).context("assigning a partition")
}

fn empty_span(partition: i32, from: i64) -> Span {
    Span {
        partition,
        epoch: 0,
        from,
        to: from,
        records: 0,
        first_timestamp_ms: 0,
    }
}

struct Worker {
    kafka: KafkaArgs,
    credentials: CredentialFiles,
    client: BaseConsumer<Trouble>,
    range: Range,
    arena: Arena,
    buffer: Arc<Buffer>,
    /// Of the records in `arena`.
    origins: Origins,
    /// What `arena` covers so far.
    span: Span,
    gone: IntCounter,
    metrics: GroupMetrics,
    stop: Arc<AtomicBool>,
    batches: mpsc::Sender<RecordBatch>,
}

impl Worker {
    fn new(
        kafka: &KafkaArgs,
        range: Range,
        gone: IntCounter,
        metrics: &BusMetrics,
    ) -> anyhow::Result<(Self, mpsc::Receiver<RecordBatch>)> {
        let group = kafka.topics().group("replay");
        let credentials = kafka.credentials(metrics);
        let client = client(kafka, &range.topic)?;
        let (batches, receiver) = mpsc::channel(BATCHES);
        let buffer = Arc::new(Buffer::new(BUFFER_BYTES, metrics.buffer_bytes(), None));
        let worker = Self {
            kafka: kafka.clone(),
            credentials,
            client,
            arena: buffer.arena(),
            buffer,
            origins: Origins::default(),
            span: empty_span(range.partition, range.from),
            metrics: metrics.group(&group, &range.topic),
            range,
            gone,
            stop: Arc::default(),
            batches,
        };
        Ok((worker, receiver))
    }

    fn run(mut self) {
        while !self.is_stopped() {
            match self.start() {
                Ok(()) => break,
                Err(error) => {
                    self.metrics.errors(ConsumerError::Fetch).inc();
                    tracing::warn!(topic = self.range.topic, "a range cannot be read yet: {error:#}");
                    // Serves the client's events, and is the pause until the next attempt.
                    if let Some(Err(error)) = self.client.poll(POLL) {
                        bootstrap::begin_again_after(&error, self.client.client(), &self.kafka.kafka_brokers);
                    }
                    // The brokers may not let the old credentials in.
                    self.renew_when_due();
                }
            }
        }
        while self.span.to < self.range.to && !self.is_stopped() {
            self.step();
            self.renew_when_due();
        }
        if !self.is_stopped() {
            self.send();
        }
    }

    /// Begins at the first offset that is still kept.
    fn start(&mut self) -> anyhow::Result<()> {
        let Range {
            topic,
            partition,
            from,
            to,
        } = &self.range;
        let (_, low, _) = offsets::watermark(&self.client, topic, *partition)?;
        let first = low.clamp(*from, *to);
        assign(&self.client, &self.range, first)?;
        if first > *from {
            let gone = u64::try_from(first - from).unwrap_or(0);
            self.gone.inc_by(gone);
            tracing::error!(
                topic,
                partition,
                from,
                to = first,
                "retention has removed what was to be read again: it is lost"
            );
            self.span.to = first;
        }
        Ok(())
    }

    /// Reads on with a client that has the credentials as they are now, once brokers let it in.
    fn renew_when_due(&mut self) {
        let (kafka, range, next) = (&self.kafka, &self.range, self.span.to);
        let renewed = self.credentials.renew(|| {
            let client = client(kafka, &range.topic)?;
            sign_of_life(client.client())?;
            assign(&client, range, next)?;
            Ok(client)
        });
        if let Some(client) = renewed {
            self.client = client;
        }
    }

    fn step(&mut self) {
        match self.client.poll(POLL) {
            None => {}
            Some(Ok(message)) if message.offset() >= self.range.to => self.span.to = self.range.to,
            Some(Ok(message)) => {
                let record = Record {
                    partition: message.partition(),
                    offset: message.offset(),
                    timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
                    key: message.key(),
                    payload: message.payload().unwrap_or_default(),
                };
                if record.offset < self.span.to || !self.arena.push(&record) {
                    return; // Read before, after a fault of the broker's.
                }
                if self.span.records == 0 {
                    self.span.first_timestamp_ms = record.timestamp_ms;
                }
                self.span.to = record.offset + 1;
                self.span.records += 1;
                self.origins.add_of(&message);
                drop(message);
                if self.arena.len() >= BATCH_RECORDS || self.arena.used() >= self.buffer.max_arena() {
                    self.send();
                }
            }
            // Whatever is missing before the end is no record.
            Some(Err(KafkaError::PartitionEOF(_))) => self.span.to = self.range.to,
            Some(Err(error)) => {
                self.metrics.errors(ConsumerError::Fetch).inc();
                bootstrap::begin_again_after(&error, self.client.client(), &self.kafka.kafka_brokers);
            }
        }
    }

    fn send(&mut self) {
        if self.span.from == self.span.to {
            return;
        }
        let next = empty_span(self.span.partition, self.span.to);
        let span = std::mem::replace(&mut self.span, next);
        let arena = std::mem::replace(&mut self.arena, self.buffer.arena());
        let origins = std::mem::take(&mut self.origins);
        let batch = RecordBatch::new(arena, vec![span], origins, Arc::clone(&self.buffer));
        // Nobody listens any more: `is_stopped` sees it too.
        drop(self.batches.blocking_send(batch));
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire) || self.batches.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lost::{Servers, bus, nowhere};

    #[tokio::test]
    async fn a_reader_of_a_range_that_has_lost_all_brokers_is_led_back() {
        let servers = Servers::start().await;
        let range = Range {
            topic: "topic".to_owned(),
            partition: 0,
            from: 0,
            to: 1,
        };
        let gone = IntCounter::new("gone", "help").unwrap();
        let (mut worker, _batches) = Worker::new(&nowhere(), range, gone, &bus()).unwrap();
        worker.kafka = servers.kafka();
        let stop = Arc::clone(&worker.stop);
        let reading = std::thread::spawn(move || {
            while !worker.is_stopped() {
                worker.step();
            }
        });
        servers.are_asked().await;
        stop.store(true, Ordering::Release);
        reading.join().unwrap();
    }
}
