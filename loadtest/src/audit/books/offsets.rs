//! Which offsets of a topic were read: each record counts once, and gaps are noticed.

use std::collections::BTreeMap;

/// The next offset of each partition.
#[derive(Clone, Debug, Default)]
pub(super) struct Offsets(BTreeMap<i32, i64>);

impl Offsets {
    /// Leaves out what stands before `offset`.
    pub(super) fn begin_at(&mut self, partition: i32, offset: i64) {
        self.0.insert(partition, offset);
    }

    /// Notes a record; says how many offsets before it nobody will show: retention or compaction removed them.
    /// Nothing for a record that was shown before.
    pub(super) fn read(&mut self, partition: i32, offset: i64) -> Option<u64> {
        let next = self.0.entry(partition).or_default();
        let gone = u64::try_from(offset - *next).ok()?;
        *next = offset + 1;
        Some(gone)
    }

    /// Notes where a partition ends; says how many offsets at its end are gone.
    pub(super) fn ended(&mut self, partition: i32, end: i64) -> u64 {
        let next = self.0.entry(partition).or_default();
        let gone = u64::try_from(end - *next).unwrap_or(0);
        *next = end.max(*next);
        gone
    }

    /// Where each partition was read to.
    pub(super) fn ends(&self) -> &BTreeMap<i32, i64> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_once_and_what_is_missing_before_it_is_told() {
        let mut offsets = Offsets::default();
        assert_eq!(offsets.read(0, 0), Some(0));
        assert_eq!(offsets.read(0, 5), Some(4));
        assert_eq!(offsets.read(0, 5), None);
        assert_eq!(offsets.read(1, 2), Some(2));
        assert_eq!((offsets.ended(0, 6), offsets.ended(0, 9)), (0, 3));
        offsets.begin_at(2, 7);
        assert_eq!(offsets.read(2, 7), Some(0));
    }
}
