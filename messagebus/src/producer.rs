//! An idempotent producer whose every record ends in a delivery report.

mod failure;
mod reports;

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Poll, ready},
    time::{Duration, Instant},
};

use anyhow::Context;
use parking_lot::RwLock;
use rdkafka::{
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, Producer as _, ThreadedProducer},
};
use tokio::{
    sync::{Semaphore, oneshot, watch},
    task::spawn_blocking,
};

use crate::{
    args::KafkaArgs,
    client::sign_of_life,
    credentials::{CredentialFiles, LEAVE_WITHIN, LOOK_EVERY},
    metrics::BusMetrics,
};
use reports::{Report, Reports};

pub use failure::ProduceError;

/// Memory of records handed over and not acknowledged, in units of a kibibyte: a fraction of what librdkafka's
/// queue takes, so that it is never full.
const IN_FLIGHT_KIB: u32 = 32 * 1024;
/// Records handed over and not acknowledged: librdkafka's queue takes ten times as many.
const IN_FLIGHT_RECORDS: u32 = 10_000;
/// Bounds a question about the cluster.
const QUESTION: Duration = Duration::from_secs(10);
/// Time between two such questions.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// A record to be produced, borrowed until it is handed over.
#[derive(Clone, Copy, Debug)]
pub struct OutRecord<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition; chosen by the key when there is none.
    pub partition: Option<i32>,
    /// The key.
    pub key: &'a [u8],
    /// The value; nothing deletes the key from a compacted topic.
    pub payload: Option<&'a [u8]>,
    /// Headers, in order.
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// Where a record was persisted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The partition.
    pub partition: i32,
    /// The record's offset there.
    pub offset: i64,
}

/// An idempotent producer; cheap to clone, all clones are one. Dropping the last gives up what is in flight.
#[derive(Clone)]
pub struct Producer(Arc<Shared>);

type Client = ThreadedProducer<Reports>;

struct Shared {
    kafka: KafkaArgs,
    metrics: BusMetrics,
    /// Replaced when the credentials change.
    client: RwLock<Arc<Client>>,
    /// Told by a client that has lost all brokers.
    lost: watch::Sender<()>,
    records: Arc<Semaphore>,
    memory: Arc<Semaphore>,
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer")
            .field("room_for_records", &self.0.records.available_permits())
            .finish_non_exhaustive()
    }
}

impl Producer {
    /// Makes the client; within a tokio runtime, where tasks renew it when its credentials change and lead it back to
    /// brokers when all are lost. A broker that does not answer is no error: the client goes on trying.
    ///
    /// # Errors
    /// The client cannot be created from its settings.
    pub fn new(kafka: &KafkaArgs, metrics: BusMetrics) -> anyhow::Result<Self> {
        Self::start(kafka, metrics, kafka)
    }

    /// The same, with settings of its own for the first client.
    fn start(kafka: &KafkaArgs, metrics: BusMetrics, first: &KafkaArgs) -> anyhow::Result<Self> {
        let credentials = kafka.credentials(&metrics);
        let (lost, is_lost) = watch::channel(());
        let shared = Arc::new(Shared {
            client: RwLock::new(Arc::new(client(first, &metrics, &lost)?)),
            lost,
            kafka: kafka.clone(),
            metrics,
            records: Arc::new(Semaphore::new(IN_FLIGHT_RECORDS as usize)),
            memory: Arc::new(Semaphore::new(
                usize::try_from(IN_FLIGHT_KIB).unwrap_or(usize::MAX),
            )),
        });
        tokio::spawn(begin_again(Arc::downgrade(&shared), is_lost));
        if !credentials.is_empty() {
            tokio::spawn(renew(Arc::downgrade(&shared), credentials));
        }
        Ok(Self(shared))
    }

    /// Produces a record and waits for its report. Cancelled, the record may have been persisted or not.
    ///
    /// # Errors
    /// See [`ProduceError`], which says what to do next.
    pub async fn send(&self, record: OutRecord<'_>) -> Result<Delivered, ProduceError> {
        self.enqueue(record).await?.await
    }

