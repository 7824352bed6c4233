//! Remembers which names were written under the present generation, so that a repeat costs no trip to Redis.
//!
//! A name enters when its SET was answered, never when it was sent, and all leave when the generation is sealed:
//! so a name found here certainly stands in the generation being filled.
//!
//! A direct-mapped table: a new name takes the place of the old one. Finding a name that never entered would
//! swallow a hint. Place and fingerprint come from two independent hashes, so each look-up meets one stored
//! fingerprint and is wrong once in 2⁶⁴. With 10⁸ look-ups a generation and 262,800 generations of two minutes a
//! year that is one lost hint in 700,000 years. The keys of both hashes are random, so nobody can aim one.

use ahash::RandomState;

/// 2²⁰ fingerprints, 8 MiB.
const SLOTS: usize = 1 << 20;
const FREE: u64 = 0;

/// Names written under the present generation, as far as it remembers.
#[derive(Debug)]
pub struct RecentFilter {
    slots: Box<[u64]>,
    places: RandomState,
    fingerprints: RandomState,
}

/// What the filter knows of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    place: usize,
    value: u64,
}

impl RecentFilter {
    /// An empty filter with keys of its own.
    #[must_use]
    pub fn new() -> Self {
        Self {
            slots: vec![FREE; SLOTS].into_boxed_slice(),
            places: RandomState::new(),
            fingerprints: RandomState::new(),
        }
    }

    /// The fingerprint of a name, generation included, by this filter's keys.
    #[must_use]
    pub fn fingerprint(&self, name: &[u8]) -> Fingerprint {
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are the place")]
        let place = self.places.hash_one(name) as usize % SLOTS;
        Fingerprint {
            place,
            value: self.fingerprints.hash_one(name).max(FREE + 1),
        }
    }

    /// Whether the name was answered since the last [`Self::clear`].
    #[must_use]
    pub fn contains(&self, name: Fingerprint) -> bool {
        self.slots.get(name.place) == Some(&name.value)
    }

    /// Remembers a name whose SET was answered.
    pub fn insert(&mut self, name: Fingerprint) {
        if let Some(slot) = self.slots.get_mut(name.place) {
            *slot = name.value;
        }
    }

    /// Forgets everything: the generation is sealed, or an answer is in doubt.
    pub fn clear(&mut self) {
        self.slots.fill(FREE);
    }
}

impl Default for RecentFilter {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_from_its_answer_until_the_seal() {
        let mut filter = RecentFilter::new();
        let name = filter.fingerprint(b"a:{example.com}s/");
        assert!(!filter.contains(name));
        filter.insert(name);
        assert!(filter.contains(name));
        assert!(!filter.contains(filter.fingerprint(b"b:{example.com}s/")));
        filter.clear();
        assert!(!filter.contains(name));
    }

    #[test]
    fn a_newer_name_takes_the_place_of_an_older_one() {
        let mut filter = RecentFilter::new();
        let old = Fingerprint { place: 5, value: 1 };
        let new = Fingerprint { place: 5, value: 2 };
        filter.insert(old);
        filter.insert(new);
        assert!(!filter.contains(old));
        assert!(filter.contains(new));
    }

    #[test]
    fn an_empty_filter_knows_no_name() {
        let filter = RecentFilter::new();
        assert!((0..100_000_u32).all(|number| !filter.contains(filter.fingerprint(&number.to_le_bytes()))));
    }

    #[test]
    fn each_filter_has_keys_of_its_own() {
        let name = b"a:{example.com}s/";
        assert_ne!(
            RecentFilter::new().fingerprint(name),
            RecentFilter::new().fingerprint(name)
        );
    }
}
