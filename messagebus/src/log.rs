//! Follows a compacted topic: every partition from its beginning, then live, without a consumer group.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::BorrowedMessage,
};
use tokio::sync::mpsc;

use crate::{
    args::KafkaArgs,
    client::sign_of_life,
    credentials::CredentialFiles,
    metrics::{BusMetrics, ConsumerError, GroupMetrics},
    offsets,
    trouble::Trouble,
};

/// Events in the channel at most; the thread waits when it is full, since no group expects it to poll.
const CHANNEL_EVENTS: usize = 1024;
/// Longest wait for a record, and so for the end of the follower to be noticed.
const POLL: Duration = Duration::from_millis(100);

/// A record of the followed topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Partition it was read from.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its Kafka timestamp, Unix milliseconds; 0 when there is none.
    pub timestamp_ms: i64,
    /// Its key, empty when there is none.
    pub key: Vec<u8>,
    /// Its value; nothing where the key was deleted.
    pub value: Option<Vec<u8>>,
}

/// What a follower reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent {
    /// A record, in the order of its partition.
    Record(LogRecord),
    /// Comes once: everything that the topic held when the follower started has been handed over.
    CaughtUp,
}

/// Keeps the following thread alive; dropping it ends the thread and the receiver's events.
#[derive(Debug)]
pub struct Follower {
    stop: Arc<AtomicBool>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

/// Follows `topic`. A record may come twice after a broker's fault, so reading one must be idempotent.
///
/// The receiver ends when the follower is dropped or its client has died.
///
/// # Errors
/// The client cannot be created from its settings, or the thread cannot be started. A broker that does not
/// answer, or a topic that does not exist yet, is no error: the thread goes on trying.
pub fn follow(
    kafka: &KafkaArgs,
    topic: &str,
    metrics: BusMetrics,
) -> anyhow::Result<(Follower, mpsc::Receiver<LogEvent>)> {
    let (reader, receiver) = Reader::new(kafka, topic, &metrics)?;
    let stop = Arc::clone(&reader.stop);
    std::thread::Builder::new()
        .name("kafka-log".to_owned())
        .spawn(move || reader.run())
        .context("starting the log reader's thread")?;
    Ok((Follower { stop }, receiver))
}

fn client(kafka: &KafkaArgs, group: &str, topic: &str) -> anyhow::Result<BaseConsumer<Trouble>> {
    let mut config = kafka.reader_config(group);
    // The flip protocol waits for records it has just written: a broker must not hold them back to fill a fetch.
    config
        .set("fetch.min.bytes", "1")
        .set("fetch.wait.max.ms", "500")
        .set("queued.max.messages.kbytes", "16384")
        .create_with_context(Trouble::of(topic))
        .context("creating the Kafka log reader")
}

/// Why a reader ends: nobody wants its events any more, or its client has died.
struct Ended;

struct Reader {
    kafka: KafkaArgs,
    credentials: CredentialFiles,
    client: BaseConsumer<Trouble>,
    group: String,
    topic: String,
    metrics: GroupMetrics,
    stop: Arc<AtomicBool>,
    events: mpsc::Sender<LogEvent>,
    /// Partitions that are not read to the end they had at the start, and that end.
    behind: BTreeMap<i32, i64>,
    /// Where each partition is read on.
    next: BTreeMap<i32, i64>,
}

impl Reader {
    fn new(
        kafka: &KafkaArgs,
        topic: &str,
        metrics: &BusMetrics,
    ) -> anyhow::Result<(Self, mpsc::Receiver<LogEvent>)> {
        let group = kafka.topics().group("log");
        let credentials = kafka.credentials(metrics);
        let client = client(kafka, &group, topic)?;
        let (events, receiver) = mpsc::channel(CHANNEL_EVENTS);
        let reader = Self {
            kafka: kafka.clone(),
            credentials,
            client,
            topic: topic.to_owned(),
            metrics: metrics.group(&group, topic),
            group,
            stop: Arc::default(),
            events,
            behind: BTreeMap::new(),
            next: BTreeMap::new(),
        };
        Ok((reader, receiver))
    }

