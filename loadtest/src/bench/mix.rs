//! The records of a benchmark: cheap to make, and the same whoever asks.
//!
//! Hosts have an even share, so that a figure depends on none of them; [`crate::traffic`] is for what must be like life.

use hint_schema::cache_miss::CacheMiss;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::traffic::{host_name, zone_of};

/// Records are repeats or not in a pattern of this length.
const BLOCK: u64 = 10;

/// What the records are like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    /// Hosts, five to a zone.
    pub(crate) hosts: u32,
    /// Of ten records, so many are of a URL that was there before.
    pub(crate) repeats: u64,
}

/// Where a URL is.
pub(super) struct Page {
    /// Its host.
    pub(super) host: String,
    /// The host's zone.
    pub(super) zone: u64,
    /// Path and query, 57 bytes: a key name in Redis has some 80 with it.
    pub(super) path: String,
}

impl Mix {
    /// Every record is of a URL of its own.
    pub(super) fn unique(hosts: u32) -> Self {
        Self { hosts, repeats: 0 }
    }

    /// Which URL record `n` is of: a new one's number is the count of new ones before it.
    fn url(self, n: u64) -> u64 {
        let (block, at) = (n / BLOCK, n % BLOCK);
        let new = BLOCK - self.repeats.min(BLOCK - 1);
        if at < new {
            return block * new + at;
        }
        SmallRng::seed_from_u64(n).random_range(0..(block + 1) * new)
    }

    /// Different URLs among the first `records`.
    #[cfg(test)]
    fn urls(self, records: u64) -> usize {
        let urls: std::collections::HashSet<_> = (0..records).map(|n| self.url(n)).collect();
        urls.len()
    }

    /// The page that record `n` is of.
    pub(super) fn page(self, n: u64) -> Page {
        let url = self.url(n);
        // Fibonacci hashing: neighbours lie on different hosts, and each host has as many.
        let mixed = (url.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) * u64::from(self.hosts);
        let host = u32::try_from(mixed >> 32).unwrap_or_default();
        Page {
            host: host_name(host),
            zone: zone_of(host),
            path: format!("/articles/changed-page-{url:011x}?view=full&locale=en-gb"),
        }
    }

    /// Record `n`, as of Unix millisecond `now_ms`: key and value.
    pub(super) fn record(self, n: u64, now_ms: u64) -> (String, Vec<u8>) {
        let page = self.page(n);
        let miss = CacheMiss {
            timestamp_ms: now_ms,
            url: &page.url(),
            zone_id: page.zone,
            origin_status: 200,
            content_type: "text/html; charset=utf-8",
            ..CacheMiss::default()
        };
        let payload = miss.encode();
        (page.host, payload)
    }
}

impl Page {
    /// The canonical URL.
    pub(super) fn url(&self) -> String {
        ["https://", &self.host, &self.path].concat()
    }

    /// Its key name under a generation.
    pub(super) fn name(&self, generation: u64) -> Vec<u8> {
        let mut name = Vec::new();
        let parts = generations::CanonicalParts {
            https: true,
            host: &self.host,
            path_and_query: &self.path,
        };
        generations::encode_name(&mut name, generation, parts, 0);
        name
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn the_share_of_repeats_is_what_was_asked_for() {
        for (repeats, urls) in [(0, 10_000), (5, 5_000), (9, 1_000)] {
            assert_eq!(Mix { hosts: 50, repeats }.urls(10_000), urls, "{repeats}");
        }
    }

    #[test]
    fn hosts_have_even_shares() {
        let mix = Mix::unique(50);
        let mut counts: HashMap<String, u32> = HashMap::new();
        (0..50_000).for_each(|n| *counts.entry(mix.page(n).host).or_default() += 1);
        assert_eq!(counts.len(), 50);
        assert!(
            counts.values().all(|count| (800..1_200).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn a_record_is_canonical_and_its_name_as_long_as_those_of_redis_benchmark() {
        let mix = Mix::unique(500);
        let page = mix.page(123_456);
        let url = page.url();
        let canonical = ingestor::canonical::CanonicalUrl::parse(&url).unwrap();
        assert_eq!(canonical.as_str(), url);
        assert!((75..90).contains(&page.name(0).len()), "{}", page.name(0).len());
        assert_eq!(mix.record(7, 1), mix.record(7, 1));
    }
}
