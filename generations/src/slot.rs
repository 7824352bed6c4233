//! Which slot of a Redis cluster a name lives in, and which partition of `batches` a host meets.

use crc16::{State, XMODEM};

/// Slots of every Redis cluster.
pub const SLOTS: u16 = 16_384;

/// The slot of a key name, as `CLUSTER KEYSLOT` gives it: CRC16 of the hash tag, or of the whole name where
/// there is none.
#[must_use]
pub fn slot_of_name(name: &[u8]) -> u16 {
    State::<XMODEM>::calculate(hash_tag(name).unwrap_or(name)) % SLOTS
}

/// The slot of a host's URLs where its zone asked for no `spread`.
#[must_use]
pub fn slot_of_host(host: &str) -> u16 {
    State::<XMODEM>::calculate(host.as_bytes()) % SLOTS
}

/// The partition of `batches` that a host always meets, `spread` or not; 0 where there are none.
///
/// Partitions are ranges of slots, so a drain that walks the slots in order fills the batches of one
/// partition after another instead of all of them at once.
#[must_use]
pub fn output_partition(host: &str, partitions: i32) -> i32 {
    let range = i64::from(slot_of_host(host)) * i64::from(partitions.max(0)) / i64::from(SLOTS);
    i32::try_from(range).unwrap_or(0)
}

/// The part of a name between its first `{` and the next `}`, unless that is empty.
fn hash_tag(name: &[u8]) -> Option<&[u8]> {
    let open = name.iter().position(|&byte| byte == b'{')?;
    let rest = name.get(open + 1..)?;
    let close = rest.iter().position(|&byte| byte == b'}')?;
    rest.get(..close).filter(|tag| !tag.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        assert_eq!(slot_of_name(b"123456789"), 0x31c3);
        assert_eq!(slot_of_name(b"foo{hash_tag}"), 2515);
        assert_eq!(slot_of_name(b"{user1000}.following"), slot_of_name(b"user1000"));
        assert_eq!(slot_of_name(b"foo{{bar}}zap"), slot_of_name(b"{bar"));
        assert_eq!(slot_of_name(b"foo{bar}{zap}"), slot_of_name(b"bar"));
    }

    #[test]
    fn an_empty_or_open_tag_hashes_the_whole_name() {
        let whole = |name: &[u8]| State::<XMODEM>::calculate(name) % SLOTS;
        assert_eq!(slot_of_name(b"foo{}{bar}"), whole(b"foo{}{bar}"));
        assert_eq!(slot_of_name(b"foo{bar"), whole(b"foo{bar"));
    }

    #[test]
    fn partitions_are_ranges_of_slots() {
        let mut hosts: Vec<String> = (0..2_000).map(|n| format!("h{n}.example")).collect();
        hosts.sort_by_key(|host| slot_of_host(host));
        let partitions: Vec<i32> = hosts.iter().map(|host| output_partition(host, 12)).collect();
        assert!(partitions.is_sorted());
        assert_eq!((partitions[0], partitions[1_999]), (0, 11));
        assert_eq!(output_partition("h.example", 0), 0);
    }

    proptest! {
        #[test]
        fn names_of_any_bytes_have_a_slot(name in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(slot_of_name(&name) < SLOTS);
        }

        #[test]
        fn a_partition_is_always_in_range(host in ".{0,40}", partitions in 1..5_000i32) {
            prop_assert!((0..partitions).contains(&output_partition(&host, partitions)));
        }
    }
}
