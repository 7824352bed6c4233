//! The flipper's reading verbs over one cluster, slot by slot: count, read a page.

use std::sync::Arc;

use futures_util::future::try_join_all;
use redis::{Pipeline, Value};

use crate::answer::{Answer, Strings};
use crate::by_key::by_key;
use crate::cluster::Cluster;
use crate::error_kind::ErrorKind;
use crate::metrics::Command;
use crate::node::{Node, NodeError};
use crate::page::{Page, Read};
use crate::resp::command;
use crate::topology::Topology;

/// `CLUSTER COUNTKEYSINSLOT`s in one pipeline.
const COUNTS_AT_ONCE: usize = 1_024;
/// Names in one MGET.
const VALUES_AT_ONCE: usize = 1_000;

/// How often a command follows a slot to a new owner.
pub(crate) const ATTEMPTS: usize = 3;

/// Why a verb did not come to its end. Nothing was deleted by it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DrainError {
    /// No node is known to own the slot.
    #[error("slot {slot} has no owner")]
    NoOwner {
        /// The slot.
        slot: u16,
    },
    /// A node did not do what it was told.
    #[error(transparent)]
    Node(#[from] NodeError),
}

/// Keys in one slot, at its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotCount {
    /// The slot.
    pub slot: u16,
    /// Its keys.
    pub keys: u64,
}

/// The draining side of one cluster; cheap to clone. Verbs on different slots may run at once.
#[derive(Clone, Debug)]
pub struct Drain {
    cluster: Cluster,
}

impl Drain {
    /// Drains `cluster`.
    #[must_use]
    pub fn new(cluster: Cluster) -> Self {
        Self { cluster }
    }

    /// The cluster that is drained.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The slots that hold keys at their owners, ascending.
    ///
    /// # Errors
    /// A slot without an owner, or an owner without an answer.
    pub async fn count_slots(&self) -> Result<Vec<SlotCount>, DrainError> {
        self.count_by(&self.cluster.topology()).await
    }

    /// Reads up to `limit` keys of a slot and their values. Which keys is Redis' choice, the newest first as a
    /// rule, so the next page shows only after these are unlinked. Keys that vanish while they are read, or are
    /// between two nodes, are left out. Cancel-safe.
    ///
    /// # Errors
    /// The owner did not answer.
    pub async fn read_page(&self, slot: u16, limit: usize) -> Result<Page, DrainError> {
        let mut attempts = 1;
        loop {
            let map = self.cluster.topology();
            let owner = self.owner(&map, slot)?;
            let listed = names_in(&owner, slot, limit).await?;
            match self.values(&owner, &listed).await {
                Ok(values) => return Ok(Page::new(listed, values)),
                Err(NodeError::Refused {
                    kind: ErrorKind::Moved,
                    ..
                }) if attempts < ATTEMPTS => {
                    self.follow(&map).await;
                    attempts += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What each name holds. Asked for in parts: a request and its answer stand in memory several times on their
    /// way.
    async fn values(&self, owner: &Node, listed: &Strings) -> Result<Vec<Read>, NodeError> {
        let names: Vec<&[u8]> = listed.iter().flatten().collect();
        let mut values = Vec::with_capacity(names.len());
        for part in names.chunks(VALUES_AT_ONCE) {
            self.values_of(owner, part, &mut values).await?;
        }
        Ok(values)
    }

    /// The value of each name, nil where it is gone or could not be read.
    async fn values_of(
        &self,
        owner: &Node,
        names: &[&[u8]],
        values: &mut Vec<Read>,
    ) -> Result<(), NodeError> {
        let wire = command(&[b"MGET"], names.iter().copied());
        match owner.ask(Command::Mget, wire).await {
            Ok(Answer::Strings(read)) if read.len() == names.len() => {
                values.extend(read.iter().map(Read::of));
                Ok(())
            }
            Ok(_) => Err(owner.malformed()),
            Err(NodeError::Refused {
                kind: ErrorKind::Ask | ErrorKind::TryAgain,
                ..
            }) => {
                let answers = by_key(&self.cluster, owner, Command::Mget, names).await;
                values.extend(answers.into_iter().map(only_value));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn count_by(&self, map: &Topology) -> Result<Vec<SlotCount>, DrainError> {
        if let Some(slot) = map.first_without_owner() {
            return Err(DrainError::NoOwner { slot });
        }
        let counts = map.owners().map(|owner| async move {
            let node = self.cluster.node(&owner.address);
            let slots: Vec<u16> = map.slots_of(&owner.id).collect();
            let mut filled = Vec::new();
            for group in slots.chunks(COUNTS_AT_ONCE) {
                filled.extend(count_group(&node, group).await?);
            }
            Ok::<_, NodeError>(filled)
        });
        let mut counts = try_join_all(counts).await?.concat();
        counts.sort_unstable_by_key(|count| count.slot);
        Ok(counts)
    }

    pub(crate) fn owner(&self, map: &Topology, slot: u16) -> Result<Arc<Node>, DrainError> {
        let owner = map.owner(slot).ok_or(DrainError::NoOwner { slot })?;
        Ok(self.cluster.node(&owner.address))
    }

    /// After a MOVED: a map newer than the one that misled. Without one the old is tried again.
    pub(crate) async fn follow(&self, misleading: &Topology) {
        if let Err(error) = self.cluster.refresh(misleading.version).await {
            tracing::warn!(
                redis_cluster = self.cluster.name().label(),
                error = &error as &dyn std::error::Error,
                "slot map not read after a redirection"
            );
        }
    }
}

async fn count_group(node: &Node, slots: &[u16]) -> Result<Vec<SlotCount>, NodeError> {
    let mut pipeline = Pipeline::with_capacity(slots.len());
    for slot in slots {
        pipeline.cmd("CLUSTER").arg("COUNTKEYSINSLOT").arg(*slot);
    }
    let answers = node.pipeline(Command::CountKeysInSlot, &pipeline).await?;
    let mut counts = Vec::new();
    for (&slot, answer) in slots.iter().zip(answers) {
        let Value::Int(keys) = node.accept(answer)? else {
            return Err(node.malformed());
        };
        if let Ok(keys @ 1..) = u64::try_from(keys) {
            counts.push(SlotCount { slot, keys });
        }
    }
    Ok(counts)
}

/// Names that stand in a slot.
async fn names_in(node: &Node, slot: u16, limit: usize) -> Result<Strings, NodeError> {
    let (slot, limit) = (slot.to_string(), limit.to_string());
    let words: [&[u8]; 4] = [b"CLUSTER", b"GETKEYSINSLOT", slot.as_bytes(), limit.as_bytes()];
    match node
        .ask(Command::GetKeysInSlot, command(&words, [].into_iter()))
        .await?
    {
        Answer::Strings(names) if names.iter().all(|name| name.is_some()) => Ok(names),
        _ => Err(node.malformed()),
    }
}

/// The single value of an MGET of one name.
fn only_value(answer: Result<Value, NodeError>) -> Read {
    match answer {
        Ok(Value::Array(values)) => match values.first() {
            Some(Value::BulkString(value)) => Read::of(Some(value)),
            _ => Read::Gone,
        },
        Ok(_) | Err(_) => Read::Gone,
    }
}
