//! Questions to the broker that may block: asked by the health task's thread, never by the polling thread.

use std::time::Duration;

use rdkafka::{consumer::Consumer as _, error::KafkaResult};

use super::{Consumer, topic_list};
use crate::{clock::BootInstant, ledger::Progress};

/// Bounds each question.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The polling thread takes in statistics, each second: while it stands still for this long they tell nothing.
const STILL: Duration = Duration::from_secs(10);

/// What the health check sees of a partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) partition: i32,
    /// The group's committed offset.
    pub(crate) committed: Option<i64>,
    /// Nothing is left to be consumed and committed.
    pub(crate) caught_up: bool,
    /// Its records are held back on purpose.
    pub(crate) excused: bool,
}

impl Consumer {
    /// Asks for the group's committed offsets, and for the ends of partitions of which no statistics tell: paused
    /// ones, and all while the polling thread stands still. Blocks.
    ///
    /// # Errors
    /// No broker answered.
    pub(crate) fn probe(&self) -> KafkaResult<()> {
        let shared = self.shared();
        let Some(client) = shared.client() else {
            return Ok(());
        };
        let (assigned, untold) = {
            let state = shared.lock();
            let assigned = state.ledger.assigned();
            let is_still = BootInstant::now().since(shared.turned()) > STILL;
            let untold = if is_still {
                assigned.iter().copied().collect()
            } else {
                state.paused.clone()
            };
            (assigned, untold)
        };
        let topic = &shared.options.topic;
        if assigned.is_empty() {
            return client.fetch_metadata(Some(topic), TIMEOUT).map(drop);
        }
        let list: Vec<_> = assigned.iter().map(|&partition| (partition, 0)).collect();
        let committed = client.committed_offsets(topic_list(topic, &list), TIMEOUT)?;
        for partition in committed.elements() {
            if let Some(offset) = partition.offset().to_raw().filter(|&offset| offset >= 0) {
                shared.lock().ledger.acknowledge(partition.partition(), offset);
            }
        }
        for partition in untold {
            let (low, high) = client.fetch_watermarks(topic, partition, TIMEOUT)?;
            if let Some(end) = shared.lock().ends.get_mut(&partition) {
                end.low = Some(low);
                end.high = Some(high);
            }
        }
        Ok(())
    }

    /// When the polling thread last went round: each 50 ms where nothing holds it.
    pub(crate) fn turned(&self) -> BootInstant {
        self.shared().turned()
    }

    /// What is known of each partition.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let state = self.shared().lock();
        let excused = state.is_excused();
        let see = |(partition, progress): (i32, Progress)| Seen {
            partition,
            committed: progress.committed,
            caught_up: state
                .ends
                .get(&partition)
                .is_some_and(|end| end.is_caught_up(&progress)),
            excused: progress.stopped || excused,
        };
        state.ledger.progress().into_iter().map(see).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::watch;

    use super::*;
    use crate::consumer::{ConsumerOptions, shared::Shared};
    use crate::lost::bus;

    /// One that holds these partitions.
    fn consumer<const N: usize>(partitions: [i32; N]) -> Consumer {
        let options = ConsumerOptions::new("topic", "group");
        let shared = Arc::new(Shared::new(options, bus().group("group", "topic")));
        shared.change(|state| state.ledger.assign(partitions));
        Consumer::new(shared, watch::channel(false).1)
    }

    #[test]
    fn nothing_is_expected_of_an_input_that_is_paused_nor_of_a_partition_that_is_stopped() {
        let consumer = consumer([0, 1]);
        let excused = || -> Vec<bool> { consumer.seen().iter().map(|seen| seen.excused).collect() };
        assert_eq!(excused(), [false, false]);
        consumer.pause("lease");
        consumer.pause("zones");
        consumer.resume("lease");
        assert_eq!(excused(), [true, true], "one reason is left");
        consumer.resume("zones");
        assert!(consumer.stop_partition(1));
        assert_eq!(excused(), [false, true]);
    }

    #[test]
    fn an_excuse_ends_by_itself() {
        let consumer = consumer([0]);
        let is_excused = || consumer.seen().first().unwrap().excused;
        assert!(!is_excused());
        consumer.excuse(Duration::from_secs(600));
        assert!(is_excused());
        consumer.excuse(Duration::ZERO);
        assert!(!is_excused());
    }
}
