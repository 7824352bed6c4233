//! Sets of Kafka offsets a partition, as half-open intervals: what a generation consumed, what a replay still
//! has to read.

use std::collections::BTreeMap;

use hint_schema::generation_event::OffsetInterval;

/// A set of offsets of several partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Coverage {
    /// Per partition: start → end of disjoint, non-touching, non-empty intervals.
    partitions: BTreeMap<i32, BTreeMap<i64, i64>>,
}

impl Coverage {
    /// Adds the interval; empty ones are ignored, overlapping and touching ones are joined.
    pub fn insert(&mut self, interval: OffsetInterval) {
        let OffsetInterval {
            partition,
            mut from,
            mut to,
        } = interval;
        if from >= to {
            return;
        }
        let intervals = self.partitions.entry(partition).or_default();
        // Every interval that starts at or before `to` and ends at or after `from` melts into the new one.
        while let Some((&start, &end)) = intervals.range(..=to).next_back() {
            if end < from {
                break;
            }
            intervals.remove(&start);
            from = from.min(start);
            to = to.max(end);
        }
        intervals.insert(from, to);
    }

    /// Whether every offset of the interval is in the set.
    #[must_use]
    pub fn contains(&self, interval: &OffsetInterval) -> bool {
        interval.from >= interval.to
            || self.partitions.get(&interval.partition).is_some_and(|intervals| {
                intervals
                    .range(..=interval.from)
                    .next_back()
                    .is_some_and(|(_, &end)| end >= interval.to)
            })
    }

    /// The offsets of the interval that are not in the set, in order.
    pub fn gaps(&self, interval: &OffsetInterval) -> Vec<OffsetInterval> {
        let OffsetInterval { partition, from, to } = *interval;
        let known = self.partitions.get(&partition);
        let mut gaps = Vec::new();
        let mut next = from;
        for (&start, &end) in known.into_iter().flatten().filter(|&(_, &end)| end > from) {
            if start >= to {
                break;
            }
            gaps.push(OffsetInterval {
                partition,
                from: next,
                to: start,
            });
            next = next.max(end);
        }
        gaps.push(OffsetInterval {
            partition,
            from: next,
            to,
        });
        gaps.retain(|gap| gap.from < gap.to);
        gaps
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// The set as intervals, by partition and offset.
    #[must_use]
    pub fn intervals(&self) -> Vec<OffsetInterval> {
        self.partitions
            .iter()
            .flat_map(|(&partition, intervals)| {
                intervals
                    .iter()
                    .map(move |(&from, &to)| OffsetInterval { partition, from, to })
            })
            .collect()
    }
}

impl Extend<OffsetInterval> for Coverage {
    fn extend<I: IntoIterator<Item = OffsetInterval>>(&mut self, intervals: I) {
        intervals.into_iter().for_each(|interval| self.insert(interval));
    }
}

impl FromIterator<OffsetInterval> for Coverage {
    fn from_iter<I: IntoIterator<Item = OffsetInterval>>(intervals: I) -> Self {
        let mut coverage = Self::default();
        coverage.extend(intervals);
        coverage
    }
}
