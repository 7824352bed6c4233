//! The polling thread.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use rdkafka::{
    Message,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::BorrowedMessage,
};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::{
    Record, RecordBatch,
    context::Callbacks,
    filling::{Filled, Filling},
    leaving::leave,
    shared::Shared,
    topic_list,
};
use crate::{
    args::KafkaArgs, client::sign_of_life, credentials::CredentialFiles, ledger::View,
    metrics::ConsumerError, trace::Origins,
};

/// Longest wait for a record, and so for a request to pause, rewind or stop to be heard.
const POLL: Duration = Duration::from_millis(50);
/// Time between two commits.
const COMMIT_EVERY: Duration = Duration::from_millis(200);
/// How long a commit may go unanswered before it is sent again.
const RECOMMIT_EVERY: Duration = Duration::from_secs(5);
/// Batches that wait for their reader, from which on the next one grows to its full size: a hundred small ones would
/// fill the channel long before the buffer.
const BEHIND: usize = 2;
/// A seek only changes state inside the client; this bounds a fault of it.
const SEEK_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes the client of a group member.
pub(super) fn client(
    kafka: &KafkaArgs,
    shared: &Arc<Shared>,
) -> anyhow::Result<Arc<BaseConsumer<Callbacks>>> {
    let mut config = kafka.group_config(&shared.options.group);
    config
        .set("fetch.min.bytes", "65536")
        .set("fetch.wait.max.ms", "100")
        .set("max.partition.fetch.bytes", "1048576")
        // Prefetched records are thrown away at a pause, so the backlog is held in our own buffer instead.
        .set("queued.max.messages.kbytes", "4096")
        .set("statistics.interval.ms", "1000");
    let client = config
        .create_with_context(Callbacks::new(Arc::clone(shared)))
        .context("creating the Kafka consumer")?;
    Ok(Arc::new(client))
}

/// Joins the group with a client, which questions are put to from now on.
fn join(client: &Arc<BaseConsumer<Callbacks>>, shared: &Shared) -> anyhow::Result<()> {
    shared.set_client(client);
    client.subscribe(&[&shared.options.topic]).context("subscribing")
}

pub(super) struct Worker {
    kafka: KafkaArgs,
    credentials: CredentialFiles,
    client: Arc<BaseConsumer<Callbacks>>,
    shared: Arc<Shared>,
    batches: mpsc::Sender<RecordBatch>,
    /// Batches that the channel had no room for. Partitions are paused meanwhile, so they are few.
    waiting: VecDeque<RecordBatch>,
    filling: Filling,
    /// Of the records in `filling`.
    origins: Origins,
    /// The version of the assignment that `filling` knows.
    seen: u64,
    assigned: Vec<View>,
    /// Partitions that librdkafka was told to pause.
    paused: BTreeSet<i32>,
    /// New ones: they may be paused from an earlier assignment, or not.
    untold: BTreeSet<i32>,
    /// The buffer was full and has not drained yet.
    full: bool,
    committed_at: Instant,
    /// When commits that nobody has answered were last made due again.
    recommitted_at: Instant,
    dead: bool,
}

impl Worker {
    /// Makes the client and joins the group.
    ///
    /// # Errors
    /// The client cannot be made from its settings.
    pub(super) fn start(
        kafka: &KafkaArgs,
        shared: Arc<Shared>,
        batches: mpsc::Sender<RecordBatch>,
    ) -> anyhow::Result<Self> {
        let credentials = kafka.credentials(shared.metrics.bus());
        let client = client(kafka, &shared)?;
        join(&client, &shared)?;
        let options = &shared.options;
        let filling = Filling::new(Arc::clone(&shared.buffer), options.max_records, options.max_wait);
        Ok(Self {
            kafka: kafka.clone(),
            credentials,
            client,
            shared,
            batches,
            waiting: VecDeque::new(),
            filling,
            origins: Origins::default(),
            seen: 0,
            assigned: Vec::new(),
            paused: BTreeSet::new(),
            untold: BTreeSet::new(),
            full: false,
            committed_at: Instant::now(),
            recommitted_at: Instant::now(),
            dead: false,
        })
    }

    /// Polls until the consumer is closed or its client has died.
    pub(super) fn run(mut self) {
        while !self.dead && !self.shared.is_stopping() {
            self.shared.turn();
            self.follow();
            self.fill();
            self.hand_over();
            self.pause_or_resume();
            self.commit_when_due();
            self.renew_when_due();
        }
        self.leave();
    }

