//! Records of the log from bytes.

use super::{
    Draining, Failed, FailedReason, GenerationEvent, Heartbeat, Incarnation, NodeSeen, OffsetInterval,
    Opened, PartitionOffset, ReplayAsked, ReplayProgress, Replayed, Role, Sealed, Settled,
};
use crate::generated::generation_event_capnp as wire;
use crate::{Malformed, message};

/// The most bytes that are parsed: Kafka's own limit on a message.
const MAX_PAYLOAD_BYTES: usize = 1_048_576;

impl GenerationEvent {
    /// Decodes a payload.
    ///
    /// # Errors
    /// The payload is no record of the log; see [`Malformed`].
    pub fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        use wire::generation_event::Which;
        let message = message::open(payload, MAX_PAYLOAD_BYTES)?;
        let root = message.get_root::<wire::generation_event::Reader<'_>>()?;
        Ok(match root.which()? {
            Which::Opened(record) => Self::Opened(opened(record?)?),
            Which::Heartbeat(record) => Self::Heartbeat(heartbeat(record?)?),
            Which::Sealed(record) => Self::Sealed(sealed(record?)?),
            Which::Draining(record) => {
                let record = record?;
                let flipper = Incarnation(record.get_flipper());
                Self::Draining(Draining {
                    generation: record.get_generation(),
                    flipper,
                })
            }
            Which::Settled(record) => Self::Settled(settled(record?)),
            Which::Failed(record) => Self::Failed(failed(record?)?),
            Which::ReplayAsked(record) => {
                let record = record?;
                Self::ReplayAsked(ReplayAsked {
                    generation: record.get_generation(),
                    flipper: Incarnation(record.get_flipper()),
                    range: intervals(record.get_range()?),
                })
            }
            Which::Replayed(record) => {
                let record = record?;
                let flipper = Incarnation(record.get_flipper());
                Self::Replayed(Replayed {
                    generation: record.get_generation(),
                    flipper,
                })
            }
        })
    }
}

type Intervals<'a> = capnp::struct_list::Reader<'a, wire::offset_interval::Owned>;

fn intervals(list: Intervals<'_>) -> Vec<OffsetInterval> {
    list.iter()
        .map(|entry| OffsetInterval {
            partition: entry.get_partition(),
            from: entry.get_from(),
            to: entry.get_to(),
        })
        .collect()
}

fn opened(record: wire::opened::Reader<'_>) -> Result<Opened, Malformed> {
    let start_offsets = record.get_start_offsets()?.iter().map(|start| PartitionOffset {
        partition: start.get_partition(),
        offset: start.get_offset(),
    });
    Ok(Opened {
        generation: record.get_generation(),
        flipper: Incarnation(record.get_flipper()),
        opened_at_ms: record.get_opened_at_ms(),
        closed_through: u64::try_from(record.get_closed_through()).ok(),
        start_offsets: start_offsets.collect(),
        nodes: record.get_nodes()?.iter().map(node).collect::<Result<_, _>>()?,
    })
}

fn node(record: wire::node_seen::Reader<'_>) -> Result<NodeSeen, Malformed> {
    Ok(NodeSeen {
        node_id: record.get_node_id()?.to_string()?,
        run_id: record.get_run_id()?.to_string()?,
        role: match record.get_role()? {
            wire::node_seen::Role::Master => Role::Master,
            wire::node_seen::Role::Replica => Role::Replica,
        },
        replication_id: record.get_replication_id()?.to_string()?,
        evicted_keys: record.get_evicted_keys(),
    })
}

fn heartbeat(record: wire::heartbeat::Reader<'_>) -> Result<Heartbeat, Malformed> {
    Ok(Heartbeat {
        writer: record.get_writer()?.to_string()?,
        incarnation: Incarnation(record.get_incarnation()),
        sequence: record.get_sequence(),
        first_generation: record.get_first_generation(),
    })
}

fn sealed(record: wire::sealed::Reader<'_>) -> Result<Sealed, Malformed> {
    let replayed = record
        .get_replayed()?
        .iter()
        .map(|progress| -> Result<ReplayProgress, Malformed> {
            let intervals = intervals(progress.get_intervals()?);
            Ok(ReplayProgress {
                generation: progress.get_generation(),
                intervals,
            })
        });
    Ok(Sealed {
        generation: record.get_generation(),
        writer: record.get_writer()?.to_string()?,
        incarnation: Incarnation(record.get_incarnation()),
        new_keys: record.get_new_keys(),
        new_hash: u128::from(record.get_new_hash_high()) << 64 | u128::from(record.get_new_hash_low()),
        repeated_keys: record.get_repeated_keys(),
        unknown: record.get_unknown(),
        live: intervals(record.get_live()?),
        replayed: replayed.collect::<Result<_, _>>()?,
        is_final: record.get_is_final(),
    })
}

fn settled(record: wire::settled::Reader<'_>) -> Settled {
    Settled {
        generation: record.get_generation(),
        flipper: Incarnation(record.get_flipper()),
        keys: record.get_keys(),
        batches: record.get_batches(),
        late_keys: record.get_late_keys(),
        merged_keys: record.get_merged_keys(),
        audited: record.get_audited(),
    }
}

fn failed(record: wire::failed::Reader<'_>) -> Result<Failed, Malformed> {
    Ok(Failed {
        generation: record.get_generation(),
        flipper: Incarnation(record.get_flipper()),
        reason: match record.get_reason()? {
            wire::failed::Reason::NodeChanged => FailedReason::NodeChanged,
            wire::failed::Reason::NodeUnknown => FailedReason::NodeUnknown,
            wire::failed::Reason::Evicted => FailedReason::Evicted,
            wire::failed::Reason::Shortfall => FailedReason::Shortfall,
            wire::failed::Reason::Mismatch => FailedReason::Mismatch,
            wire::failed::Reason::Inexact => FailedReason::Inexact,
            wire::failed::Reason::Unreachable => FailedReason::Unreachable,
        },
        range: intervals(record.get_range()?),
        keys: record.get_keys(),
        batches: record.get_batches(),
        late_keys: record.get_late_keys(),
        merged_keys: record.get_merged_keys(),
    })
}
