//! What the last check found, and what it must remember for the next.

use std::{collections::HashMap, time::Duration};

use super::verdict::{BrokerWatch, Sight, Verdict, Watch};
use crate::{clock::BootInstant, consumer::Consumer};

/// A consumer as a check saw it.
pub(super) struct Subject {
    pub(super) group: String,
    pub(super) topic: String,
    pub(super) stuck_after: Duration,
    pub(super) joined: bool,
    /// When its polling thread last went round.
    pub(super) turned: BootInstant,
    pub(super) partitions: Vec<(i32, Sight)>,
}

impl Subject {
    pub(super) fn see(consumer: &Consumer) -> Self {
        let options = consumer.options();
        let seen = consumer.seen().into_iter().map(|seen| {
            let (committed, caught_up, excused) = (seen.committed, seen.caught_up, seen.excused);
            (
                seen.partition,
                Sight {
                    committed,
                    caught_up,
                    excused,
                },
            )
        });
        Self {
            group: options.group.clone(),
            topic: options.topic.clone(),
            stuck_after: options.stuck_after,
            joined: consumer.has_joined(),
            turned: consumer.turned(),
            partitions: seen.collect(),
        }
    }
}

#[derive(Default)]
pub(super) struct Report {
    broker: BrokerWatch,
    broker_unhealthy: bool,
    /// By group and partition. One that is revoked is forgotten, so that it starts fresh when it comes back.
    watches: HashMap<(String, i32), Watch>,
    stuck: Vec<String>,
}

impl Report {
    /// Takes in what a check saw.
    pub(super) fn update(&mut self, subjects: &[Subject], answered: bool, now: BootInstant) {
        self.broker_unhealthy = !self.broker.judge(answered, now);
        let mut before = std::mem::take(&mut self.watches);
        self.stuck.clear();
        for subject in subjects {
            // Its partitions may be another's by now, and move there: the group lets go of who does not poll.
            if now.since(subject.turned) > subject.stuck_after {
                self.stuck.push(format!(
                    "the thread that polls {} in {} stands still",
                    subject.topic, subject.group
                ));
            }
            for &(partition, sight) in &subject.partitions {
                let key = (subject.group.clone(), partition);
                let mut watch = before.remove(&key).unwrap_or_else(|| Watch::new(now));
                if watch.judge(sight, now, subject.stuck_after) == Verdict::Stuck {
                    self.stuck.push(format!(
                        "{}[{partition}] is stuck in {}",
                        subject.topic, subject.group
                    ));
                }
                self.watches.insert(key, watch);
            }
        }
    }

    pub(super) fn is_broker_healthy(&self) -> bool {
        !self.broker_unhealthy
    }

    /// A sentence for each stuck partition, and each polling thread that stands still.
    pub(super) fn stuck(&self) -> &[String] {
        &self.stuck
    }
}
