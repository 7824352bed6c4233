//! Hints into batches: whole hosts, no URL twice, bounded in URLs and bytes, one output partition each.

use std::collections::{BTreeMap, HashSet};

use generations::{Name, PageKey, output_partition};
use hint_schema::{HintBatch, HostHints};

/// Bounds of one batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// `BATCH_MAX_URLS`.
    pub urls: usize,
    /// `BATCH_MAX_BYTES`, of the encoded message.
    pub bytes: usize,
}

/// One key name that stands in a batch and is removed once the batch is acknowledged (I3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainedName {
    /// Its slot.
    pub slot: u16,
    /// The name.
    pub name: Vec<u8>,
    /// Of the generation that is drained, not of an older one.
    pub is_own: bool,
}

/// A batch that is full, or that nothing more is added to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assembled {
    /// The partition of `batches` it goes to.
    pub partition: i32,
    /// Each host once.
    pub hosts: Vec<HostHints>,
    /// Every name in it.
    pub names: Vec<DrainedName>,
}

impl Assembled {
    /// URLs in it.
    #[must_use]
    pub fn url_count(&self) -> usize {
        self.hosts.iter().map(|host| host.urls.len()).sum()
    }
}

/// What a page held beside hints to emit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftAlone {
    /// Names of newer generations: never emitted, never removed.
    pub newer: u64,
    /// Names that nobody of ours wrote: an operator has to look at them.
    pub foreign: u64,
}

/// One host's hints of one page.
#[derive(Default)]
struct HostPage {
    oldest_event_ms: u64,
    urls: Vec<String>,
    names: Vec<DrainedName>,
}

struct OpenBatch {
    hosts: BTreeMap<String, HostHints>,
    names: Vec<DrainedName>,
    urls: usize,
    bytes: usize,
}

/// Collects pages of one generation into batches, one open batch an output partition.
#[derive(Debug)]
pub struct Assembler {
    generation: u64,
    opened_at_ms: u64,
    partitions: i32,
    limits: BatchLimits,
    open: BTreeMap<i32, OpenBatch>,
    left_alone: LeftAlone,
}

impl std::fmt::Debug for OpenBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenBatch")
            .field("urls", &self.urls)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Assembler {
    /// An assembler without open batches.
    #[must_use]
    pub fn new(generation: u64, opened_at_ms: u64, partitions: i32, limits: BatchLimits) -> Self {
        let left_alone = LeftAlone::default();
        Self {
            generation,
            opened_at_ms,
            partitions,
            limits,
            open: BTreeMap::new(),
            left_alone,
        }
    }

    /// Adds a page of one slot; returns the batches that became full, and how many of its names were taken.
    pub fn add(&mut self, slot: u16, page: Vec<PageKey>) -> (Vec<Assembled>, usize) {
        let (mut full, mut taken) = (Vec::new(), 0);
        for (host, hints) in self.group(slot, page) {
            taken += hints.names.len();
            self.add_host(host, hints, &mut full);
        }
        (full, taken)
    }

    /// Closes every open batch.
    pub fn close(&mut self) -> Vec<Assembled> {
        let open = std::mem::take(&mut self.open);
        open.into_iter()
            .map(|(partition, batch)| batch.assembled(partition))
            .collect()
    }

    /// What was met and not touched since the last call.
    pub fn take_left_alone(&mut self) -> LeftAlone {
        std::mem::take(&mut self.left_alone)
    }

    fn group(&mut self, slot: u16, page: Vec<PageKey>) -> BTreeMap<String, HostPage> {
        let mut hosts: BTreeMap<String, HostPage> = BTreeMap::new();
        for key in page {
            let Some(name) = Name::parse(&key.name) else {
                self.left_alone.foreign += 1;
                continue;
            };
            if name.generation > self.generation {
                self.left_alone.newer += 1;
                continue;
            }
            // A late name's age counts from its own generation's opening, which may be long forgotten; from
            // this one's it looks a little younger than it is.
            let event_ms = key
                .value
                .map_or(self.opened_at_ms, |value| value.event_ms(self.opened_at_ms));
            let (url, is_own) = (name.url(), name.generation == self.generation);
            if !hosts.contains_key(name.host) {
                let page = HostPage {
                    oldest_event_ms: u64::MAX,
                    ..HostPage::default()
                };
                hosts.insert(name.host.to_owned(), page);
            }
            let Some(host) = hosts.get_mut(name.host) else {
                continue;
            };
            host.oldest_event_ms = host.oldest_event_ms.min(event_ms);
            host.urls.push(url);
            host.names.push(DrainedName {
                slot,
                name: key.name,
                is_own,
            });
        }
        hosts
    }

    /// Adds one host's hints: whole to one batch where that is possible, so that a request is full.
    fn add_host(&mut self, host: String, mut hints: HostPage, full: &mut Vec<Assembled>) {
        let partition = output_partition(&host, self.partitions);
        let bytes = HostHints::host_bytes(&host) + url_bytes(&hints.urls);
        let fits = |batch: &OpenBatch, limits: BatchLimits| {
            batch.urls + hints.urls.len() <= limits.urls && batch.bytes + bytes <= limits.bytes
        };
        if self
            .open
            .get(&partition)
            .is_some_and(|batch| !fits(batch, self.limits))
            && let Some(batch) = self.open.remove(&partition)
        {
            full.push(batch.assembled(partition));
        }
        let limits = self.limits;
        while !hints.urls.is_empty() {
            let batch = self.open.entry(partition).or_default();
            hints = batch.take(&host, hints, limits);
            if !hints.urls.is_empty()
                && let Some(batch) = self.open.remove(&partition)
            {
                full.push(batch.assembled(partition));
            }
        }
    }
}

