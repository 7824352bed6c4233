//! A topic, followed from look to look: each record once, in the order of its partition.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::Context;
use messagebus::{KafkaArgs, Record};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};

/// Without a record for so long, the broker is away.
const PATIENCE: Duration = Duration::from_secs(30);
const QUESTION: Duration = Duration::from_secs(10);

/// The end of a partition is no error to be logged.
struct Silent;

impl ClientContext for Silent {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(error = &error as &dyn std::error::Error, reason, "Kafka");
    }
}

impl ConsumerContext for Silent {}

/// Where a partition ended when it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    /// Its first offset that is still kept.
    pub(crate) low: i64,
    /// The offset behind its last record.
    pub(crate) high: i64,
}

/// The ends of each partition.
pub(crate) type TopicEnds = BTreeMap<i32, Ends>;

/// Reads a topic on from where the last look ended. Joins no group and commits nothing. Blocks.
pub(crate) struct TopicReader {
    client: BaseConsumer<Silent>,
    servers: String,
    topic: String,
    next: BTreeMap<i32, i64>,
}

impl TopicReader {
    /// A reader that stands at the topic's beginning.
    pub(crate) fn new(kafka: &KafkaArgs, topic: &str) -> anyhow::Result<Self> {
        let mut config = kafka.client_config();
        config
            .set("group.id", kafka.topics().group("audit"))
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("fetch.queue.backoff.ms", "10")
            // As for the services' readers: it has a pod's memory as well, and what is fetched unpacks to many times as much.
            .set("fetch.max.bytes", "1048576")
            .set("queued.max.messages.kbytes", "4096")
            .set("enable.partition.eof", "true");
        Ok(Self {
            client: config
                .create_with_context(Silent)
                .with_context(|| format!("creating a reader of {topic}"))?,
            servers: kafka.kafka_brokers.clone(),
            topic: topic.to_owned(),
            next: BTreeMap::new(),
        })
    }

    /// Goes on from these offsets; of other partitions from their beginning.
    pub(crate) fn go_on_from(&mut self, offsets: BTreeMap<i32, i64>) {
        self.next = offsets;
    }

    /// Shows what was written since the last call, to where the topic ends now; returns these ends.
    ///
    /// # Errors
    /// The broker does not answer.
    pub(crate) fn catch_up(&mut self, see: impl FnMut(&Record<'_>)) -> anyhow::Result<TopicEnds> {
        let ends = self.ends()?;
        self.catch_up_to(&ends, see)?;
        Ok(ends)
    }

    /// As [`Self::catch_up`], to ends that were asked for before.
    ///
    /// # Errors
    /// The broker does not answer. What was shown stays shown: the next call may show it again.
    pub(crate) fn catch_up_to(
        &mut self,
        ends: &TopicEnds,
        mut see: impl FnMut(&Record<'_>),
    ) -> anyhow::Result<()> {
        let mut list = TopicPartitionList::new();
        let mut open = BTreeMap::new();
        for (&partition, &Ends { low, high }) in ends {
            let next = self.next.get(&partition).copied().unwrap_or(0).max(low);
            if next < high {
                list.add_partition_offset(&self.topic, partition, Offset::Offset(next))
                    .context("listing partitions")?;
                open.insert(partition, high);
            }
        }
        if open.is_empty() {
            return Ok(());
        }
        let reading = || format!("reading {}", self.topic);
        self.client.assign(&list).with_context(reading)?;
        let read = self.read(open.clone(), &mut see);
        // What was fetched ahead is fetched again by the next look.
        self.client.unassign().with_context(reading)?;
        read.with_context(reading)?;
        self.next.extend(open);
        Ok(())
    }

    /// Reads every open partition to its end, and nothing behind it.
    fn read(&self, mut open: BTreeMap<i32, i64>, see: &mut impl FnMut(&Record<'_>)) -> anyhow::Result<()> {
        let mut heard = Instant::now();
        while !open.is_empty() {
            match self.client.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    let Some(&end) = open.get(&message.partition()) else {
                        continue;
                    };
                    if message.offset() < end {
                        see(&record(&message));
                    }
                    if message.offset() + 1 >= end {
                        open.remove(&message.partition());
                    }
                }
                // Whatever is missing before the end was compacted away.
                Some(Err(KafkaError::PartitionEOF(partition))) => drop(open.remove(&partition)),
                // May be as old as the last look: since then a broker has said where this topic ends.
                Some(Err(error)) if is_of_the_way(&error) && heard.elapsed() < PATIENCE => {
                    bootstrap::begin_again_after(&error, self.client.client(), &self.servers);
                }
                Some(Err(error)) => return Err(error.into()),
                None => anyhow::ensure!(
                    heard.elapsed() < PATIENCE,
                    "it cannot be read to its end: {open:?}"
                ),
            }
        }
        Ok(())
    }

    /// Shows again what stands at these offsets, in their order, unless retention has removed it.
    ///
    /// # Errors
    /// The broker does not answer.
    pub(crate) fn show(
        &self,
        partition: i32,
        offsets: &BTreeSet<i64>,
        mut see: impl FnMut(&Record<'_>),
    ) -> anyhow::Result<()> {
        let (Some(&first), Some(&last)) = (offsets.first(), offsets.last()) else {
            return Ok(());
        };
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, partition, Offset::Offset(first))
            .context("listing a partition")?;
        let reading = || format!("reading {}[{partition}] from {first} to {last} again", self.topic);
        self.client.assign(&list).with_context(reading)?;
        let read = self.read(BTreeMap::from([(partition, last + 1)]), &mut |record| {
            if offsets.contains(&record.offset) {
                see(record);
            }
        });
        self.client.unassign().with_context(reading)?;
        read.with_context(reading)
    }

    /// Where the topic ends now.
    ///
    /// # Errors
    /// The broker does not answer, or the topic does not exist.
    pub(crate) fn ends(&self) -> anyhow::Result<TopicEnds> {
        let topic = &self.topic;
        let metadata = self
            .client
            .fetch_metadata(Some(topic), QUESTION)
            .with_context(|| format!("asking for the partitions of {topic}"))?;
        let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
        let mut ends = TopicEnds::new();
        for partition in partitions.map(MetadataPartition::id) {
            let (low, high) = self
                .client
                .fetch_watermarks(topic, partition, QUESTION)
                .with_context(|| format!("asking for the ends of {topic}[{partition}]"))?;
            ends.insert(partition, Ends { low, high });
        }
        anyhow::ensure!(!ends.is_empty(), "topic {topic} does not exist");
        Ok(ends)
    }
}

fn record<'a>(message: &'a BorrowedMessage<'_>) -> Record<'a> {
    Record {
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
        key: message.key(),
        payload: message.payload().unwrap_or_default(),
    }
}

/// Whether an error says that brokers cannot be reached, which passes.
fn is_of_the_way(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::Resolve
        )
    )
}
