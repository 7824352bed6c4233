//! Slots that hold more keys than were read of them. The rest shows only once what was read is removed.

use std::collections::BTreeMap;

use generations::{SlotCount, slot_of_name};

/// The deep slots of one pass.
#[derive(Debug, Default)]
pub(crate) struct DeepSlots {
    slots: BTreeMap<u16, Deep>,
}

#[derive(Debug)]
struct Deep {
    left: u64,
    /// Names that were read and are not removed yet.
    pending: usize,
}

impl DeepSlots {
    /// Of the keys counted in a slot so many were read, and `taken` of their names are in batches now. Where some
    /// names stay, they would fill the next page as well: the next pass sees what becomes of those.
    pub(crate) fn read(&mut self, counted: SlotCount, read: usize, taken: usize) {
        let left = counted.keys.saturating_sub(read as u64);
        if left > 0 && taken == read && read > 0 {
            self.slots.insert(counted.slot, Deep { left, pending: taken });
        }
    }

    /// These names of a batch were removed, or some of them perhaps not (`all`). Returns the slots of which nothing
    /// that was read is in Redis any more. Where a name may still be, its slot is left to the next pass, or the next
    /// page could hold it again (I7).
    pub(crate) fn removed<'a>(&mut self, names: impl Iterator<Item = &'a [u8]>, all: bool) -> Vec<SlotCount> {
        let mut next = Vec::new();
        if self.slots.is_empty() {
            return next;
        }
        for slot in names.map(slot_of_name) {
            let Some(deep) = self.slots.get_mut(&slot) else {
                continue;
            };
            deep.pending -= 1;
            if all && deep.pending > 0 {
                continue;
            }
            if let Some(deep) = self.slots.remove(&slot)
                && all
            {
                let keys = deep.left;
                next.push(SlotCount { slot, keys });
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&[u8]; 3] = [b"1:{a.example}s/1", b"1:{a.example}s/2", b"1:{a.example}s/3"];

    fn counted(keys: u64) -> SlotCount {
        let slot = slot_of_name(NAMES[0]);
        SlotCount { slot, keys }
    }

    fn deep(keys: u64, read: usize, taken: usize) -> DeepSlots {
        let mut deep = DeepSlots::default();
        deep.read(counted(keys), read, taken);
        deep
    }

    #[test]
    fn a_slot_goes_on_once_all_that_was_read_of_it_is_removed() {
        let mut deep = deep(10, 3, 3);
        let other: &[u8] = b"1:{b.example}s/";
        assert_eq!(deep.removed([other, NAMES[0]].into_iter(), true), []);
        assert_eq!(deep.removed(NAMES[1..].iter().copied(), true), [counted(7)]);
        assert_eq!(deep.removed(NAMES.into_iter(), true), []);
    }

    #[test]
    fn a_name_that_may_be_there_leaves_its_slot_to_the_next_pass() {
        let mut deep = deep(10, 3, 3);
        assert_eq!(deep.removed(NAMES[..1].iter().copied(), false), []);
        assert_eq!(deep.removed(NAMES[1..].iter().copied(), true), []);
    }

    #[test]
    fn a_slot_that_was_read_to_its_end_or_holds_what_stays_is_not_read_again() {
        for (keys, read, taken) in [(3, 3, 3), (2, 3, 3), (10, 3, 2), (10, 0, 0)] {
            let next = deep(keys, read, taken).removed(NAMES.into_iter(), true);
            assert_eq!(next, [], "{keys} keys, {read} read, {taken} taken");
        }
    }
}
