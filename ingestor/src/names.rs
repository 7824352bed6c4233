//! The key names of one batch's accepted records, in one piece of memory that the next batch uses again.

use generations::{AgeValue, encode_name};

use crate::hint::Hint;
use crate::recent::RecentFilter;

/// Names with their values, in the order of their records.
#[derive(Debug, Default)]
pub(crate) struct Names {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    end: usize,
    value: AgeValue,
    is_known: bool,
}

impl Names {
    /// Forgets the last batch.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    /// Adds the name that an accepted hint has under `generation`, which was opened at `opened_at_ms`.
    pub(crate) fn push(&mut self, hint: &Hint<'_>, generation: u64, opened_at_ms: u64) {
        let Some(url) = &hint.url else { return };
        encode_name(&mut self.bytes, generation, url.parts(), hint.spread);
        self.entries.push(Entry {
            end: self.bytes.len(),
            value: AgeValue::of(hint.miss.timestamp_ms, opened_at_ms),
            is_known: false,
        });
    }

    /// Marks the names that the filter knows; says how many.
    pub(crate) fn recognise(&mut self, filter: &RecentFilter) -> u64 {
        let (mut start, mut known) = (0, 0);
        for entry in &mut self.entries {
            let name = self.bytes.get(start..entry.end).unwrap_or_default();
            entry.is_known = filter.contains(filter.fingerprint(name));
            known += u64::from(entry.is_known);
            start = entry.end;
        }
        known
    }

    /// The names that Redis has to be told.
    pub(crate) fn unknown(&self) -> impl Iterator<Item = (&[u8], AgeValue)> {
        let starts = std::iter::once(0).chain(self.entries.iter().map(|entry| entry.end));
        starts
            .zip(&self.entries)
            .filter(|(_, entry)| !entry.is_known)
            .map(|(start, entry)| (self.bytes.get(start..entry.end).unwrap_or_default(), entry.value))
    }
}

#[cfg(test)]
mod tests {
    use hint_schema::cache_miss::CacheMiss;

    use super::*;
    use crate::canonical::CanonicalUrl;

    fn push(names: &mut Names, url: &str) {
        let miss = CacheMiss {
            timestamp_ms: 1_000,
            url,
            zone_id: 1,
            origin_status: 200,
            ..CacheMiss::default()
        };
        let mut hint = Hint::new(miss);
        hint.url = Some(CanonicalUrl::parse(url).unwrap());
        names.push(&hint, 36, 1_000);
    }

    #[test]
    fn names_that_the_filter_knows_are_left_out() {
        let (mut names, mut filter) = (Names::default(), RecentFilter::new());
        for url in ["https://a.example/1", "http://b.example/2", "https://a.example/3"] {
            push(&mut names, url);
        }
        filter.insert(filter.fingerprint(b"10:{b.example}p/2"));
        assert_eq!(names.recognise(&filter), 1);
        let left: Vec<_> = names.unknown().map(|(name, _)| name).collect();
        assert_eq!(left, [b"10:{a.example}s/1", b"10:{a.example}s/3"]);
        names.clear();
        assert_eq!(names.unknown().count(), 0);
    }
}
