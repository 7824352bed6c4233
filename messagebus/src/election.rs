//! Elects one process: the owner of partition 0 of `generations` in a consumer group of its own.
//!
//! It serves liveness only. A process that was stopped and continued may believe itself elected for a moment
//! beside its successor, so what the elected do must stay correct with two of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use rdkafka::{
    ClientContext, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance},
    error::KafkaError,
};
use tokio::sync::watch;

use crate::{
    args::KafkaArgs,
    client::sign_of_life,
    credentials::{CredentialFiles, LEAVE_WITHIN},
    ending::end,
    metrics::{BusMetrics, ConsumerError, GroupMetrics, RebalanceKind},
    trouble::Trouble,
};

/// The partition whose owner is elected.
const PARTITION: i32 = 0;
/// Longest wait for an event of the group.
const POLL: Duration = Duration::from_millis(100);
/// How long one who resigned stays away: longer than a rebalance, so that another is elected meanwhile.
const AWAY: Duration = Duration::from_secs(15);

/// A process that stands for election. Dropping it leaves the group.
#[derive(Debug)]
pub struct Candidate {
    wishes: Arc<Wishes>,
}

#[derive(Debug, Default)]
struct Wishes {
    resign: AtomicBool,
    stop: AtomicBool,
}

impl Candidate {
    /// Hands over: leaves the group, and stands again after 15 s. Without another candidate nobody is elected
    /// meanwhile.
    pub fn resign(&self) {
        self.wishes.resign.store(true, Ordering::Release);
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        self.wishes.stop.store(true, Ordering::Release);
    }
}

/// Stands for election; the receiver says whether this process is elected, false at first. Its sender is gone
/// when the client has died or the candidate was dropped.
///
/// # Errors
/// The client cannot be created from its settings, or the thread cannot be started.
pub fn elect(kafka: &KafkaArgs, metrics: BusMetrics) -> anyhow::Result<(Candidate, watch::Receiver<bool>)> {
    let (thread, is_elected) = Thread::new(kafka, &metrics)?;
    let wishes = Arc::clone(&thread.wishes);
    thread.stand()?;
    std::thread::Builder::new()
        .name("kafka-election".to_owned())
        .spawn(move || thread.run())
        .context("starting the candidate's thread")?;
    Ok((Candidate { wishes }, is_elected))
}

fn client(
    kafka: &KafkaArgs,
    elected: &watch::Sender<bool>,
    metrics: &GroupMetrics,
) -> anyhow::Result<Arc<BaseConsumer<Ballot>>> {
    let context = Ballot {
        elected: elected.clone(),
        metrics: metrics.clone(),
        withdrawn: AtomicBool::new(false),
        trouble: Trouble::of("election"),
    };
    // The partition is owned, not read.
    let client = kafka
        .group_config(&kafka.topics().group("flipper"))
        .set("queued.max.messages.kbytes", "64")
        .set("fetch.wait.max.ms", "500")
        .create_with_context(context)
        .context("creating the candidate")?;
    Ok(Arc::new(client))
}

/// Lets a client leave the election's group, elected no more whatever the group's answer.
fn withdraw(client: Arc<BaseConsumer<Ballot>>, kafka: &KafkaArgs) {
    client.context().withdraw();
    end(
        client,
        &kafka.topics().group("flipper"),
        Instant::now() + LEAVE_WITHIN,
    );
}

/// Turns rebalances into the result of the election.
struct Ballot {
    elected: watch::Sender<bool>,
    metrics: GroupMetrics,
    /// Another client may stand in its place: what its group says of it means nothing any more.
    withdrawn: AtomicBool,
    trouble: Trouble,
}

impl Ballot {
    /// Says that it is not elected, once and for all.
    fn withdraw(&self) {
        self.set(false);
        self.withdrawn.store(true, Ordering::Release);
    }

    fn set(&self, elected: bool) {
        if self.withdrawn.load(Ordering::Acquire) {
            return;
        }
        if self.elected.send_replace(elected) != elected {
            tracing::info!(elected, "the election has changed");
        }
    }
}

impl ClientContext for Ballot {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.trouble.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.trouble.error(error, reason);
    }
}

impl ConsumerContext for Ballot {
    fn pre_rebalance(&self, client: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Revoke(list) => {
                let lost = client.assignment_lost();
                let kind = if lost {
                    RebalanceKind::Lost
                } else {
                    RebalanceKind::Revoke
                };
                self.metrics.bus().rebalances(kind).inc();
                if decides(list) {
                    self.set(false);
                }
            }
            Rebalance::Assign(_) => self.metrics.bus().rebalances(RebalanceKind::Assign).inc(),
            Rebalance::Error(_) => self.metrics.errors(ConsumerError::Rebalance).inc(),
        }
    }

    fn post_rebalance(&self, client: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Assign(list) = rebalance else {
            return;
        };
        if let Err(error) = client.pause(list) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the election's partition is read in vain"
            );
        }
        if decides(list) {
            self.set(true);
        }
    }
}

fn decides(list: &TopicPartitionList) -> bool {
    list.elements()
        .iter()
        .any(|element| element.partition() == PARTITION)
}

