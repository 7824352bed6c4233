//! The batch being filled: pure but for the time, which it is given.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    batch::{Arena, Record},
    buffer::Buffer,
};
use crate::ledger::{Span, View};

/// A span under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filled {
    pub(super) span: Span,
    /// Bytes of its keys and values.
    pub(super) bytes: usize,
}

/// A batch under way, and where each partition stands.
pub(super) struct Filling {
    buffer: Arc<Buffer>,
    arena: Arena,
    spans: Vec<Filled>,
    /// Which of `spans` the last record went to: records come in long runs of one partition.
    current: usize,
    places: Vec<Place>,
    since: Option<Instant>,
    max_records: usize,
    max_wait: Duration,
}

/// Where a partition stands under its epoch.
#[derive(Clone, Copy, Debug)]
struct Place {
    partition: i32,
    assignment: u64,
    epoch: u64,
    /// The next offset, once it is known.
    position: Option<i64>,
    /// The first offset polled under the assignment: where a rewind leads while nothing is done.
    first: Option<i64>,
    /// Whether records may be taken: false until a seek that is due has happened.
    open: bool,
}

impl Filling {
    pub(super) fn new(buffer: Arc<Buffer>, max_records: usize, max_wait: Duration) -> Self {
        let arena = buffer.arena();
        let (spans, places) = (Vec::new(), Vec::new());
        Self {
            buffer,
            arena,
            spans,
            current: 0,
            places,
            since: None,
            max_records,
            max_wait,
        }
    }

    /// Takes a record in, unless its partition is not held or waits for a seek.
    pub(super) fn push(&mut self, record: &Record<'_>, now: impl FnOnce() -> Instant) {
        let current = self.spans.get(self.current).map(|filled| filled.span.partition);
        if current != Some(record.partition) && !self.turn_to(record) {
            return;
        }
        let Some(Filled { span, bytes }) = self.spans.get_mut(self.current) else {
            return;
        };
        // A record from before the position was polled before a seek that took place since.
        if record.offset < span.to || !self.arena.push(record) {
            return;
        }
        if span.records == 0 {
            span.first_timestamp_ms = record.timestamp_ms;
        }
        span.to = record.offset + 1;
        span.records += 1;
        *bytes += record.payload.len() + record.key.map_or(0, <[u8]>::len);
        if self.since.is_none() {
            self.since = Some(now());
        }
    }

    /// Makes the span of the record's partition the current one; false when none of its records may be taken.
    fn turn_to(&mut self, record: &Record<'_>) -> bool {
        if let Some(found) = self
            .spans
            .iter()
            .position(|filled| filled.span.partition == record.partition)
        {
            self.current = found;
            return true;
        }
        let open = |place: &&mut Place| place.partition == record.partition && place.open;
        let Some(place) = self.places.iter_mut().find(open) else {
            return false;
        };
        place.first = place.first.or(Some(record.offset));
        let from = place.position.unwrap_or(record.offset);
        self.current = self.spans.len();
        let (partition, epoch) = (record.partition, place.epoch);
        let span = Span {
            partition,
            epoch,
            from,
            to: from,
            records: 0,
            first_timestamp_ms: 0,
        };
        self.spans.push(Filled { span, bytes: 0 });
        true
    }

    /// How long the batch may still grow; nothing while it is empty.
    pub(super) fn time_left(&self, now: Instant) -> Option<Duration> {
        Some(
            self.max_wait
                .saturating_sub(now.saturating_duration_since(self.since?)),
        )
    }

    /// Whether the batch is as large as one may be.
    pub(super) fn is_full(&self) -> bool {
        self.arena.len() >= self.max_records || self.arena.used() >= self.buffer.max_arena()
    }

    /// Time since the first record.
    pub(super) fn age(&self, now: Instant) -> Duration {
        self.since
            .map(|since| now.saturating_duration_since(since))
            .unwrap_or_default()
    }

    /// Ends the batch; what follows begins another. Nothing when it is empty.
    pub(super) fn close(&mut self) -> Option<(Arena, Vec<Filled>)> {
        self.since = None;
        self.current = 0;
        let mut spans = std::mem::take(&mut self.spans);
        spans.retain(|filled| filled.span.records > 0);
        if spans.is_empty() {
            return None;
        }
        for Filled { span, .. } in &spans {
            let of_span = |place: &&mut Place| place.partition == span.partition && place.epoch == span.epoch;
            if let Some(place) = self.places.iter_mut().find(of_span) {
                place.position = Some(span.to);
            }
        }
        Some((self.take_arena(), spans))
    }

    /// A small batch is copied, so that a hundred of them do not hold a hundred large arenas.
    fn take_arena(&mut self) -> Arena {
        if self.arena.used() < self.arena.capacity() / 4 {
            let copy = self.arena.compact();
            self.arena.clear();
            return copy;
        }
        std::mem::replace(&mut self.arena, self.buffer.arena())
    }

    /// Follows a change of assignment or epochs, after [`close`](Self::close). Returns where to seek to: records
    /// of those partitions are taken again once [`sought`](Self::sought) says so.
    pub(super) fn follow(&mut self, views: &[View]) -> Vec<(i32, i64)> {
        let before = std::mem::take(&mut self.places);
        let mut seeks = Vec::new();
        for view in views {
            let known = before.iter().find(|place| place.partition == view.partition);
            let (place, seek) = follow_one(known, view);
            self.places.push(place);
            seeks.extend(seek.map(|offset| (view.partition, offset)));
        }
        seeks
    }

    /// Takes records of a partition again, from this offset.
    pub(super) fn sought(&mut self, partition: i32, offset: i64) {
        if let Some(place) = self.places.iter_mut().find(|place| place.partition == partition) {
            place.position = Some(offset);
            place.open = true;
        }
    }

    /// The epoch that the partition's records belong to.
    pub(super) fn epoch(&self, partition: i32) -> Option<u64> {
        self.places
            .iter()
            .find(|place| place.partition == partition)
            .map(|place| place.epoch)
    }

    /// Whether a seek that was due has not happened yet.
    pub(super) fn waits_for_seek(&self) -> bool {
        self.places.iter().any(|place| !place.open)
    }
}

/// A partition's place after a change, and the offset to seek to where its epoch is another.
fn follow_one(known: Option<&Place>, view: &View) -> (Place, Option<i64>) {
    let fresh = Place {
        partition: view.partition,
        assignment: view.assignment,
        epoch: view.epoch,
        position: None,
        first: None,
        open: true,
    };
    let Some(known) = known.filter(|known| known.assignment == view.assignment) else {
        // Rewound before its first record was polled: it begins where it would have begun.
        return (fresh, None);
    };
    if known.epoch == view.epoch && known.open {
        return (*known, None);
    }
    // Nothing of the assignment was ever polled: there is nothing to go back behind.
    let target = view.done.or(known.first);
    (
        Place {
            first: known.first,
            open: target.is_none(),
            ..fresh
        },
        target,
    )
}

#[cfg(test)]
mod tests;
