//! Batch ids that a lane has read: a batch that the flipper sent again is delivered once.

use std::collections::{HashMap, VecDeque};

use hint_schema::BatchId;
use messagebus::Span;

/// Ids kept a partition; forgetting one costs a repeat.
const KEPT: usize = 10_000;

/// The ids of every partition that the lane reads.
#[derive(Debug, Default)]
pub(crate) struct SeenIds(HashMap<i32, Partition>);

#[derive(Debug, Default)]
struct Partition {
    epoch: u64,
    offsets: HashMap<BatchId, i64>,
    order: VecDeque<BatchId>,
}

impl SeenIds {
    /// Notes an id; true when this assignment read it at a lower offset of the same partition. A new epoch, after
    /// a revocation or a seek, begins anew: what stood at or above the committed offset must be delivered, and
    /// forgetting the rest costs repeats alone.
    pub(crate) fn is_repeat(&mut self, span: &Span, id: BatchId) -> bool {
        let partition = self.0.entry(span.partition).or_default();
        if partition.epoch != span.epoch {
            *partition = Partition {
                epoch: span.epoch,
                ..Partition::default()
            };
        }
        if let Some(offset) = partition.offsets.get(&id) {
            return *offset < span.from;
        }
        partition.offsets.insert(id, span.from);
        partition.order.push_back(id);
        if partition.order.len() > KEPT
            && let Some(oldest) = partition.order.pop_front()
        {
            partition.offsets.remove(&oldest);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(partition: i32, epoch: u64, from: i64) -> Span {
        Span {
            partition,
            epoch,
            from,
            to: from + 1,
            records: 1,
            first_timestamp_ms: 0,
        }
    }

    fn id(number: u128) -> BatchId {
        BatchId::from(number)
    }

    #[test]
    fn only_the_same_id_at_a_lower_offset_of_the_same_assignment_is_a_repeat() {
        let mut seen = SeenIds::default();
        assert!(!seen.is_repeat(&span(0, 1, 10), id(7)));
        assert!(seen.is_repeat(&span(0, 1, 11), id(7)));
        assert!(!seen.is_repeat(&span(0, 1, 10), id(7)));
        assert!(!seen.is_repeat(&span(0, 1, 12), id(8)));
        assert!(!seen.is_repeat(&span(1, 1, 13), id(7)));
        assert!(!seen.is_repeat(&span(0, 2, 11), id(7)));
    }

    #[test]
    fn the_oldest_ids_are_forgotten() {
        let mut seen = SeenIds::default();
        for number in 0..=KEPT {
            let offset = i64::try_from(number).unwrap();
            assert!(!seen.is_repeat(&span(0, 1, offset), id(number as u128)));
        }
        assert!(!seen.is_repeat(&span(0, 1, 1_000_000), id(0)));
        assert!(seen.is_repeat(&span(0, 1, 1_000_001), id(2)));
    }
}
