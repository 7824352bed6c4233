//! URLs of one host that go together, and the hints they stand for: pure.

use std::collections::VecDeque;
use std::sync::Arc;

use ahash::RandomState;
use hint_schema::BatchId;
use indexmap::IndexSet;
use messagebus::Span;

/// A batch that waits, numbered in the order in which its lane admitted it.
pub(super) type Ticket = u64;

/// One assignment of one partition: what waits of it is given up together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Assignment {
    pub(crate) partition: i32,
    pub(crate) epoch: u64,
}

/// A host under one assignment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HostKey {
    pub(crate) assignment: Assignment,
    pub(crate) name: Arc<str>,
}

/// How much one request may carry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) urls: usize,
    /// Of the URLs as a JSON list.
    pub(crate) bytes: usize,
}

/// URLs of one host, each once, and every hint that ends with them.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) host: HostKey,
    pub(crate) urls: Vec<String>,
    /// The host's oldest hint's event time, Unix milliseconds.
    pub(crate) oldest_event_ms: u64,
    /// The newest of the batches that the hints came in.
    pub(crate) newest: Newest,
    pub(super) hints: Vec<Hint>,
}

/// Ordered by generation, then by admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Newest {
    pub(crate) generation: u64,
    pub(super) ticket: Ticket,
    pub(crate) batch: BatchId,
}

/// That a batch asks for a URL.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hint {
    /// Its place in the load's URLs.
    pub(super) url: usize,
    pub(super) ticket: Ticket,
}

impl From<&Span> for Assignment {
    fn from(span: &Span) -> Self {
        Self {
            partition: span.partition,
            epoch: span.epoch,
        }
    }
}

impl Load {
    /// Hints that end with these URLs.
    pub(crate) fn hint_count(&self) -> usize {
        self.hints.len()
    }

    /// Hints beyond one for each URL: other batches asked for the same.
    pub(crate) fn merged(&self) -> usize {
        self.hints.len().saturating_sub(self.urls.len())
    }

    /// Splits into what `goes` says yes to and the rest.
    pub(crate) fn split(self, mut goes: impl FnMut(&str) -> bool) -> (Self, Self) {
        let part = || Self {
            urls: Vec::new(),
            hints: Vec::new(),
            host: self.host.clone(),
            ..self
        };
        let (mut yes, mut no) = (part(), part());
        let mut places = Vec::with_capacity(self.urls.len());
        for url in self.urls {
            let is_yes = goes(&url);
            let part = if is_yes { &mut yes } else { &mut no };
            places.push((is_yes, part.urls.len()));
            part.urls.push(url);
        }
        for Hint { url, ticket } in self.hints {
            if let Some(&(is_yes, url)) = places.get(url) {
                let part = if is_yes { &mut yes } else { &mut no };
                part.hints.push(Hint { url, ticket });
            }
        }
        (yes, no)
    }

    /// Takes off the front as much as the bounds allow; the second part is what is left.
    pub(crate) fn split_at(self, bounds: Bounds) -> (Self, Self) {
        let mut room = Room::new(bounds);
        self.split(|url| room.takes(url))
    }
}

/// Takes from what waits of one host as much as one request may carry, oldest first. A URL that is taken is taken
/// out of every load; what there is no room for stays.
pub(super) fn merge(loads: &mut VecDeque<Load>, bounds: Bounds) -> Option<Load> {
    if loads.len() == 1 && loads.front().is_some_and(|load| bounds.hold(&load.urls)) {
        return loads.pop_front(); // Nothing waits beside it: there is nothing to compare.
    }
    let mut room = Room::new(bounds);
    let mut urls = IndexSet::with_hasher(RandomState::new());
    let mut whole: Option<Load> = None;
    for load in std::mem::take(loads) {
        let (goes, stays) = load.split(|url| urls.contains(url) || room.takes(url));
        if !stays.urls.is_empty() {
            loads.push_back(stays);
        }
        if !goes.urls.is_empty() {
            add(&mut whole, &mut urls, goes);
        }
    }
    whole.map(|whole| Load {
        urls: urls.into_iter().collect(),
        ..whole
    })
}

/// Adds a load's hints to `whole`, and its URLs to `urls`.
fn add(whole: &mut Option<Load>, urls: &mut IndexSet<String, RandomState>, mut load: Load) {
    let places: Vec<usize> = load.urls.drain(..).map(|url| urls.insert_full(url).0).collect();
    for hint in &mut load.hints {
        if let Some(&place) = places.get(hint.url) {
            hint.url = place;
        }
    }
    match whole {
        None => *whole = Some(load),
        Some(whole) => {
            whole.oldest_event_ms = whole.oldest_event_ms.min(load.oldest_event_ms);
            whole.newest = whole.newest.max(load.newest);
            whole.hints.append(&mut load.hints);
        }
    }
}

/// What is left of the bounds of one request.
struct Room {
    left: Bounds,
    is_empty: bool,
}

impl Room {
    fn new(bounds: Bounds) -> Self {
        Self {
            left: bounds,
            is_empty: true,
        }
    }

    /// Whether there is room for a URL, which it takes then. The first always goes.
    fn takes(&mut self, url: &str) -> bool {
        let bytes = url_bytes(url);
        let fits = self.left.urls >= 1 && self.left.bytes >= bytes;
        if fits || self.is_empty {
            self.left.urls = self.left.urls.saturating_sub(1);
            self.left.bytes = self.left.bytes.saturating_sub(bytes);
            self.is_empty = false;
            return true;
        }
        false
    }
}

impl Bounds {
    fn hold(self, urls: &[String]) -> bool {
        urls.len() <= self.urls && urls.iter().map(|url| url_bytes(url)).sum::<usize>() <= self.bytes
    }
}

/// A URL in a JSON list: quotes and a comma; RFC 3986 leaves nothing to escape.
pub(super) fn url_bytes(url: &str) -> usize {
    url.len() + 3
}
