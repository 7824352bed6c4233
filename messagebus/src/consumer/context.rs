//! What librdkafka calls back: rebalances, commits, statistics. All of it runs on the polling thread, until the
//! consumer is done with the client.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    topic_partition_list::TopicPartitionListElem,
};

use super::{lag::End, shared::Shared, stats::Statistics, topic_list};
use crate::{
    clock::now_ms,
    metrics::{ConsumerError, RebalanceKind},
    trouble::Trouble,
};

pub(super) struct Callbacks {
    shared: Arc<Shared>,
    /// When the oldest commit without an answer was sent.
    commit_sent: Mutex<Option<Instant>>,
    /// What this consumer last added to the gauge that all consumers of the process share.
    queue_bytes: Mutex<f64>,
    /// Its consumer is done with it, and may have another client: what it hears means nothing any more.
    disowned: AtomicBool,
    trouble: Trouble,
}

impl Callbacks {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            trouble: Trouble::of(&shared.options.topic),
            shared,
            commit_sent: Mutex::new(None),
            queue_bytes: Mutex::new(0.0),
            disowned: AtomicBool::new(false),
        }
    }

    /// Notes that a commit is on its way.
    pub(super) fn commit_sent(&self) {
        self.commit_sent.lock().get_or_insert_with(Instant::now);
    }

    /// Gives every partition up and hears nothing from now on, whatever becomes of the client.
    pub(super) fn disown(&self, kind: RebalanceKind) {
        self.disowned.store(true, Ordering::Release);
        let partitions = self.shared.lock().ledger.assigned();
        if !partitions.is_empty() {
            tracing::info!(
                topic = self.shared.options.topic,
                ?partitions,
                "partitions given up"
            );
            self.given_up(&partitions, kind);
        }
    }

    fn is_disowned(&self) -> bool {
        self.disowned.load(Ordering::Acquire)
    }

    fn assigned(&self, partitions: &[i32]) {
        tracing::info!(
            topic = self.shared.options.topic,
            ?partitions,
            "partitions assigned"
        );
        self.shared.change(|state| {
            state.joined = true;
            state.ledger.assign(partitions.iter().copied());
            state
                .ends
                .extend(partitions.iter().map(|&partition| (partition, End::default())));
        });
        self.shared.metrics.bus().rebalances(RebalanceKind::Assign).inc();
        self.count_assigned();
    }

    fn revoked(&self, consumer: &BaseConsumer<Self>, partitions: &[i32]) {
        let lost = consumer.assignment_lost();
        tracing::info!(
            topic = self.shared.options.topic,
            ?partitions,
            lost,
            "partitions revoked"
        );
        self.shared
            .change(|state| state.ledger.start_revoking(partitions));
        if !lost {
            self.shared
                .wait_for_begun(partitions, self.shared.options.revoke_grace);
            self.commit_before_leaving(consumer, partitions);
        }
        let kind = if lost {
            RebalanceKind::Lost
        } else {
            RebalanceKind::Revoke
        };
        self.given_up(partitions, kind);
    }

    fn given_up(&self, partitions: &[i32], kind: RebalanceKind) {
        self.shared.change(|state| {
            state.ledger.remove(partitions);
            state.ends.retain(|partition, _| !partitions.contains(partition));
        });
        self.shared.metrics.bus().rebalances(kind).inc();
        for &partition in partitions {
            self.shared.metrics.forget(partition);
        }
        self.count_assigned();
    }

    fn commit_before_leaving(&self, consumer: &BaseConsumer<Self>, partitions: &[i32]) {
        let due = self.shared.lock().ledger.unacknowledged(partitions);
        if due.is_empty() {
            return;
        }
        if let Err(error) = consumer.commit(&topic_list(&self.shared.options.topic, &due), CommitMode::Sync) {
            self.not_committed(&error);
        }
    }

    /// Counts a commit that failed, unless a rebalance overtook it: that is part of every rebalance. What it was for is
    /// due again, or the next owner's to read again.
    pub(super) fn not_committed(&self, error: &KafkaError) {
        let error_of = error as &dyn std::error::Error;
        if is_overtaken(error) {
            tracing::debug!(error = error_of, "a rebalance has overtaken a commit");
            return;
        }
        self.shared.metrics.errors(ConsumerError::OffsetCommit).inc();
        tracing::warn!(error = error_of, "offsets were not committed");
    }

    fn count_assigned(&self) {
        let assigned = self.shared.lock().ledger.assigned().len();
        self.shared.metrics.assigned(assigned);
    }

    fn committed(&self, partition: &TopicPartitionListElem<'_>, failed: bool) {
        let offset = partition.offset().to_raw().filter(|&offset| offset >= 0);
        let mut state = self.shared.lock();
        match offset {
            Some(offset) if !failed && partition.error().is_ok() => {
                state.ledger.acknowledge(partition.partition(), offset);
            }
            _ => state.ledger.refuse(partition.partition()),
        }
    }

    fn observe(&self, statistics: &Statistics) {
        let shared = &self.shared;
        let mut state = shared.lock();
        state.joined = state.joined || statistics.has_joined();
        for figures in statistics.partitions(&shared.options.topic) {
            if let Some(end) = state.ends.get_mut(&figures.partition) {
                end.observe(figures.lo_offset, figures.hi_offset, figures.eof_offset);
            }
            if figures.committed_offset >= 0 {
                state
                    .ledger
                    .acknowledge(figures.partition, figures.committed_offset);
            }
        }
    }

    /// Exports the partitions' figures.
    #[expect(
        clippy::cast_precision_loss,
        reason = "gauges are floating point, exact up to 2^52"
    )]
    fn export(&self) {
        for status in self.shared.statuses(now_ms()) {
            let metrics = self.shared.metrics.partition(status.partition);
            metrics.lag_messages.set(status.lag_messages as f64);
            metrics.lag_seconds.set(status.lag_seconds);
            if let Some(committed) = status.committed {
                metrics.committed.set(committed as f64);
            }
            if let Some(high) = status.high_watermark {
                metrics.high_watermark.set(high as f64);
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "less memory than 2^52 bytes")]
    fn export_queue(&self, bytes: u64) {
        let mut last = self.queue_bytes.lock();
        self.shared.metrics.bus().queue_bytes().add(bytes as f64 - *last);
        *last = bytes as f64;
    }
}