    /// Goes on with a client that has the credentials as they are now, once brokers let it in. The old one leaves
    /// as in any rebalance: begun spans are waited for and committed, all others will be read again.
    fn renew_when_due(&mut self) {
        let (kafka, shared) = (&self.kafka, &self.shared);
        let renewed = self.credentials.renew(|| {
            let client = client(kafka, shared)?;
            sign_of_life(client.client())?;
            Ok(client)
        });
        let Some(new) = renewed else { return };
        leave(std::mem::replace(&mut self.client, new), &self.shared);
        // Nothing is assigned now, and the new client has paused nothing.
        self.follow();
        if let Err(error) = join(&self.client, &self.shared) {
            self.dead = true;
            tracing::error!("the group cannot be joined again: {error:#}");
        }
    }

    /// Polls what is there, and waits for a record only where none is.
    fn fill(&mut self) {
        let client = Arc::clone(&self.client);
        let mut wait = self.wait();
        while !self.filling.is_full() {
            match client.poll(wait) {
                Some(Ok(message)) => {
                    self.take(&record(&message));
                    self.origins.add_of(&message);
                }
                Some(Err(error)) => return self.count(&error),
                None => return,
            }
            wait = Duration::ZERO;
        }
    }

    fn take(&mut self, record: &Record<'_>) {
        if self.shared.version() != self.seen {
            let before = self.filling.epoch(record.partition);
            self.follow();
            // The record was polled before the seek that began the new epoch, so the seek brings it again.
            if before.is_some() && before != self.filling.epoch(record.partition) {
                return;
            }
        }
        self.filling.push(record, Instant::now);
    }

    /// How long a poll may wait: until the batch is due.
    fn wait(&self) -> Duration {
        let due = self.time_left().unwrap_or(POLL);
        // librdkafka counts milliseconds: a shorter wait would be none, and the loop would spin.
        due.clamp(Duration::from_millis(1), POLL)
    }

    /// How long the batch may still grow: nothing says so while it is empty or its reader is behind.
    fn time_left(&self) -> Option<Duration> {
        let waiting = self.batches.max_capacity() - self.batches.capacity();
        self.filling
            .time_left(Instant::now())
            .filter(|_| waiting < BEHIND)
    }

    fn hand_over(&mut self) {
        let due = self.time_left().is_some_and(|left| left.is_zero());
        if due || self.filling.is_full() || self.shared.buffer.is_full() {
            self.close_batch();
        }
        while let Some(batch) = self.waiting.pop_front() {
            match self.batches.try_send(batch) {
                Ok(()) => {}
                Err(TrySendError::Full(batch) | TrySendError::Closed(batch)) => {
                    self.waiting.push_front(batch);
                    return;
                }
            }
        }
    }

    /// Ends the batch under way and enters its spans into the ledger; what is stale by now is dropped there.
    fn close_batch(&mut self) {
        let read = self.filling.age(Instant::now());
        let origins = std::mem::take(&mut self.origins);
        let Some((arena, mut spans)) = self.filling.close() else {
            return;
        };
        let mut state = self.shared.lock();
        spans.retain(|filled| state.ledger.deliver(&filled.span));
        drop(state);
        if spans.is_empty() {
            return;
        }
        self.shared
            .metrics
            .bus()
            .step("kafka_read")
            .observe(read.as_secs_f64());
        for Filled { span, bytes } in &spans {
            self.shared
                .metrics
                .partition(span.partition)
                .polled(span.records, *bytes);
        }
        let spans = spans.into_iter().map(|filled| filled.span).collect();
        let buffer = Arc::clone(&self.shared.buffer);
        self.waiting
            .push_back(RecordBatch::new(arena, spans, origins, buffer));
    }

    /// Takes note of a changed assignment, and seeks where an epoch is new.
    fn follow(&mut self) {
        if self.shared.version() == self.seen && !self.filling.waits_for_seek() {
            return;
        }
        self.close_batch();
        let (version, views) = self.shared.views();
        let seeks = self.filling.follow(&views);
        let held = |partition: &i32| self.assigned.iter().any(|view| view.partition == *partition);
        let new: Vec<i32> = views
            .iter()
            .map(|view| view.partition)
            .filter(|number| !held(number))
            .collect();
        let is_held = |partition: &i32| views.iter().any(|view| view.partition == *partition);
        self.paused.retain(is_held);
        self.untold.retain(is_held);
        self.untold.extend(new);
        self.seen = version;
        self.assigned = views;
        self.seek(&seeks);
        self.pause_or_resume();
    }

