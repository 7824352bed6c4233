//! A chunk: up to a thousand encoded SETs of one generation for one master, and what became of each.

use std::ops::Range;
use std::sync::Arc;

use messagebus::clock::BootInstant;

use crate::address::Address;
use crate::key::name_hash;
use crate::pool::Pool;
use crate::resp::put_set;
use crate::value::AgeValue;

/// Most SETs in a chunk.
pub const MAX_SETS: usize = 1_000;

/// A chunk takes no further SET once its encoded commands reach this many bytes.
pub(crate) const MAX_BYTES: usize = 256 * 1024;

/// What became of one copy of a SET.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Written; the name was not there before.
    New,
    /// The name was there already.
    Repeated,
    /// Certainly not written: the slot has another master, or is moving. The slot map has been read again since,
    /// so sending it again now will help.
    Retry,
    /// Certainly not written: pause, and send it again later.
    Blocked(Block),
    /// Sent, and cut off or out of time before its own answer: it may have been written, or be written still.
    Unanswered,
}

/// Why a SET was certainly not written and would not be a moment later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Block {
    /// The master is at its maxmemory.
    OutOfMemory,
    /// The cluster misses slots or its majority.
    ClusterDown,
    /// The master is reading its data set.
    Loading,
    /// Too few replicas.
    NoReplicas,
    /// The master refused in any other way: permissions, a read-only node, a disk it cannot write.
    Refused,
    /// The slot's master is not known or has no connection; nothing was sent.
    Unreachable,
    /// The chunk's `send_until` passed before it was sent; nothing was sent.
    Lapsed,
}

/// One SET of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Set<'a> {
    /// Key name.
    pub name: &'a [u8],
    /// Age.
    pub value: AgeValue,
    /// The caller's own number for it, returned as given.
    pub mark: u64,
    /// What became of it.
    pub outcome: Outcome,
}

/// The memory of a chunk, recycled.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    pub(crate) wire: Vec<u8>,
    pub(crate) sets: Vec<Entry>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    name: Range<u32>,
    value: AgeValue,
    mark: u64,
    outcome: Option<Outcome>,
}

/// Who a chunk's SETs belong to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purpose {
    pub(crate) generation: u64,
    pub(crate) tag: u64,
    pub(crate) send_until: BootInstant,
    /// Version of the slot map that chose the master.
    pub(crate) map_version: u64,
}

/// Encoded SETs of one generation for one master. Its memory goes back to the pool when it is dropped.
#[derive(Debug)]
pub struct Chunk {
    buffers: Buffers,
    pub(crate) purpose: Purpose,
    /// SETs that were told to ask another node, by index.
    pub(crate) asked: Vec<(usize, Address)>,
    pool: Arc<Pool>,
}

impl Chunk {
    pub(crate) fn new(buffers: Buffers, purpose: Purpose, pool: Arc<Pool>) -> Self {
        Self {
            buffers,
            purpose,
            asked: Vec::new(),
            pool,
        }
    }

    /// The SETs in the order they were pushed.
    pub fn sets(&self) -> impl ExactSizeIterator<Item = Set<'_>> {
        self.buffers.sets.iter().map(|entry| Set {
            name: self.bytes(&entry.name),
            value: entry.value,
            mark: entry.mark,
            outcome: entry.outcome.unwrap_or(Outcome::Unanswered),
        })
    }

    /// Number of SETs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buffers.sets.len()
    }

    /// Whether it holds no SET.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffers.sets.is_empty()
    }

    pub(crate) fn push(&mut self, name: &[u8], value: AgeValue, mark: u64) {
        let at = put_set(&mut self.buffers.wire, name, value);
        let position = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let name = position(at.start)..position(at.end);
        self.buffers.sets.push(Entry {
            name,
            value,
            mark,
            outcome: None,
        });
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() >= MAX_SETS || self.buffers.wire.len() >= MAX_BYTES
    }

    /// The encoded commands.
    pub(crate) fn wire(&self) -> &[u8] {
        &self.buffers.wire
    }

    /// Notes what became of the SET at `index`.
    pub(crate) fn settle(&mut self, index: usize, outcome: Outcome) {
        if let Some(entry) = self.buffers.sets.get_mut(index) {
            entry.outcome = Some(outcome);
        }
    }

    /// Notes that nothing of this chunk was sent.
    pub(crate) fn block(&mut self, why: Block) {
        for entry in &mut self.buffers.sets {
            entry.outcome = Some(Outcome::Blocked(why));
        }
    }

    fn bytes(&self, range: &Range<u32>) -> &[u8] {
        let (from, to) = (range.start as usize, range.end as usize);
        self.buffers.wire.get(from..to).unwrap_or_default()
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.pool.recycle(std::mem::take(&mut self.buffers));
    }
}

/// A chunk with every SET's fate, and the sums of them.
#[derive(Debug)]
pub struct ChunkAnswer {
    /// Generation the SETs were for.
    pub generation: u64,
    /// The caller's number of the batch.
    pub tag: u64,
    /// Boot-time clock, read after the last answer had left the socket. Answers count only under a lease that
    /// lasts to this moment.
    pub at: BootInstant,
    /// Names that are new.
    pub new: u32,
    /// Wrapping sum of [`name_hash`] of exactly those.
    pub new_hash: u128,
    /// Names that were there already.
    pub repeated: u32,
    /// SETs to send again now.
    pub retry: u32,
    /// SETs to send again later.
    pub blocked: u32,
    /// Why the first of those is blocked.
    pub block: Option<Block>,
    /// Copies that were sent and have no answer of their own.
    pub unanswered: u32,
    /// The SETs themselves. Drop it soon: its memory is what the next chunks are made of.
    pub chunk: Chunk,
}

impl ChunkAnswer {
    pub(crate) fn of(chunk: Chunk, at: BootInstant) -> Self {
        let Purpose { generation, tag, .. } = chunk.purpose;
        let (mut new, mut new_hash, mut repeated, mut retry, mut blocked) = (0, 0_u128, 0, 0, 0);
        let (mut block, mut unanswered) = (None, 0);
        for set in chunk.sets() {
            match set.outcome {
                Outcome::New => {
                    new += 1;
                    new_hash = new_hash.wrapping_add(name_hash(set.name));
                }
                Outcome::Repeated => repeated += 1,
                Outcome::Retry => retry += 1,
                Outcome::Blocked(why) => {
                    blocked += 1;
                    block = block.or(Some(why));
                }
                Outcome::Unanswered => unanswered += 1,
            }
        }
        Self {
            generation,
            tag,
            at,
            new,
            new_hash,
            repeated,
            retry,
            blocked,
            block,
            unanswered,
            chunk,
        }
    }

    /// Whether every SET was answered [`Outcome::New`] or [`Outcome::Repeated`].
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.retry == 0 && self.blocked == 0 && self.unanswered == 0
    }
}
