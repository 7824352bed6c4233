//! The ledger of one partition: its open spans in order, and the offset below which all is done.

use std::collections::VecDeque;

use super::{Progress, Span};

#[derive(Debug)]
pub(super) struct Partition {
    /// The epoch at which it was assigned.
    pub(super) assignment: u64,
    pub(super) epoch: u64,
    pub(super) stopped: bool,
    /// Everything below is durable.
    pub(super) done: Option<i64>,
    pub(super) revoking: bool,
    requested: Option<i64>,
    committed: Option<i64>,
    position: Option<i64>,
    open: VecDeque<Open>,
}

#[derive(Debug)]
struct Open {
    from: i64,
    to: i64,
    first_timestamp_ms: i64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Delivered,
    Begun,
    Forgotten,
    Done,
}

impl Partition {
    pub(super) fn new(epoch: u64) -> Self {
        Self {
            assignment: epoch,
            epoch,
            stopped: false,
            done: None,
            revoking: false,
            requested: None,
            committed: None,
            position: None,
            open: VecDeque::new(),
        }
    }

    pub(super) fn revoke(&mut self) {
        self.revoking = true;
    }

    pub(super) fn restart(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.open.clear();
        self.position = self.done;
    }

    pub(super) fn has_begun(&self) -> bool {
        self.open.iter().any(|open| open.state == State::Begun)
    }

    pub(super) fn deliver(&mut self, span: &Span) -> bool {
        // A span that does not lie behind the last one was polled before a seek that this ledger knows of already.
        if self.position.is_some_and(|position| span.from < position) {
            return false;
        }
        self.position = Some(span.to);
        self.open.push_back(Open {
            from: span.from,
            to: span.to,
            first_timestamp_ms: span.first_timestamp_ms,
            state: State::Delivered,
        });
        true
    }

    pub(super) fn begin(&mut self, span: &Span) -> bool {
        if self.revoking || self.stopped {
            return false;
        }
        let Some(open) = self.find(span) else { return false };
        open.state = State::Begun;
        true
    }

    pub(super) fn complete(&mut self, span: &Span) -> bool {
        let Some(open) = self.find(span) else { return false };
        if open.state == State::Done {
            return false;
        }
        open.state = State::Done;
        while let Some(first) = self.open.pop_front_if(|open| open.state == State::Done) {
            self.done = Some(first.to);
        }
        true
    }

    pub(super) fn forget(&mut self, span: &Span) {
        if let Some(open) = self.find(span)
            && open.state == State::Begun
        {
            open.state = State::Forgotten;
        }
    }

    pub(super) fn take_commit(&mut self) -> Option<i64> {
        let done = self.done.filter(|_| self.done > self.requested)?;
        self.requested = Some(done);
        Some(done)
    }

    pub(super) fn unacknowledged(&self) -> Option<i64> {
        self.done.filter(|_| self.done > self.committed)
    }

    pub(super) fn acknowledge(&mut self, offset: i64) {
        self.committed = self.committed.max(Some(offset));
    }

    pub(super) fn refuse(&mut self) {
        self.requested = self.committed.min(self.done);
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            epoch: self.epoch,
            committed: self.committed,
            position: self.position,
            oldest_ms: self.open.front().map(|open| open.first_timestamp_ms),
            stopped: self.stopped,
        }
    }

    fn find(&mut self, span: &Span) -> Option<&mut Open> {
        let index = self
            .open
            .binary_search_by_key(&span.from, |open| open.from)
            .ok()?;
        self.open.get_mut(index)
    }
}
