//! How a client leaves its group, also one that brokers do not let in any more.

use std::sync::Arc;
use std::time::Instant;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};

use super::{context::Callbacks, shared::Shared, topic_list};
use crate::{
    credentials::LEAVE_WITHIN,
    ending::{POLL, end},
    metrics::RebalanceKind,
};

/// Waits for begun work and commits it, gives every partition up, and leaves the group. Takes [`LEAVE_WITHIN`] at most,
/// or the grace of a revocation where that is longer.
pub(super) fn leave(client: Arc<BaseConsumer<Callbacks>>, shared: &Shared) {
    let deadline = Instant::now() + LEAVE_WITHIN.max(shared.options.revoke_grace);
    let held = shared.lock().ledger.assigned();
    shared.change(|state| state.ledger.start_revoking(&held));
    shared.wait_for_begun(&held, shared.options.revoke_grace);
    commit(&client, shared, &held, deadline);
    let kind = if shared.lock().ledger.unacknowledged(&held).is_empty() {
        RebalanceKind::Revoke
    } else {
        RebalanceKind::Lost
    };
    client.context().disown(kind);
    end(client, &shared.options.group, deadline);
}

/// Commits what is done of these partitions, and waits for the answer.
fn commit(client: &BaseConsumer<Callbacks>, shared: &Shared, held: &[i32], deadline: Instant) {
    let mut state = shared.lock();
    state.ledger.refuse_all();
    let due = state.ledger.take_commits();
    drop(state);
    if due.is_empty() {
        return;
    }
    client.context().commit_sent();
    if let Err(error) = client.commit(&topic_list(&shared.options.topic, &due), CommitMode::Async) {
        return client.context().not_committed(&error);
    }
    let is_open = || {
        let mut state = shared.lock();
        // What was refused is due again.
        let is_refused = !state.ledger.take_commits().is_empty();
        !is_refused && !state.ledger.unacknowledged(held).is_empty()
    };
    while is_open() && Instant::now() < deadline {
        // A record that comes now will be read again.
        drop(client.poll(POLL));
    }
}