    fn seek(&mut self, seeks: &[(i32, i64)]) {
        if seeks.is_empty() {
            return;
        }
        match self
            .client
            .seek_partitions(topic_list(&self.shared.options.topic, seeks), SEEK_TIMEOUT)
        {
            Ok(results) => {
                for result in results.elements() {
                    match (
                        result.error(),
                        seeks
                            .iter()
                            .find(|(partition, _)| *partition == result.partition()),
                    ) {
                        (Ok(()), Some(&(partition, offset))) => self.filling.sought(partition, offset),
                        (error, _) => {
                            tracing::warn!(partition = result.partition(), ?error, "seek is due again");
                        }
                    }
                }
            }
            Err(error) => self.count(&error),
        }
    }

    /// Pauses what is not wanted now and resumes what is.
    fn pause_or_resume(&mut self) {
        let buffer = &self.shared.buffer;
        self.full = !self.waiting.is_empty() || buffer.is_full() || (self.full && !buffer.has_drained());
        let all = self.full || !self.shared.lock().pauses.is_empty();
        let wanted = |view: &&View| all || view.stopped;
        let target: BTreeSet<i32> = self
            .assigned
            .iter()
            .filter(wanted)
            .map(|view| view.partition)
            .collect();
        if target == self.paused && self.untold.is_empty() {
            return;
        }
        let topic = &self.shared.options.topic;
        let list = |partitions: BTreeSet<i32>| {
            let partitions: Vec<_> = partitions.into_iter().map(|number| (number, 0)).collect();
            topic_list(topic, &partitions)
        };
        let paused = self.client.pause(&list(&target - &self.paused));
        let resumed = self
            .client
            .resume(&list(&(&self.paused | &self.untold) - &target));
        match paused.and(resumed) {
            Ok(()) => {
                self.shared.lock().paused.clone_from(&target);
                self.paused = target;
                self.untold.clear();
            }
            Err(error) => self.count(&error),
        }
    }

    /// The one place that commits while partitions are held: what the ledger says is done without a gap.
    fn commit_when_due(&mut self) {
        if self.committed_at.elapsed() < COMMIT_EVERY {
            return;
        }
        self.committed_at = Instant::now();
        self.recommit_when_due();
        let due = self.shared.lock().ledger.take_commits();
        if due.is_empty() {
            return;
        }
        self.client.context().commit_sent();
        if let Err(error) = self
            .client
            .commit(&topic_list(&self.shared.options.topic, &due), CommitMode::Async)
        {
            self.client.context().not_committed(&error);
            let mut state = self.shared.lock();
            due.iter()
                .for_each(|&(partition, _)| state.ledger.refuse(partition));
        }
    }

    /// A commit that is sent in the middle of a rebalance may be answered by nobody, and without further records no
    /// later one would take its place.
    fn recommit_when_due(&mut self) {
        if self.recommitted_at.elapsed() >= RECOMMIT_EVERY {
            self.recommitted_at = Instant::now();
            self.shared.lock().ledger.refuse_all();
        }
    }

    /// Leaves the group.
    fn leave(self) {
        self.shared.clear_client();
        drop((self.waiting, self.batches));
        leave(self.client, &self.shared);
    }

    fn count(&mut self, error: &KafkaError) {
        let Some(reason) = reason(error) else { return };
        self.shared.metrics.errors(reason).inc();
        bootstrap::begin_again_after(error, self.client.client(), &self.kafka.kafka_brokers);
        self.dead = matches!(error, KafkaError::MessageConsumptionFatal(_));
        if self.dead {
            tracing::error!(
                topic = self.shared.options.topic,
                error = error as &dyn std::error::Error,
                "the Kafka consumer has died"
            );
        }
    }
}

/// What an error counts as; the end of a partition is none.
fn reason(error: &KafkaError) -> Option<ConsumerError> {
    if matches!(error, KafkaError::PartitionEOF(_)) {
        return None;
    }
    Some(match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::Authentication,
        ) => ConsumerError::Auth,
        Some(RDKafkaErrorCode::PollExceeded) => ConsumerError::Rebalance,
        _ => ConsumerError::Fetch,
    })
}

fn record<'m>(message: &'m BorrowedMessage<'_>) -> Record<'m> {
    Record {
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
        key: message.key(),
        payload: message.payload().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::ConsumerOptions;
    use crate::lost::{Servers, bus, nowhere};

    #[tokio::test]
    async fn a_consumer_that_has_lost_all_brokers_is_led_back() {
        let servers = Servers::start().await;
        let options = ConsumerOptions::new("topic", "group");
        let shared = Arc::new(Shared::new(options, bus().group("group", "topic")));
        let (batches, _receiver) = mpsc::channel(1);
        let mut worker = Worker::start(&nowhere(), Arc::clone(&shared), batches).unwrap();
        worker.kafka = servers.kafka();
        let polling = std::thread::spawn(move || worker.run());
        servers.are_asked().await;
        shared.stop();
        polling.join().unwrap();
    }
}
