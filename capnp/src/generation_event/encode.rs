//! Records of the log as bytes.

use capnp::message::Builder;

use super::{
    Failed, FailedReason, GenerationEvent, Heartbeat, NodeSeen, OffsetInterval, Opened, ReplayProgress, Role,
    Sealed, Settled,
};
use crate::generated::generation_event_capnp as wire;
use crate::message::{self, list_len};

impl GenerationEvent {
    /// The record as one Kafka value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut message = Builder::new_default();
        let root = message.init_root::<wire::generation_event::Builder<'_>>();
        match self {
            Self::Opened(record) => opened(record, root.init_opened()),
            Self::Heartbeat(record) => heartbeat(record, root.init_heartbeat()),
            Self::Sealed(record) => sealed(record, root.init_sealed()),
            Self::Draining(record) => {
                let mut draining = root.init_draining();
                draining.set_generation(record.generation);
                draining.set_flipper(record.flipper.0);
            }
            Self::Settled(record) => settled(record, root.init_settled()),
            Self::Failed(record) => failed(record, root.init_failed()),
            Self::ReplayAsked(record) => {
                let mut asked = root.init_replay_asked();
                asked.set_generation(record.generation);
                asked.set_flipper(record.flipper.0);
                intervals(&record.range, asked.init_range(list_len(record.range.len())));
            }
            Self::Replayed(record) => {
                let mut replayed = root.init_replayed();
                replayed.set_generation(record.generation);
                replayed.set_flipper(record.flipper.0);
            }
        }
        message::close(&message)
    }
}

type Intervals<'a> = capnp::struct_list::Builder<'a, wire::offset_interval::Owned>;

fn intervals(from: &[OffsetInterval], mut into: Intervals<'_>) {
    for (index, interval) in (0..).zip(from) {
        let mut entry = into.reborrow().get(index);
        entry.set_partition(interval.partition);
        entry.set_from(interval.from);
        entry.set_to(interval.to);
    }
}

fn opened(record: &Opened, mut into: wire::opened::Builder<'_>) {
    into.set_generation(record.generation);
    into.set_flipper(record.flipper.0);
    into.set_opened_at_ms(record.opened_at_ms);
    into.set_closed_through(record.closed_through.map_or(-1, u64::cast_signed));
    let mut starts = into
        .reborrow()
        .init_start_offsets(list_len(record.start_offsets.len()));
    for (index, start) in (0..).zip(&record.start_offsets) {
        let mut entry = starts.reborrow().get(index);
        entry.set_partition(start.partition);
        entry.set_offset(start.offset);
    }
    let mut nodes = into.init_nodes(list_len(record.nodes.len()));
    for (index, seen) in (0..).zip(&record.nodes) {
        node(seen, nodes.reborrow().get(index));
    }
}

fn node(seen: &NodeSeen, mut into: wire::node_seen::Builder<'_>) {
    into.set_node_id(seen.node_id.as_str());
    into.set_run_id(seen.run_id.as_str());
    into.set_role(match seen.role {
        Role::Master => wire::node_seen::Role::Master,
        Role::Replica => wire::node_seen::Role::Replica,
    });
    into.set_replication_id(seen.replication_id.as_str());
    into.set_evicted_keys(seen.evicted_keys);
}

fn heartbeat(record: &Heartbeat, mut into: wire::heartbeat::Builder<'_>) {
    into.set_writer(record.writer.as_str());
    into.set_incarnation(record.incarnation.0);
    into.set_sequence(record.sequence);
    into.set_first_generation(record.first_generation);
}

fn sealed(record: &Sealed, mut into: wire::sealed::Builder<'_>) {
    into.set_generation(record.generation);
    into.set_writer(record.writer.as_str());
    into.set_incarnation(record.incarnation.0);
    into.set_new_keys(record.new_keys);
    let [high, low] = halves(record.new_hash);
    into.set_new_hash_high(high);
    into.set_new_hash_low(low);
    into.set_repeated_keys(record.repeated_keys);
    into.set_unknown(record.unknown);
    into.set_is_final(record.is_final);
    intervals(
        &record.live,
        into.reborrow().init_live(list_len(record.live.len())),
    );
    let mut replayed = into.init_replayed(list_len(record.replayed.len()));
    for (index, progress) in (0..).zip(&record.replayed) {
        replay_progress(progress, replayed.reborrow().get(index));
    }
}

fn replay_progress(progress: &ReplayProgress, mut into: wire::replay_progress::Builder<'_>) {
    into.set_generation(progress.generation);
    intervals(
        &progress.intervals,
        into.init_intervals(list_len(progress.intervals.len())),
    );
}

/// Upper and lower 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
fn halves(number: u128) -> [u64; 2] {
    [(number >> 64) as u64, number as u64]
}

fn settled(record: &Settled, mut into: wire::settled::Builder<'_>) {
    into.set_generation(record.generation);
    into.set_flipper(record.flipper.0);
    into.set_keys(record.keys);
    into.set_batches(record.batches);
    into.set_late_keys(record.late_keys);
    into.set_merged_keys(record.merged_keys);
    into.set_audited(record.audited);
}

fn failed(record: &Failed, mut into: wire::failed::Builder<'_>) {
    into.set_generation(record.generation);
    into.set_flipper(record.flipper.0);
    into.set_reason(match record.reason {
        FailedReason::NodeChanged => wire::failed::Reason::NodeChanged,
        FailedReason::NodeUnknown => wire::failed::Reason::NodeUnknown,
        FailedReason::Evicted => wire::failed::Reason::Evicted,
        FailedReason::Shortfall => wire::failed::Reason::Shortfall,
        FailedReason::Mismatch => wire::failed::Reason::Mismatch,
        FailedReason::Inexact => wire::failed::Reason::Inexact,
        FailedReason::Unreachable => wire::failed::Reason::Unreachable,
    });
    into.set_keys(record.keys);
    into.set_batches(record.batches);
    into.set_late_keys(record.late_keys);
    into.set_merged_keys(record.merged_keys);
    intervals(&record.range, into.init_range(list_len(record.range.len())));
}