struct Thread {
    kafka: KafkaArgs,
    credentials: CredentialFiles,
    elected: watch::Sender<bool>,
    client: Arc<BaseConsumer<Ballot>>,
    topic: String,
    metrics: GroupMetrics,
    wishes: Arc<Wishes>,
    /// When one who resigned stands again.
    stands_again: Option<Instant>,
}

impl Thread {
    fn new(kafka: &KafkaArgs, metrics: &BusMetrics) -> anyhow::Result<(Self, watch::Receiver<bool>)> {
        let topics = kafka.topics();
        let (group, topic) = (topics.group("flipper"), topics.generations());
        let (elected, is_elected) = watch::channel(false);
        let metrics = metrics.group(&group, &topic);
        let credentials = kafka.credentials(metrics.bus());
        let client = client(kafka, &elected, &metrics)?;
        let thread = Self {
            kafka: kafka.clone(),
            credentials,
            elected,
            client,
            topic,
            metrics,
            wishes: Arc::default(),
            stands_again: None,
        };
        Ok((thread, is_elected))
    }

    fn run(mut self) {
        while !self.wishes.stop.load(Ordering::Acquire) {
            match self.client.poll(POLL) {
                Some(Err(KafkaError::PartitionEOF(_)) | Ok(_)) | None => {}
                Some(Err(error)) => {
                    self.metrics.errors(ConsumerError::Fetch).inc();
                    bootstrap::begin_again_after(&error, self.client.client(), &self.kafka.kafka_brokers);
                    if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
                        break;
                    }
                }
            }
            if let Err(error) = self.follow_wishes() {
                tracing::warn!("standing for election failed: {error:#}");
            }
            self.renew_when_due();
        }
        withdraw(self.client, &self.kafka);
    }

    /// Stands with the credentials as they are now, as a new candidate: who is elected hands over.
    fn renew_when_due(&mut self) {
        let (kafka, elected, metrics) = (&self.kafka, &self.elected, &self.metrics);
        let renewed = self.credentials.renew(|| {
            let client = client(kafka, elected, metrics)?;
            sign_of_life(client.client())?;
            Ok(client)
        });
        let Some(new) = renewed else { return };
        withdraw(std::mem::replace(&mut self.client, new), &self.kafka);
        // One who resigned stays away for the rest of its time.
        self.stands_again.get_or_insert_with(Instant::now);
    }

    fn follow_wishes(&mut self) -> anyhow::Result<()> {
        if self.wishes.resign.swap(false, Ordering::AcqRel) {
            self.client.unsubscribe();
            self.stands_again = Some(Instant::now() + AWAY);
        }
        if self.stands_again.is_some_and(|moment| Instant::now() >= moment) {
            self.stand()?;
            self.stands_again = None;
        }
        Ok(())
    }

    fn stand(&self) -> anyhow::Result<()> {
        self.client.subscribe(&[&self.topic]).context("subscribing")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lost::{Servers, bus, nowhere};

    /// One that does not stand yet.
    fn candidate() -> (Thread, watch::Receiver<bool>) {
        Thread::new(&nowhere(), &bus()).unwrap()
    }

    fn list(partition: i32) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        list.add_partition("test.generations", partition);
        list
    }

    #[test]
    fn the_election_is_lost_before_the_partition_is_given_up() {
        let (candidate, is_elected) = candidate();
        let (client, ballot) = (&candidate.client, candidate.client.context());
        let (deciding, other) = (list(PARTITION), list(PARTITION + 1));
        ballot.post_rebalance(client, &Rebalance::Assign(&other));
        assert!(!*is_elected.borrow());
        ballot.post_rebalance(client, &Rebalance::Assign(&deciding));
        assert!(*is_elected.borrow());
        ballot.pre_rebalance(client, &Rebalance::Revoke(&other));
        assert!(*is_elected.borrow());
        // Once the group hears that it is given up, another is elected.
        ballot.pre_rebalance(client, &Rebalance::Revoke(&deciding));
        assert!(!*is_elected.borrow());
    }

    #[test]
    fn who_leaves_is_not_elected_whatever_the_group_says() {
        let (candidate, is_elected) = candidate();
        candidate.elected.send_replace(true);
        candidate.wishes.stop.store(true, Ordering::Release);
        candidate.run();
        assert!(!*is_elected.borrow());
    }

    #[test]
    fn who_was_withdrawn_says_nothing_of_its_successor() {
        let (candidate, is_elected) = candidate();
        let (client, ballot, deciding) = (&candidate.client, candidate.client.context(), list(PARTITION));
        ballot.post_rebalance(client, &Rebalance::Assign(&deciding));
        ballot.withdraw();
        assert!(!*is_elected.borrow());
        ballot.post_rebalance(client, &Rebalance::Assign(&deciding));
        assert!(!*is_elected.borrow());
        candidate.elected.send_replace(true);
        ballot.pre_rebalance(client, &Rebalance::Revoke(&deciding));
        assert!(*is_elected.borrow());
    }

    #[tokio::test]
    async fn a_candidate_that_has_lost_all_brokers_is_led_back() {
        let servers = Servers::start().await;
        let (mut candidate, _is_elected) = candidate();
        candidate.kafka = servers.kafka();
        let wishes = Arc::clone(&candidate.wishes);
        let standing = std::thread::spawn(move || candidate.run());
        servers.are_asked().await;
        wishes.stop.store(true, Ordering::Release);
        standing.join().unwrap();
    }
}