    /// Produces a record until it is acknowledged: after a time-out the same bytes go again, so it may stand in the
    /// topic twice. Cancelled, it may have been persisted or not.
    ///
    /// # Errors
    /// [`ProduceError::Refused`] or [`ProduceError::Fatal`], never [`ProduceError::Unknown`].
    pub async fn persist(&self, record: OutRecord<'_>) -> Result<Delivered, ProduceError> {
        loop {
            match self.send(record).await {
                Err(error @ ProduceError::Unknown { .. }) => tracing::warn!(
                    topic = record.topic,
                    key = %String::from_utf8_lossy(record.key),
                    error = &error as &dyn std::error::Error,
                    "not acknowledged, sent again"
                ),
                result => return result,
            }
        }
    }

    /// Hands a record over, once there is room for it, and returns its report to come: many may be in flight.
    /// Within a partition records keep the order in which they were handed over. Cancel-safe until it returns:
    /// a cancelled call handed nothing over.
    ///
    /// # Errors
    /// The record was not handed over; see [`ProduceError`].
    pub async fn enqueue(&self, record: OutRecord<'_>) -> Result<Delivery, ProduceError> {
        let report = self.reserve(&record).await?;
        let (report, delivery) = report;
        let mut base = BaseRecord::with_opaque_to(record.topic, report).key(record.key);
        base.partition = record.partition;
        base.payload = record.payload;
        base.headers = headers(record.headers);
        let client = self.0.client();
        match client.send(base) {
            Ok(()) => Ok(delivery),
            Err((error, base)) => {
                let reports = client.client().context();
                Err(reports.refused(&base.delivery_opaque, base.topic, &error))
            }
        }
    }

    /// Waits for room, and makes the two ends of the report.
    async fn reserve(&self, record: &OutRecord<'_>) -> Result<(Box<Report>, Delivery), ProduceError> {
        let size = record.key.len() + record.payload.map_or(0, <[u8]>::len);
        // A record larger than everything that may be in flight is sent alone; the broker refuses it.
        let units = u32::try_from(size / 1024 + 1)
            .unwrap_or(u32::MAX)
            .min(IN_FLIGHT_KIB);
        let records = Arc::clone(&self.0.records).acquire_owned();
        let closed = |_| ProduceError::closed();
        let room = (
            records.await.map_err(closed)?,
            Arc::clone(&self.0.memory).acquire_many_owned(units),
        );
        let room = (room.0, room.1.await.map_err(closed)?);
        let (answer, delivery) = oneshot::channel();
        let topic = self.0.client().client().context().topic(record.topic);
        Ok((
            Box::new(Report {
                answer,
                topic,
                started: Instant::now(),
                _room: room,
            }),
            Delivery(delivery),
        ))
    }

    /// Number of partitions of a topic. Asks until a broker answers; cancel-safe.
    ///
    /// # Errors
    /// The topic does not exist.
    pub async fn partition_count(&self, topic: &str) -> anyhow::Result<i32> {
        let metadata = loop {
            let (client, name) = (self.0.client(), topic.to_owned());
            let question = spawn_blocking(move || client.client().fetch_metadata(Some(&name), QUESTION));
            match question.await.context("asking for partitions")? {
                Ok(metadata) => break metadata,
                Err(error) => tracing::warn!(
                    topic,
                    error = &error as &dyn std::error::Error,
                    "no broker says how many partitions there are, asking again"
                ),
            }
            tokio::time::sleep(ASK_AGAIN).await;
        };
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let count = found.map_or(0, |found| found.partitions().len());
        anyhow::ensure!(count > 0, "topic {topic} does not exist");
        i32::try_from(count).context("counting partitions")
    }

    /// Waits until every record handed over has its report, or the time is over. False when it was over.
    pub async fn flush(&self, timeout: Duration) -> bool {
        let client = self.0.client();
        matches!(spawn_blocking(move || client.flush(timeout)).await, Ok(Ok(())))
    }

    /// Asks the brokers for a sign of life. Blocks.
    pub(crate) fn probe(&self) -> KafkaResult<()> {
        sign_of_life(self.0.client().client())
    }

    /// Whether the client has died, which only a new process mends.
    pub fn is_dead(&self) -> bool {
        self.0.client().client().fatal_error().is_some()
    }
}

impl Shared {
    fn client(&self) -> Arc<Client> {
        Arc::clone(&self.client.read())
    }