fn url_bytes(urls: &[String]) -> usize {
    urls.iter().map(|url| HostHints::url_bytes(url.len())).sum()
}

impl Default for OpenBatch {
    fn default() -> Self {
        Self {
            hosts: BTreeMap::new(),
            names: Vec::new(),
            urls: 0,
            bytes: HintBatch::empty_bytes(),
        }
    }
}

impl OpenBatch {
    /// Takes as many of the host's hints as fit, each URL once (I7), and gives back the rest.
    fn take(&mut self, host: &str, hints: HostPage, limits: BatchLimits) -> HostPage {
        let HostPage {
            oldest_event_ms,
            urls,
            names,
        } = hints;
        let mut rest = HostPage {
            oldest_event_ms,
            ..HostPage::default()
        };
        self.bytes += if self.hosts.contains_key(host) {
            0
        } else {
            HostHints::host_bytes(host)
        };
        let entry = self.hosts.entry(host.to_owned()).or_insert_with(|| HostHints {
            host: host.to_owned(),
            oldest_event_ms,
            urls: Vec::with_capacity(urls.len()),
        });
        entry.oldest_event_ms = entry.oldest_event_ms.min(oldest_event_ms);
        let mut known = Known::of(&entry.urls, &names);
        for (url, name) in urls.into_iter().zip(names) {
            if known.contains(&url) {
                self.names.push(name);
                continue;
            }
            let bytes = HostHints::url_bytes(url.len());
            if self.urls + 1 > limits.urls || self.bytes + bytes > limits.bytes {
                rest.urls.push(url);
                rest.names.push(name);
                continue;
            }
            self.urls += 1;
            self.bytes += bytes;
            known.add(&url);
            entry.urls.push(url);
            self.names.push(name);
        }
        rest
    }

    fn assembled(self, partition: i32) -> Assembled {
        Assembled {
            partition,
            hosts: self.hosts.into_values().collect(),
            names: self.names,
        }
    }
}

/// The URLs a host has in a batch already. One page of one generation cannot hold a URL twice, so nothing is
/// remembered unless the host came before, in another page or shard, or late names are among these.
struct Known {
    urls: Option<HashSet<String>>,
}

impl Known {
    fn of(before: &[String], names: &[DrainedName]) -> Self {
        let may_repeat = !before.is_empty() || names.iter().any(|name| !name.is_own);
        Self {
            urls: may_repeat.then(|| before.iter().cloned().collect()),
        }
    }

    fn contains(&self, url: &str) -> bool {
        self.urls.as_ref().is_some_and(|urls| urls.contains(url))
    }