    fn run(mut self) {
        while !self.is_stopped() {
            match self.start() {
                Ok(()) => break,
                Err(error) => {
                    self.metrics.errors(ConsumerError::Fetch).inc();
                    tracing::warn!(topic = self.topic, "the log cannot be read yet: {error:#}");
                    // Serves the client's events, and is the pause until the next attempt.
                    if let Some(Err(error)) = self.client.poll(POLL) {
                        bootstrap::begin_again_after(&error, self.client.client(), &self.kafka.kafka_brokers);
                    }
                    // The brokers may not let the old credentials in.
                    self.renew_when_due();
                }
            }
        }
        while !self.is_stopped() {
            if self.step().is_err() {
                return;
            }
            self.renew_when_due();
        }
    }

    /// Reads on with a client that has the credentials as they are now, once brokers let it in.
    fn renew_when_due(&mut self) {
        let (kafka, group, topic, next) = (&self.kafka, &self.group, &self.topic, &self.next);
        let renewed = self.credentials.renew(|| {
            let client = client(kafka, group, topic)?;
            sign_of_life(client.client())?;
            assign(&client, topic, next)?;
            Ok(client)
        });
        if let Some(client) = renewed {
            self.client = client;
        }
    }

    /// Notes the ends and begins to read every partition.
    fn start(&mut self) -> anyhow::Result<()> {
        let partitions = offsets::partitions(&self.client, &self.topic)?;
        let (mut behind, mut next) = (BTreeMap::new(), BTreeMap::new());
        for partition in partitions {
            let (_, low, high) = offsets::watermark(&self.client, &self.topic, partition)?;
            next.insert(partition, low);
            behind.insert(partition, high);
        }
        assign(&self.client, &self.topic, &next)?;
        (self.behind, self.next) = (behind, next);
        Ok(())
    }

    fn step(&mut self) -> Result<(), Ended> {
        match self.client.poll(POLL) {
            None => Ok(()),
            Some(Ok(message)) => {
                let record = record(&message);
                let (partition, next) = (record.partition, record.offset + 1);
                drop(message);
                self.next.insert(partition, next);
                self.send(LogEvent::Record(record))?;
                self.reached(partition, next)
            }
            // The end counts even where no record stands before it: removed by compaction, or none written yet.
            Some(Err(KafkaError::PartitionEOF(partition))) => self.reached(partition, i64::MAX),
            Some(Err(error)) => self.failed(&error),
        }
    }

    fn reached(&mut self, partition: i32, next: i64) -> Result<(), Ended> {
        if self.behind.get(&partition).is_none_or(|&end| next < end) {
            return Ok(());
        }
        self.behind.remove(&partition);
        if self.behind.is_empty() {
            self.send(LogEvent::CaughtUp)
        } else {
            Ok(())
        }
    }

    fn send(&self, event: LogEvent) -> Result<(), Ended> {
        self.events.blocking_send(event).map_err(|_| Ended)
    }

    fn failed(&self, error: &KafkaError) -> Result<(), Ended> {
        self.metrics.errors(ConsumerError::Fetch).inc();
        bootstrap::begin_again_after(error, self.client.client(), &self.kafka.kafka_brokers);
        if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
            Err(Ended)
        } else {
            Ok(())
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire) || self.events.is_closed()
    }
}

/// Begins to read each partition at its offset.
fn assign(client: &BaseConsumer<Trouble>, topic: &str, offsets: &BTreeMap<i32, i64>) -> anyhow::Result<()> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (&partition, &offset) in offsets {
        list.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    }
    client.assign(&list).context("assigning partitions")
}

fn record(message: &BorrowedMessage<'_>) -> LogRecord {
    LogRecord {
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
        key: message.key().unwrap_or_default().to_vec(),
        value: message.payload().map(<[u8]>::to_vec),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lost::{Servers, bus, nowhere};

    #[tokio::test]
    async fn a_reader_that_has_lost_all_brokers_is_led_back() {
        let servers = Servers::start().await;
        let (mut reader, _events) = Reader::new(&nowhere(), "topic", &bus()).unwrap();
        reader.kafka = servers.kafka();
        let stop = Arc::clone(&reader.stop);
        let reading = std::thread::spawn(move || while !reader.is_stopped() && reader.step().is_ok() {});
        servers.are_asked().await;
        stop.store(true, Ordering::Release);
        reading.join().unwrap();
    }
}