    /// Goes on with another client once nothing is in flight, so that records keep their order and none is sent by
    /// both. What is in flight for too long, as where the old credentials no longer let anybody in, is given up
    /// with the old client: its delivery is unknown, and its owner sends it again.
    async fn go_on_with(&self, new: Client) {
        // Fair: whoever comes later waits behind us.
        let all = tokio::time::timeout(LEAVE_WITHIN, self.records.acquire_many(IN_FLIGHT_RECORDS)).await;
        if all.is_err() {
            tracing::warn!("records in flight are given up with the old credentials and will be sent again");
        }
        let old = std::mem::replace(&mut *self.client.write(), Arc::new(new));
        drop(all);
        // Ending a client waits for its thread.
        drop(spawn_blocking(move || drop(old)).await);
    }
}

fn client(kafka: &KafkaArgs, metrics: &BusMetrics, lost: &watch::Sender<()>) -> anyhow::Result<Client> {
    let reports = Reports::new(metrics.clone(), kafka.principal(), lost.clone());
    let client = kafka.producer_config().create_with_context(reports);
    client.context("creating the Kafka producer")
}

/// Leads the client back to its bootstrap servers whenever all brokers are lost, while there is one.
async fn begin_again(producer: Weak<Shared>, mut is_lost: watch::Receiver<()>) {
    while is_lost.changed().await.is_ok() {
        let Some(shared) = producer.upgrade() else { return };
        bootstrap::begin_again(shared.client().client(), &shared.kafka.kafka_brokers);
    }
}

/// Renews the client when its credentials have changed, once brokers let the new one in, while there is one.
async fn renew(producer: Weak<Shared>, mut credentials: CredentialFiles) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(shared) = producer.upgrade() else { return };
        let (kafka, metrics, lost) = (shared.kafka.clone(), shared.metrics.clone(), shared.lost.clone());
        let look = move || {
            let renewed = credentials.renew(|| {
                let client = client(&kafka, &metrics, &lost)?;
                sign_of_life(client.client())?;
                Ok(client)
            });
            (credentials, renewed)
        };
        // The runtime ends, and the producer with it.
        let Ok(looked) = spawn_blocking(look).await else {
            return;
        };
        credentials = looked.0;
        if let Some(new) = looked.1 {
            shared.go_on_with(new).await;
        }
    }
}

/// The report of a record, to come. Dropping it does not take the record back.
#[derive(Debug)]
#[must_use = "a record is persisted only once its report says so"]
pub struct Delivery(oneshot::Receiver<Result<Delivered, ProduceError>>);

impl Future for Delivery {
    type Output = Result<Delivered, ProduceError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        let report = ready!(Pin::new(&mut self.0).poll(context));
        // The client was dropped with the record in flight.
        Poll::Ready(report.unwrap_or_else(|_| {
            Err(ProduceError::Unknown {
                source: KafkaError::MessageProduction(RDKafkaErrorCode::PurgeInflight),
            })
        }))
    }
}

fn headers(headers: &[(&str, &[u8])]) -> Option<OwnedHeaders> {
    if headers.is_empty() {
        return None;
    }
    let new = OwnedHeaders::new_with_capacity(headers.len());
    Some(headers.iter().fold(new, |all, &(key, value)| {
        all.insert(Header {
            key,
            value: Some(value),
        })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lost::{Servers, bus, nowhere};

    /// Longest time for anything that is waited for.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_producer_that_has_lost_all_brokers_is_led_back() {
        let servers = Servers::start().await;
        let _producer = Producer::start(&servers.kafka(), bus(), &nowhere()).unwrap();
        servers.are_asked().await;
    }

    /// Waits until one record is handed over and has no report.
    async fn one_is_in_flight(producer: &Producer) {
        let deadline = Instant::now() + PATIENCE;
        while producer.0.records.available_permits() + 1 != IN_FLIGHT_RECORDS as usize {
            assert!(Instant::now() < deadline, "nothing is in flight");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_up_with_its_client_may_be_persisted_and_is_sent_again() {
        let (bus, lost) = (bus(), watch::Sender::new(()));
        let producer = Producer::new(&nowhere(), bus.clone()).unwrap();
        let persisting = tokio::spawn({
            let producer = producer.clone();
            async move {
                let record = OutRecord {
                    topic: "topic",
                    partition: None,
                    key: b"key",
                    payload: Some(b"payload"),
                    headers: &[],
                };
                producer.persist(record).await
            }
        });
        one_is_in_flight(&producer).await;
        let next = client(&nowhere(), &bus, &lost).unwrap();
        producer.0.go_on_with(next).await;
        one_is_in_flight(&producer).await;
        assert!(!persisting.is_finished());
        persisting.abort();
    }
}