    fn add(&mut self, url: &str) {
        if let Some(urls) = &mut self.urls {
            urls.insert(url.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use generations::{AgeValue, CanonicalParts, encode_name};
    use proptest::prelude::*;

    use super::*;

    const OPENED: u64 = 1_790_000_000_000;
    const LIMITS: BatchLimits = BatchLimits {
        urls: 100,
        bytes: 20_000,
    };

    fn key(generation: u64, host: &str, path: &str) -> PageKey {
        let mut name = Vec::new();
        let parts = CanonicalParts {
            https: true,
            host,
            path_and_query: path,
        };
        encode_name(&mut name, generation, parts, 1);
        PageKey {
            name,
            value: Some(AgeValue::of(OPENED - 5_000, OPENED)),
        }
    }

    fn assembler() -> Assembler {
        Assembler::new(7, OPENED, 4, LIMITS)
    }

    fn drain(pages: Vec<Vec<PageKey>>) -> Vec<Assembled> {
        let mut assembler = assembler();
        let mut batches: Vec<Assembled> = pages
            .into_iter()
            .enumerate()
            .flat_map(|(slot, page)| assembler.add(u16::try_from(slot).unwrap(), page).0)
            .collect();
        batches.extend(assembler.close());
        batches
    }

    #[test]
    fn a_hint_keeps_its_age() {
        let batches = drain(vec![vec![key(7, "a.example", "/")]]);
        assert_eq!(batches[0].hosts[0].oldest_event_ms, OPENED - 5_000);
        assert_eq!(batches[0].hosts[0].urls, ["https://a.example/"]);
    }

    #[test]
    fn names_of_newer_generations_and_foreign_keys_are_left_alone() {
        let mut assembler = assembler();
        let foreign = PageKey {
            name: b"session:1".to_vec(),
            value: None,
        };
        assert_eq!(
            assembler.add(1, vec![key(9, "a.example", "/"), foreign]),
            (Vec::new(), 0)
        );
        assert!(assembler.close().is_empty());
        assert_eq!(assembler.take_left_alone(), LeftAlone { newer: 1, foreign: 1 });
    }

    #[test]
    fn a_late_name_is_emitted_and_merged_with_the_same_url() {
        let batches = drain(vec![vec![
            key(5, "a.example", "/x"),
            key(7, "a.example", "/x"),
            key(5, "a.example", "/y"),
        ]]);
        assert_eq!(
            batches[0].hosts[0].urls,
            ["https://a.example/x", "https://a.example/y"]
        );
        let own: Vec<bool> = batches[0].names.iter().map(|name| name.is_own).collect();
        assert_eq!(own, [false, true, false]);
    }

    #[test]
    fn a_host_that_does_not_fit_opens_the_next_batch_whole() {
        let page = |host: &str, n: usize| (0..n).map(|i| key(7, host, &format!("/{i}"))).collect::<Vec<_>>();
        let one_partition = |pages| {
            let mut assembler = Assembler::new(7, OPENED, 1, LIMITS);
            let pages: Vec<Vec<PageKey>> = pages;
            let mut batches: Vec<Assembled> = pages
                .into_iter()
                .flat_map(|page| assembler.add(0, page).0)
                .collect();
            batches.extend(assembler.close());
            batches
        };
        let batches = one_partition(vec![page("a.example", 60), page("b.example", 60)]);
        let counts: Vec<usize> = batches.iter().map(Assembled::url_count).collect();
        assert_eq!(counts, [60, 60]);
        let split = one_partition(vec![page("a.example", 250)]);
        assert_eq!(
            split.iter().map(Assembled::url_count).collect::<Vec<_>>(),
            [100, 100, 50]
        );
    }

    proptest! {
        #[test]
        fn i7_no_url_stands_twice_in_a_batch_and_no_name_is_lost(
            pages in prop::collection::vec(prop::collection::vec((4_u64..8, 0_u8..3, 0_u8..20), 0..80), 0..8)
        ) {
            let pages: Vec<Vec<PageKey>> = pages
                .into_iter()
                .map(|page| {
                    let mut keys: Vec<PageKey> = page
                        .into_iter()
                        .map(|(generation, host, path)| key(generation, &format!("h{host}.example"), &format!("/{path}")))
                        .collect();
                    keys.sort_by(|a, b| a.name.cmp(&b.name));
                    keys.dedup_by(|a, b| a.name == b.name);
                    keys
                })
                .collect();
            let names: usize = pages.iter().map(Vec::len).sum();
            let batches = drain(pages);
            prop_assert_eq!(batches.iter().map(|batch| batch.names.len()).sum::<usize>(), names);
            for batch in &batches {
                let urls: Vec<&String> = batch.hosts.iter().flat_map(|host| &host.urls).collect();
                prop_assert_eq!(urls.iter().collect::<HashSet<_>>().len(), urls.len());
                prop_assert!(urls.len() <= LIMITS.urls);
                let encoded = HintBatch { hosts: batch.hosts.clone(), ..HintBatch::default() }.encode();
                prop_assert!(encoded.len() <= LIMITS.bytes);
                for host in &batch.hosts {
                    prop_assert_eq!(output_partition(&host.host, 4), batch.partition);
                }
            }
        }
    }
}
