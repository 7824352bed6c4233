//! Whether a pass over a cluster is complete: it is empty, and has been one thing while that was looked at.

use futures_util::future::try_join_all;

use crate::cluster::view_of;
use crate::drain::{Drain, DrainError, SlotCount};
use crate::node::NodeError;
use crate::topology::{Topology, View};

/// What every master said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stability {
    /// All masters know the same owners and masters, before the count and after it.
    pub agree: bool,
    /// Slots being handed over or received, ascending: their owner may count 0 with keys left elsewhere.
    pub moving: Vec<u16>,
    /// Slots that hold keys at their owners, ascending.
    pub filled: Vec<SlotCount>,
}

impl Stability {
    /// The pass is complete.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.agree && self.moving.is_empty() && self.filled.is_empty()
    }

    /// The slots to visit again, ascending.
    #[must_use]
    pub fn concerned(&self) -> Vec<u16> {
        let mut slots = self.moving.clone();
        slots.extend(self.filled.iter().map(|count| count.slot));
        slots.sort_unstable();
        slots.dedup();
        slots
    }
}

impl Drain {
    /// Asks every master for its slot map and counts all slots at their owners. The maps are asked for before
    /// and after the count, because a slot that moves in between counts 0 at both its owners.
    ///
    /// # Errors
    /// A master that did not answer, or a slot without an owner.
    pub async fn stability(&self) -> Result<Stability, DrainError> {
        let known = self.cluster.topology();
        // Without a fresh map the masters known from before are asked, and tell or do not answer.
        let map = self.cluster.refresh(known.version).await.unwrap_or(known);
        let before = self.views(&map).await?;
        let filled = self.count_by(&map).await?;
        let after = self.views(&map).await?;

        let views = || before.iter().chain(&after);
        let agree = views().all(|view| map.agrees_with(&view.map));
        let mut moving: Vec<u16> = views().flat_map(|view| view.moving.iter().copied()).collect();
        moving.sort_unstable();
        moving.dedup();
        Ok(Stability {
            agree,
            moving,
            filled,
        })
    }

    async fn views(&self, map: &Topology) -> Result<Vec<View>, NodeError> {
        try_join_all(
            map.masters()
                .map(|master| view_of(self.cluster.node(&master.address))),
        )
        .await
    }
}
