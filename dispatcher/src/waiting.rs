//! What waits of a lane, and which of it makes up the next request: pure, no clock, no client.
//!
//! A hint is a URL in a batch. It waits with its host until the host's turn comes, in the order in which hosts began
//! to wait. The turn takes all that waits of the host by then: a URL that stands in several batches goes once, for
//! all of them. A host has one turn at a time. A batch is whole once each of its hints has ended.

mod load;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use ahash::RandomState;
use hint_schema::HintBatch;

use load::{Hint, Newest, Ticket, merge};

pub(crate) use load::{Assignment, Bounds, HostKey, Load};

/// What waits. `B` is what the lane keeps of a batch until it is whole.
#[derive(Debug)]
pub(crate) struct Waiting<B> {
    bounds: Bounds,
    batches: BTreeMap<Ticket, Open<B>>,
    hosts: HashMap<HostKey, Host, RandomState>,
    /// Whose turn comes next.
    ready: VecDeque<HostKey>,
    next_ticket: Ticket,
}

/// A batch that is not whole yet.
#[derive(Debug)]
struct Open<B> {
    batch: B,
    assignment: Assignment,
    hints_left: usize,
    given_up: bool,
}

/// A host that waits or has its turn.
#[derive(Debug)]
struct Host {
    loads: VecDeque<Load>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Stands in `ready`.
    Ready,
    /// Has its turn.
    Taken,
    /// Waits for [`Waiting::wake`].
    Resting,
}

/// A batch whose every hint has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Whole<B> {
    pub(crate) batch: B,
    /// Whether one of its URLs was given up.
    pub(crate) given_up: bool,
}

impl<B> Waiting<B> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            batches: BTreeMap::new(),
            hosts: HashMap::default(),
            ready: VecDeque::new(),
            next_ticket: 0,
        }
    }

    /// Admits a batch; gives it back when there is nothing in it to wait for.
    pub(crate) fn admit(&mut self, batch: B, assignment: Assignment, hints: HintBatch) -> Option<B> {
        let hints_left = hints.url_count();
        if hints_left == 0 {
            return Some(batch);
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let newest = Newest {
            generation: hints.generation,
            ticket,
            batch: hints.id,
        };
        for host in hints.hosts.into_iter().filter(|host| !host.urls.is_empty()) {
            self.push(Load {
                host: HostKey {
                    assignment,
                    name: Arc::from(host.host),
                },
                oldest_event_ms: host.oldest_event_ms,
                newest,
                hints: (0..host.urls.len()).map(|url| Hint { url, ticket }).collect(),
                urls: host.urls,
            });
        }
        let open = Open {
            batch,
            assignment,
            hints_left,
            given_up: false,
        };
        self.batches.insert(ticket, open);
        None
    }

    fn push(&mut self, load: Load) {
        if let Some(host) = self.hosts.get_mut(&load.host) {
            host.loads.push_back(load);
            return;
        }
        let key = load.host.clone();
        self.ready.push_back(key.clone());
        let host = Host {
            loads: VecDeque::from([load]),
            state: State::Ready,
        };
        self.hosts.insert(key, host);
    }

    /// Whether it is some host's turn.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Begins the turn of the host that has waited longest. It ends with [`finish`](Self::finish) or
    /// [`give_back`](Self::give_back).
    pub(crate) fn take(&mut self) -> Option<Load> {
        let key = self.ready.pop_front()?;
        let host = self.hosts.get_mut(&key)?;
        host.state = State::Taken;
        merge(&mut host.loads, self.bounds)
    }

    /// The hints of a load have ended; returns the batches that are whole by that.
    pub(crate) fn end(&mut self, load: &Load, given_up: bool) -> Vec<Whole<B>> {
        let mut whole = Vec::new();
        for hint in &load.hints {
            // One that is missing was abandoned: somebody else delivers it again.
            let Some(open) = self.batches.get_mut(&hint.ticket) else {
                continue;
            };
            open.given_up |= given_up;
            open.hints_left -= 1;
            if open.hints_left == 0
                && let Some(Open { batch, given_up, .. }) = self.batches.remove(&hint.ticket)
            {
                whole.push(Whole { batch, given_up });
            }
        }
        whole
    }

    /// Ends a host's turn: what came meanwhile waits for the next.
    pub(crate) fn finish(&mut self, key: &HostKey) {
        let Some(host) = self.hosts.get_mut(key) else {
            return;
        };
        if host.loads.is_empty() {
            self.hosts.remove(key);
        } else {
            host.state = State::Ready;
            self.ready.push_back(key.clone());
        }
    }

    /// Ends a host's turn without an end of this load, which waits, before what came meanwhile, until the host is
    /// woken. False when the host was abandoned.
    pub(crate) fn give_back(&mut self, load: Load) -> bool {
        let Some(host) = self.hosts.get_mut(&load.host) else {
            return false;
        };
        host.state = State::Resting;
        host.loads.push_front(load);
        true
    }

    /// Lets a host that rests have its turn again.
    pub(crate) fn wake(&mut self, key: &HostKey) {
        let resting = |host: &&mut Host| host.state == State::Resting;
        if let Some(host) = self.hosts.get_mut(key).filter(resting) {
            host.state = State::Ready;
            self.ready.push_back(key.clone());
        }
    }

    /// Gives up all that waits of an assignment, and returns its batches.
    pub(crate) fn abandon(&mut self, assignment: Assignment) -> Vec<B> {
        self.hosts.retain(|key, _| key.assignment != assignment);
        self.ready.retain(|key| key.assignment != assignment);
        let gone = self
            .batches
            .extract_if(.., |_, open| open.assignment == assignment);
        gone.map(|(_, open)| open.batch).collect()
    }

    /// The batches that a load's hints came in, each once.
    pub(crate) fn batches_of(&self, load: &Load) -> impl Iterator<Item = &B> {
        let tickets: BTreeSet<Ticket> = load.hints.iter().map(|hint| hint.ticket).collect();
        let open = tickets.into_iter().filter_map(|ticket| self.batches.get(&ticket));
        open.map(|open| &open.batch)
    }

    /// Every batch that is not whole.
    pub(crate) fn batches(&self) -> impl Iterator<Item = &B> {
        self.batches.values().map(|open| &open.batch)
    }
}