impl ClientContext for Callbacks {
    fn stats_raw(&self, statistics: &[u8]) {
        if self.is_disowned() {
            return;
        }
        match Statistics::parse(statistics) {
            Ok(statistics) => {
                self.observe(&statistics);
                self.export();
                self.export_queue(statistics.queue_bytes());
            }
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "statistics do not parse"
            ),
        }
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.trouble.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.trouble.error(error, reason);
    }
}

impl ConsumerContext for Callbacks {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if self.is_disowned() {
            return;
        }
        match rebalance {
            Rebalance::Revoke(list) => self.revoked(consumer, &numbers(list)),
            Rebalance::Assign(list) => self.assigned(&numbers(list)),
            Rebalance::Error(error) => {
                self.shared.metrics.errors(ConsumerError::Rebalance).inc();
                tracing::error!(error = error as &dyn std::error::Error, "a rebalance failed");
            }
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        if self.is_disowned() {
            return;
        }
        if let Some(sent) = self.commit_sent.lock().take() {
            self.shared
                .metrics
                .bus()
                .step("commit")
                .observe(sent.elapsed().as_secs_f64());
        }
        if let Err(error) = &result {
            self.not_committed(error);
        }
        for partition in offsets.elements() {
            self.committed(&partition, result.is_err());
        }
    }
}

impl Drop for Callbacks {
    fn drop(&mut self) {
        self.export_queue(0);
    }
}

/// Whether the group had moved on when a commit arrived.
fn is_overtaken(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::RebalanceInProgress
                | RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::UnknownMemberId
        )
    )
}

fn numbers(list: &TopicPartitionList) -> Vec<i32> {
    list.elements()
        .iter()
        .map(TopicPartitionListElem::partition)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::{ConsumerOptions, worker::client};
    use crate::lost::{bus, nowhere};

    #[test]
    fn a_client_that_was_let_go_takes_nothing_from_its_successor() {
        let options = ConsumerOptions::new("topic", "group");
        let shared = Arc::new(Shared::new(options, bus().group("group", "topic")));
        let old = client(&nowhere(), &shared).unwrap();
        let held = || shared.lock().ledger.assigned();
        let both = topic_list("topic", &[(0, 0), (1, 0)]);
        old.context().pre_rebalance(&old, &Rebalance::Assign(&both));
        assert_eq!(held(), [0, 1]);
        old.context().disown(RebalanceKind::Lost);
        assert!(held().is_empty());

        shared.change(|state| state.ledger.assign([1]));
        old.context().pre_rebalance(&old, &Rebalance::Assign(&both));
        old.context().pre_rebalance(&old, &Rebalance::Revoke(&both));
        assert_eq!(held(), [1]);
    }
}
