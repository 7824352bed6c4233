//! Recycles the memory of chunks and bounds how many there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::chunk::{Buffers, Chunk, MAX_BYTES, Purpose};

/// Most chunks in existence. Every queue that a chunk may stand in has this capacity, so that none of them can
/// ever be full; the writer stops its caller long before (`has_room`).
pub(crate) const MAX_CHUNKS: usize = 65_536;

/// Spare buffers kept; more than the ordinary number of chunks at work.
const MAX_SPARE: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Pool {
    spare: Mutex<Vec<Buffers>>,
    out: AtomicUsize,
}

impl Pool {
    /// Chunks that exist now.
    pub(crate) fn out(&self) -> usize {
        self.out.load(Ordering::Acquire)
    }

    /// An empty chunk, or `None` at [`MAX_CHUNKS`].
    pub(crate) fn take(self: &Arc<Self>, purpose: Purpose) -> Option<Chunk> {
        if self.out.fetch_add(1, Ordering::AcqRel) >= MAX_CHUNKS {
            self.out.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        let buffers = self.spare.lock().pop().unwrap_or_default();
        Some(Chunk::new(buffers, purpose, Arc::clone(self)))
    }

    pub(crate) fn recycle(&self, mut buffers: Buffers) {
        buffers.wire.clear();
        buffers.sets.clear();
        let mut spare = self.spare.lock();
        if spare.len() < MAX_SPARE && buffers.wire.capacity() <= 2 * MAX_BYTES {
            spare.push(buffers);
        }
        drop(spare);
        self.out.fetch_sub(1, Ordering::AcqRel);
    }
}
