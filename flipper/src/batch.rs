//! Hints into batches: whole hosts, no URL twice, bounded in URLs and bytes, one output partition each.

use std::collections::{BTreeMap, HashSet};

use generations::{Name, Names, Page, output_partition};
use hint_schema::{HintBatch, HostHints};

/// Bounds of one batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// `BATCH_MAX_URLS`.
    pub urls: usize,
    /// `BATCH_MAX_BYTES`, of the encoded message.
    pub bytes: usize,
}

impl BatchLimits {
    /// URLs of one host that fit in a batch when their names have `name_bytes` bytes on average, with a margin for
    /// longer ones.
    #[must_use]
    pub fn urls_of_one_host(&self, name_bytes: usize) -> usize {
        // The scheme takes eight bytes, where generation and braces took five at least.
        let fitting = self.bytes / HostHints::url_bytes(name_bytes + 3);
        self.urls.min(fitting - fitting / 16).max(1)
    }
}

/// One host's URLs in a batch, as the names that stand for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostNames {
    /// Its oldest hint's event time, Unix milliseconds.
    pub oldest_event_ms: u64,
    /// A name for each URL.
    pub names: Names,
}

/// Hints that become one message of `batches`.
///
/// Each name in it is removed from Redis once the message is acknowledged (I3). A URL is kept as its name alone: it
/// is spelled out only while the message is encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The partition it goes to.
    pub partition: i32,
    /// Each host once, no URL twice (I7).
    pub hosts: BTreeMap<String, HostNames>,
    /// Further names of URLs that are in it.
    pub merged: Names,
    urls: usize,
    /// Of the encoded message.
    bytes: usize,
}

/// What a page held beside hints to emit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftAlone {
    /// Names of newer generations: never emitted, never removed.
    pub newer: u64,
    /// Names that nobody of ours wrote: an operator has to look at them.
    pub foreign: u64,
}

/// What became of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Batches that nothing more is added to.
    pub full: Vec<Batch>,
    /// Names that are in batches now.
    pub names: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// One host's hints of one page.
struct HostPage<'a> {
    oldest_event_ms: u64,
    /// A name of an older generation is among them.
    has_late: bool,
    /// Of their names.
    bytes: usize,
    hints: Vec<(&'a [u8], Name<'a>)>,
}

/// Collects pages of one generation into batches, one open batch an output partition.
#[derive(Debug)]
pub struct Assembler {
    generation: u64,
    opened_at_ms: u64,
    partitions: i32,
    limits: BatchLimits,
    open: BTreeMap<i32, Batch>,
    left_alone: LeftAlone,
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

    /// Adds a page of one slot.
    pub fn add(&mut self, page: &Page) -> Added {
        let mut added = Added::default();
        for (host, hints) in self.group(page) {
            added.names += hints.hints.len();
            added.bytes += hints.bytes;
            self.add_host(host, hints, &mut added.full);
        }
        added
    }

    /// Closes the open batch with the most bytes.
    pub fn close_largest(&mut self) -> Option<Batch> {
        let largest = self.open.values().max_by_key(|batch| batch.bytes)?.partition;
        self.open.remove(&largest)
    }

    /// What was met and not touched since the last call.
    pub fn take_left_alone(&mut self) -> LeftAlone {
        std::mem::take(&mut self.left_alone)
    }

    fn group<'a>(&mut self, page: &'a Page) -> BTreeMap<&'a str, HostPage<'a>> {
        let mut hosts: BTreeMap<&str, HostPage<'_>> = BTreeMap::new();
        for key in page.iter() {
            let Some(name) = Name::parse(key.name) else {
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
            let host = hosts.entry(name.host).or_insert_with(HostPage::empty);
            host.oldest_event_ms = host.oldest_event_ms.min(event_ms);
            host.has_late |= name.generation < self.generation;
            host.bytes += key.name.len();
            host.hints.push((key.name, name));
        }
        hosts
    }

    /// Adds one host's hints: whole to one batch where that is possible, so that a request is full.
    fn add_host(&mut self, host: &str, page: HostPage<'_>, full: &mut Vec<Batch>) {
        let partition = output_partition(host, self.partitions);
        let urls = page.hints.iter().map(|(_, name)| url_bytes(name));
        let bytes = HostHints::host_bytes(host) + urls.sum::<usize>();
        if let Some(batch) = self.open.get(&partition)
            && (batch.urls + page.hints.len() > self.limits.urls || batch.bytes + bytes > self.limits.bytes)
        {
            full.extend(self.open.remove(&partition));
        }
        let mut rest = page;
        loop {
            let batch = self
                .open
                .entry(partition)
                .or_insert_with(|| Batch::new(partition));
            rest = batch.take(host, rest, self.limits);
            let is_full = batch.urls >= self.limits.urls || !rest.hints.is_empty();
            if is_full {
                full.extend(self.open.remove(&partition));
            }
            if rest.hints.is_empty() {
                return;
            }
        }
    }
}

