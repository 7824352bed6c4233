//! How much a consumer's batches hold, and the arenas that wait to be used again.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use prometheus::Gauge;

use super::batch::Arena;

/// Arenas kept for the next batches: more would be memory that a drained backlog never gives back.
const SPARE_ARENAS: usize = 4;

/// The bound on what a consumer has polled and nobody has finished with.
#[derive(Debug)]
pub(super) struct Buffer {
    used: AtomicUsize,
    max: usize,
    bytes: Gauge,
    /// Nothing for one whose records do not count as polled.
    records: Option<Gauge>,
    spare: Mutex<Vec<Arena>>,
}

impl Buffer {
    /// A buffer of `max` bytes. The gauges, which other consumers of the process share, get what this one holds.
    pub(super) fn new(max: usize, bytes: Gauge, records: Option<Gauge>) -> Self {
        Self {
            used: AtomicUsize::new(0),
            max,
            bytes,
            records,
            spare: Mutex::new(Vec::with_capacity(SPARE_ARENAS)),
        }
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The largest arena of a batch: a fraction of the buffer, so that it holds several.
    pub(super) fn max_arena(&self) -> usize {
        (self.max / 8).clamp(1, 4 << 20)
    }

    /// Whether nothing more may be polled.
    pub(super) fn is_full(&self) -> bool {
        self.used() >= self.max
    }

    /// Whether polling may go on after it was full. Half, since each pause makes librdkafka fetch again what it
    /// had prefetched.
    pub(super) fn has_drained(&self) -> bool {
        self.used() <= self.max / 2
    }

    #[expect(clippy::cast_precision_loss, reason = "less memory than 2^52 bytes")]
    pub(super) fn grow(&self, bytes: usize, records: u32) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
        self.bytes.add(bytes as f64);
        if let Some(gauge) = &self.records {
            gauge.add(f64::from(records));
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "less memory than 2^52 bytes")]
    pub(super) fn shrink(&self, bytes: usize, records: u32) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        self.bytes.sub(bytes as f64);
        if let Some(gauge) = &self.records {
            gauge.sub(f64::from(records));
        }
    }

    /// An empty arena, used before where there is one.
    pub(super) fn arena(&self) -> Arena {
        self.spare.lock().pop().unwrap_or_default()
    }

    /// Keeps an arena for the next batch, unless there are enough.
    pub(super) fn recycle(&self, mut arena: Arena) {
        if arena.capacity() == 0 || arena.capacity() > 2 * self.max_arena() {
            return;
        }
        arena.clear();
        let mut spare = self.spare.lock();
        if spare.len() < SPARE_ARENAS {
            spare.push(arena);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_at_its_bound_and_drained_at_half_of_it() {
        let buffer = Buffer::new(1_000, Gauge::new("buffer_bytes", "help").unwrap(), None);
        buffer.grow(999, 1);
        assert!(!buffer.is_full());
        buffer.grow(1, 1);
        assert!(buffer.is_full());
        buffer.shrink(499, 1);
        assert!(!buffer.is_full() && !buffer.has_drained());
        buffer.shrink(1, 1);
        assert!(buffer.has_drained());
    }
}
