//! The books of a generation: what writers say they made against what the drain found (I5).

use std::collections::BTreeMap;

use hint_schema::generation_event::{FailedReason, NodeSeen, Opened};

use super::history::GenerationHistory;

/// What an inexact generation without a loss sign becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BooksPolicy {
    /// Settled, counted as unaudited: a loss that Redis shows in no way goes unseen in such a generation.
    #[default]
    Visible,
    /// Failed and read again: nothing goes unseen, and a writer that crashes in a loop replays for ever.
    Strict,
}

/// What draining a generation found, all passes of one flipper incarnation together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct DrainReport {
    /// Names of this generation that were acknowledged by Kafka and then removed.
    pub keys: u64,
    /// The wrapping sum of their 128-bit hashes.
    pub hash: u128,
    /// Names of older generations met and emitted on the way.
    pub late_keys: u64,
    /// Names emitted once although they stood under two generations.
    pub merged_keys: u64,
    /// Batches acknowledged by Kafka.
    pub batches: u64,
    /// An UNLINK without an answer may have made a name count twice.
    pub unlink_unknown: bool,
    /// Every node of the cluster that answered once the last pass was complete.
    pub nodes: Vec<NodeSeen>,
    /// Node ids that own at least one slot.
    pub slot_owners: Vec<String>,
}

/// What the books say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Judgement {
    /// Nothing is missing; `audited` when that was proven.
    Settle {
        /// Every writer's count and hash sum was there and agreed.
        audited: bool,
    },
    /// A loss sign, or books that do not agree.
    Fail(FailedReason),
}

/// Judges a drained generation. `everyone_sealed`: barrier(g) was passed by seals, not by
/// time, and no writer that was silent at the barrier before may have written under g.
#[must_use]
pub fn judge(
    history: &GenerationHistory,
    report: &DrainReport,
    everyone_sealed: bool,
    policy: BooksPolicy,
) -> Judgement {
    let Some(opened) = &history.opened else {
        return Judgement::Fail(FailedReason::NodeUnknown);
    };
    let new_keys: u64 = history.seals.values().map(|seal| seal.new_keys).sum();
    let new_hash = history
        .seals
        .values()
        .fold(0_u128, |sum, seal| sum.wrapping_add(seal.new_hash));
    let unknown: u64 = history.seals.values().map(|seal| seal.unknown).sum();
    let drained_once = history.draining.len() == 1;

    if let Some(sign) = loss_sign(opened, report) {
        return Judgement::Fail(sign);
    }
    if drained_once && report.keys < new_keys {
        return Judgement::Fail(FailedReason::Shortfall);
    }
    let exact = everyone_sealed && unknown == 0 && drained_once && !report.unlink_unknown;
    match (exact, policy) {
        (true, _) if report.keys == new_keys && report.hash == new_hash => {
            Judgement::Settle { audited: true }
        }
        (true, _) => Judgement::Fail(FailedReason::Mismatch),
        (false, BooksPolicy::Visible) => Judgement::Settle { audited: false },
        (false, BooksPolicy::Strict) => Judgement::Fail(FailedReason::Inexact),
    }
}

/// Whether Redis shows that it may have lost keys since `Opened`: replication ids, not config epochs, which
/// a mere slot migration raises.
fn loss_sign(opened: &Opened, report: &DrainReport) -> Option<FailedReason> {
    let then: BTreeMap<&str, &NodeSeen> = opened
        .nodes
        .iter()
        .map(|node| (node.node_id.as_str(), node))
        .collect();
    for now in &report.nodes {
        let Some(before) = then.get(now.node_id.as_str()) else {
            continue;
        };
        if (&before.run_id, before.role, &before.replication_id)
            != (&now.run_id, now.role, &now.replication_id)
        {
            return Some(FailedReason::NodeChanged);
        }
        if before.evicted_keys != now.evicted_keys {
            return Some(FailedReason::Evicted);
        }
    }
    let unknown = |owner: &String| !then.contains_key(owner.as_str());
    report
        .slot_owners
        .iter()
        .any(unknown)
        .then_some(FailedReason::NodeUnknown)
}
