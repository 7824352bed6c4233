//! Who owns which slot: what one node says, and what follows from what several say.

mod merge;
mod view;

use crate::address::Address;
use crate::slot::SLOTS;

pub(crate) use merge::merge;
pub(crate) use view::View;

/// A node as the cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterNode {
    /// The cluster's own id of it, 40 hex digits.
    pub id: String,
    /// Where it listens; its announced host name where it has one.
    pub address: Address,
    /// A master, with or without slots.
    pub is_master: bool,
    /// The cluster agreed that it is down.
    pub failed: bool,
    /// Raised each time it takes slots over.
    pub config_epoch: u64,
}

/// The slot map of a cluster, as of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// Grows with each map that was read; 0 before the first.
    pub version: u64,
    nodes: Vec<ClusterNode>,
    /// Index into `nodes` for each slot.
    owners: Vec<Option<u16>>,
}

impl Topology {
    /// The map before any was read: no node, no owner.
    pub(crate) fn unknown() -> Self {
        Self {
            version: 0,
            nodes: Vec::new(),
            owners: vec![None; usize::from(SLOTS)],
        }
    }

    pub(crate) fn with_version(self, version: u64) -> Self {
        Self { version, ..self }
    }

    /// Every node that has an address, replicas included.
    #[must_use]
    pub fn nodes(&self) -> &[ClusterNode] {
        &self.nodes
    }

    /// The master that owns a slot.
    #[must_use]
    pub fn owner(&self, slot: u16) -> Option<&ClusterNode> {
        self.owners
            .get(usize::from(slot))
            .copied()
            .flatten()
            .and_then(|node| self.nodes.get(usize::from(node)))
    }

    /// Masters that have to be asked before a cluster counts as empty: all but those that are down and own
    /// nothing.
    pub fn masters(&self) -> impl Iterator<Item = &ClusterNode> {
        self.nodes.iter().enumerate().filter_map(|(index, node)| {
            (node.is_master && (!node.failed || self.owns(index))).then_some(node)
        })
    }

    /// The masters that own slots.
    pub fn owners(&self) -> impl Iterator<Item = &ClusterNode> {
        self.nodes
            .iter()
            .enumerate()
            .filter_map(|(index, node)| self.owns(index).then_some(node))
    }

    /// The slots of a node, ascending.
    pub fn slots_of(&self, id: &str) -> impl Iterator<Item = u16> {
        let index = self.nodes.iter().position(|node| node.id == id);
        (0..SLOTS).filter(move |&slot| {
            index.is_some()
                && self
                    .owners
                    .get(usize::from(slot))
                    .copied()
                    .flatten()
                    .map(usize::from)
                    == index
        })
    }

    /// Whether every slot has an owner.
    #[must_use]
    pub fn is_covered(&self) -> bool {
        self.owners.iter().all(Option::is_some)
    }

    /// The lowest slot without an owner.
    pub(crate) fn first_without_owner(&self) -> Option<u16> {
        (0..SLOTS).find(|&slot| self.owner(slot).is_none())
    }

    /// Whether both name the same masters, and the same owner of the same epoch for each slot.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        let masters = |map: &Self| {
            let mut ids: Vec<String> = map.masters().map(|master| master.id.clone()).collect();
            ids.sort_unstable();
            ids
        };
        let same = |slot| match (self.owner(slot), other.owner(slot)) {
            (Some(ours), Some(theirs)) => ours.id == theirs.id && ours.config_epoch == theirs.config_epoch,
            _ => false,
        };
        masters(self) == masters(other) && (0..SLOTS).all(same)
    }

    fn owns(&self, index: usize) -> bool {
        self.owners
            .iter()
            .flatten()
            .any(|&owner| usize::from(owner) == index)
    }
}