/// Bytes of a name's URL in the encoded message.
fn url_bytes(name: &Name<'_>) -> usize {
    HostHints::url_bytes(name.url_len())
}

impl HostPage<'_> {
    fn empty() -> Self {
        Self {
            oldest_event_ms: u64::MAX,
            has_late: false,
            bytes: 0,
            hints: Vec::new(),
        }
    }
}

impl Batch {
    fn new(partition: i32) -> Self {
        Self {
            partition,
            hosts: BTreeMap::new(),
            merged: Names::default(),
            urls: 0,
            bytes: HintBatch::empty_bytes(),
        }
    }

    /// URLs in it.
    #[must_use]
    pub fn url_count(&self) -> usize {
        self.urls
    }

    /// Bytes of the encoded message, or a few more.
    #[must_use]
    pub fn message_bytes(&self) -> usize {
        self.bytes
    }

    /// Every name in it.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        let hosts = self.hosts.values().flat_map(|host| host.names.iter());
        hosts.chain(self.merged.iter())
    }

    /// Bytes of every name in it.
    #[must_use]
    pub fn name_bytes(&self) -> usize {
        let hosts = self.hosts.values().map(|host| host.names.bytes());
        hosts.sum::<usize>() + self.merged.bytes()
    }

    /// The URLs, spelled out.
    #[must_use]
    pub fn hints(&self) -> Vec<HostHints> {
        let hints = self.hosts.iter().map(|(host, of)| HostHints {
            host: host.clone(),
            oldest_event_ms: of.oldest_event_ms,
            urls: of
                .names
                .iter()
                .filter_map(|name| Some(Name::parse(name)?.url()))
                .collect(),
        });
        hints.collect()
    }

    /// Takes as many of the host's hints as fit, each URL once (I7), and gives back the rest.
    fn take<'a>(&mut self, host: &str, page: HostPage<'a>, limits: BatchLimits) -> HostPage<'a> {
        let mut rest = HostPage {
            hints: Vec::new(),
            ..page
        };
        if !self.hosts.contains_key(host) {
            self.bytes += HostHints::host_bytes(host);
            let new = HostNames {
                oldest_event_ms: u64::MAX,
                names: Names::with_capacity(page.hints.len(), page.bytes),
            };
            self.hosts.insert(host.to_owned(), new);
        }
        let Some(entry) = self.hosts.get_mut(host) else {
            return page;
        };
        entry.oldest_event_ms = entry.oldest_event_ms.min(page.oldest_event_ms);
        let mut known = Known::of(&entry.names, page.has_late);
        for (bytes, name) in page.hints {
            if known.contains(&name) {
                self.merged.push(bytes);
            } else if self.urls + 1 > limits.urls || self.bytes + url_bytes(&name) > limits.bytes {
                rest.hints.push((bytes, name));
            } else {
                self.urls += 1;
                self.bytes += url_bytes(&name);
                known.add(&name);
                entry.names.push(bytes);
            }
        }
        rest
    }
}

/// The URLs a host has in a batch already. One page of one generation cannot hold a URL twice, so nothing is
/// remembered unless the host came before, in another page or shard, or late names are among these.
struct Known {
    /// Scheme, path and query.
    urls: Option<HashSet<(bool, String)>>,
}

impl Known {
    fn of(before: &Names, has_late: bool) -> Self {
        let may_repeat = !before.is_empty() || has_late;
        let names = before.iter().filter_map(Name::parse);
        Self {
            urls: may_repeat.then(|| names.map(|name| Self::url(&name)).collect()),
        }
    }

    fn url(name: &Name<'_>) -> (bool, String) {
        (name.https, name.path_and_query.to_owned())
    }

    fn contains(&self, name: &Name<'_>) -> bool {
        self.urls
            .as_ref()
            .is_some_and(|urls| urls.contains(&Self::url(name)))
    }

    fn add(&mut self, name: &Name<'_>) {
        if let Some(urls) = &mut self.urls {
            urls.insert(Self::url(name));
        }
    }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
