//! Which queue a slot's SETs go to, and the chunk that is being filled for each master.

use messagebus::clock::BootInstant;
use tokio::sync::mpsc;

use crate::address::Address;
use crate::chunk::{Block, Chunk, ChunkAnswer};
use crate::connection::Outlets;
use crate::slot::SLOTS;
use crate::topology::Topology;

/// Where each slot's chunks are queued, by the slot map of `version`.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    pub(crate) version: u64,
    /// Index into `masters` for each slot; beyond its end where the slot has no owner.
    by_slot: Vec<u16>,
    /// The last one stands for "no owner".
    pub(crate) masters: Vec<Master>,
}

#[derive(Debug, Default)]
pub(crate) struct Master {
    pub(crate) queue: Option<(Address, mpsc::Sender<Chunk>)>,
    pub(crate) open: Option<Chunk>,
}

impl Routes {
    pub(crate) fn of(map: &Topology) -> Self {
        let owners: Vec<&str> = map.owners().map(|owner| owner.id.as_str()).collect();
        let nobody = u16::try_from(owners.len()).unwrap_or(u16::MAX);
        let index_of = |id: &str| owners.iter().position(|owner| *owner == id);
        let by_slot = (0..SLOTS)
            .map(|slot| map.owner(slot).and_then(|owner| index_of(&owner.id)))
            .map(|index| {
                index
                    .and_then(|index| u16::try_from(index).ok())
                    .unwrap_or(nobody)
            })
            .collect();
        let masters = (0..=owners.len()).map(|_| Master::default()).collect();
        Self {
            version: map.version,
            by_slot,
            masters,
        }
    }

    pub(crate) fn of_slot(&mut self, slot: u16) -> Option<&mut Master> {
        let master = *self.by_slot.get(usize::from(slot))?;
        self.masters.get_mut(usize::from(master))
    }
}

impl Master {
    /// Queues the open chunk, if there is one. A slot without an owner, or a connection that has ended, answers
    /// at once.
    pub(crate) fn send(&mut self, outlets: &Outlets) -> u32 {
        let Some(chunk) = self.open.take() else { return 0 };
        let refused = match &self.queue {
            Some((_, queue)) => match queue.try_send(chunk) {
                Ok(()) => return 1,
                Err(mpsc::error::TrySendError::Full(chunk) | mpsc::error::TrySendError::Closed(chunk)) => {
                    chunk
                }
            },
            None => chunk,
        };
        refuse(refused, outlets);
        1
    }
}

fn refuse(mut chunk: Chunk, outlets: &Outlets) {
    chunk.block(Block::Unreachable);
    let answer = ChunkAnswer::of(chunk, BootInstant::now());
    // The queue holds every chunk that may exist, so only a caller that dropped its end is not told.
    if outlets.answers.try_send(answer).is_err() {
        tracing::debug!("nobody waits for answers any more");
    }
}
