//! The generator: one thread that makes records and hands them to Kafka, at a rate that may change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use messagebus::{KafkaArgs, now_ms};
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use tokio::sync::oneshot;

use super::mix::Mix;
use super::number::{float, whole};

/// Records between two looks at the clock.
const AT_ONCE: u64 = 500;
/// How long it waits where nothing is due, and where the client's queue is full.
const WAIT: Duration = Duration::from_millis(5);
/// What is on its way at the end has so long to arrive.
const FLUSH_WITHIN: Duration = Duration::from_secs(120);
/// The thread's name, and the beginning of those of its Kafka client.
pub(crate) const THREADS: [&str; 2] = ["generator", "rdk:"];

/// A running generator.
pub(crate) struct Flow {
    shared: Arc<Shared>,
    ended: oneshot::Receiver<anyhow::Result<()>>,
}

/// As many as Kafka takes.
pub(crate) const UNBOUNDED: u64 = u64::MAX;

struct Shared {
    /// Records a second.
    rate: AtomicU64,
    acknowledged: AtomicU64,
    refused: AtomicU64,
    is_ending: AtomicBool,
}

/// Counts what becomes of records.
struct Reports(Arc<Shared>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let counter = match result {
            Ok(_) => &self.0.acknowledged,
            Err(_) => &self.0.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Flow {
    /// Begins to produce the first `count` records of `mix`, at `rate` a second.
    ///
    /// # Errors
    /// The client cannot be created.
    pub(crate) fn start(kafka: &KafkaArgs, mix: Mix, count: u64, rate: u64) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            rate: AtomicU64::new(rate),
            acknowledged: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            is_ending: AtomicBool::new(false),
        });
        let producer: BaseProducer<Reports> = kafka
            .client_config()
            .set("acks", "all")
            .set("compression.codec", "lz4")
            .set("linger.ms", "10")
            .set("batch.size", "1000000")
            .set("queue.buffering.max.messages", "200000")
            .create_with_context(Reports(Arc::clone(&shared)))
            .context("creating the generator's Kafka client")?;
        let topic = kafka.topics().cache_misses();
        let making = Arc::clone(&shared);
        let (end, ended) = oneshot::channel();
        let [name, _] = THREADS;
        // A thread of its own, with a name by which its CPU time is told apart.
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || end.send(generate(&producer, &topic, mix, count, &making)))
            .context("starting the generator's thread")?;
        Ok(Self { shared, ended })
    }

    /// Changes the rate, in records a second.
    pub(crate) fn set_rate(&self, rate: u64) {
        self.shared.rate.store(rate, Ordering::Relaxed);
    }

    /// Records that Kafka has acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// Ends early, and waits until what was made is acknowledged; says how many were.
    ///
    /// # Errors
    /// Kafka did not take a record.
    pub(crate) async fn end(self) -> anyhow::Result<u64> {
        self.shared.is_ending.store(true, Ordering::Relaxed);
        self.complete().await
    }

    /// Waits until all records are acknowledged; says how many there were.
    ///
    /// # Errors
    /// Kafka did not take a record.
    pub(crate) async fn complete(mut self) -> anyhow::Result<u64> {
        (&mut self.ended)
            .await
            .context("the generator's thread has died")??;
        let refused = self.shared.refused.load(Ordering::Relaxed);
        anyhow::ensure!(
            refused == 0,
            "Kafka refused {refused} of the generator's records; see its log"
        );
        Ok(self.shared.acknowledged.load(Ordering::Relaxed))
    }
}

/// A generator that nobody waits for any more ends as well.
impl Drop for Flow {
    fn drop(&mut self) {
        self.shared.is_ending.store(true, Ordering::Relaxed);
    }
}

fn generate(
    producer: &BaseProducer<Reports>,
    topic: &str,
    mix: Mix,
    count: u64,
    shared: &Shared,
) -> anyhow::Result<()> {
    let mut pace = Pace::new();
    let mut next = 0;
    while next < count && !shared.is_ending.load(Ordering::Relaxed) {
        let due = pace.due(shared.rate.load(Ordering::Relaxed));
        if due == 0 {
            producer.poll(WAIT);
            continue;
        }
        let now = now_ms();
        let to = count.min(next + due);
        for n in next..to {
            let (key, payload) = mix.record(n, now);
            send(producer, topic, &key, &payload)?;
        }
        pace.sent(to - next);
        next = to;
        producer.poll(Duration::ZERO);
    }
    producer
        .flush(FLUSH_WITHIN)
        .context("waiting for Kafka to acknowledge the generator's last records")
}

/// Hands a record over; waits while the client's queue is full.
fn send(producer: &BaseProducer<Reports>, topic: &str, key: &str, payload: &[u8]) -> anyhow::Result<()> {
    let mut record = BaseRecord::to(topic).key(key).payload(payload);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                producer.poll(WAIT);
                record = back;
            }
            Err((error, _)) => return Err(error).with_context(|| format!("producing to {topic}")),
        }
    }
}

/// How many records are due, while the rate changes.
struct Pace {
    last: Instant,
    credit: f64,
}

impl Pace {
    fn new() -> Self {
        Self {
            last: Instant::now(),
            credit: 0.0,
        }
    }

    /// How many to send now. What a stall of more than a second left undone is given up.
    fn due(&mut self, rate: u64) -> u64 {
        let now = Instant::now();
        let passed = now.duration_since(std::mem::replace(&mut self.last, now));
        if rate == UNBOUNDED {
            return AT_ONCE;
        }
        self.credit = (self.credit + passed.as_secs_f64() * float(rate)).min(float(rate) + 1.0);
        whole(self.credit).min(AT_ONCE)
    }

    fn sent(&mut self, records: u64) {
        self.credit = (self.credit - float(records)).max(0.0);
    }
}
