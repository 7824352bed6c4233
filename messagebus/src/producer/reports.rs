//! Delivery reports, on the client's own thread.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Message, Statistics,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{DeliveryResult, NoCustomPartitioner, ProducerContext},
};
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use super::{Delivered, ProduceError};
use crate::metrics::{BusMetrics, TopicMetrics};
use crate::trouble::Trouble;

/// What travels with a record until its report.
pub(super) struct Report {
    pub(super) answer: oneshot::Sender<Result<Delivered, ProduceError>>,
    pub(super) topic: Arc<TopicMetrics>,
    pub(super) started: Instant,
    /// The room it takes, given back with the report.
    pub(super) _room: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

pub(super) struct Reports {
    metrics: BusMetrics,
    /// Who sends, as the brokers' ACLs name it.
    principal: String,
    topics: Mutex<HashMap<String, Arc<TopicMetrics>>>,
    dead: AtomicBool,
    /// Told when all brokers are lost.
    lost: watch::Sender<()>,
    trouble: Trouble,
}

impl Reports {
    pub(super) fn new(metrics: BusMetrics, principal: String, lost: watch::Sender<()>) -> Self {
        Self {
            metrics,
            principal,
            lost,
            topics: Mutex::new(HashMap::new()),
            dead: AtomicBool::new(false),
            trouble: Trouble::of("producer"),
        }
    }

    /// The metrics of a topic, with every failure at 0 from its first record on.
    pub(super) fn topic(&self, topic: &str) -> Arc<TopicMetrics> {
        let mut topics = self.topics.lock();
        if let Some(known) = topics.get(topic) {
            return Arc::clone(known);
        }
        let new = Arc::new(self.metrics.topic(topic));
        topics.insert(topic.to_owned(), Arc::clone(&new));
        new
    }

    /// Counts a failure of a record to `topic` and says what it means.
    pub(super) fn refused(&self, report: &Report, topic: &str, error: &KafkaError) -> ProduceError {
        let dead = self.dead.load(Ordering::Acquire);
        let error = ProduceError::classify(error.clone(), dead, topic, &self.principal);
        report.topic.failed(error.reason());
        error
    }
}

impl ClientContext for Reports {
    #[expect(clippy::cast_precision_loss, reason = "fewer records than 2^52")]
    fn stats(&self, statistics: Statistics) {
        self.metrics.producer_queue().set(statistics.msg_cnt as f64);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.trouble.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.dead.store(true, Ordering::Release);
            tracing::error!(
                error = &error as &dyn std::error::Error,
                reason,
                "the Kafka producer has died"
            );
        } else {
            if bootstrap::all_are_lost(&error) {
                self.lost.send_replace(());
            }
            self.trouble.error(error, reason);
        }
    }
}

impl ProducerContext<NoCustomPartitioner> for Reports {
    type DeliveryOpaque = Box<Report>;

    fn delivery(&self, result: &DeliveryResult<'_>, report: Box<Report>) {
        let outcome = match result {
            Ok(message) => {
                report
                    .topic
                    .delivered(message.partition(), report.started.elapsed());
                Ok(Delivered {
                    partition: message.partition(),
                    offset: message.offset(),
                })
            }
            Err((error, message)) => Err(self.refused(&report, message.topic(), error)),
        };
        // Nobody may be waiting for it, which is the caller's choice.
        drop(report.answer.send(outcome));
    }
}
