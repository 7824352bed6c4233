//! Runs a command name by name while their slot is moving: each at its owner, and where that says ASK, once more
//! at the node that the name has gone to.

use std::collections::BTreeMap;

use redis::{Pipeline, Value, cmd};

use crate::address::Address;
use crate::cluster::Cluster;
use crate::error_kind::ErrorKind;
use crate::metrics::Command;
use crate::node::{Node, NodeError};

/// The answer of MGET or UNLINK for each name, in order. A failure of one says nothing about the others.
pub(crate) async fn by_key(
    cluster: &Cluster,
    owner: &Node,
    label: Command,
    names: &[&[u8]],
) -> Vec<Result<Value, NodeError>> {
    let mut answers = run(owner, label, names, false).await;
    let mut targets: BTreeMap<Address, Vec<usize>> = BTreeMap::new();
    for (index, answer) in answers.iter().enumerate() {
        if let Err(NodeError::Refused {
            address,
            kind: ErrorKind::Ask,
            detail,
        }) = answer
            && let Some(target) = target(detail, &address.host)
        {
            targets.entry(target).or_default().push(index);
        }
    }
    for (target, indexes) in targets {
        let asked: Vec<&[u8]> = indexes
            .iter()
            .filter_map(|&index| names.get(index).copied())
            .collect();
        let again = run(&cluster.node(&target), label, &asked, true).await;
        for (index, answer) in indexes.into_iter().zip(again) {
            if let Some(slot) = answers.get_mut(index) {
                *slot = answer;
            }
        }
    }
    answers
}

/// One command a name in one pipeline, each behind its own ASKING where the node is only receiving the slot.
async fn run(node: &Node, label: Command, names: &[&[u8]], asking: bool) -> Vec<Result<Value, NodeError>> {
    let mut pipeline = Pipeline::with_capacity(2 * names.len());
    for name in names {
        if asking {
            pipeline.cmd("ASKING");
        }
        let mut command = cmd(label.label());
        command.arg(*name);
        pipeline.add_command(command);
    }
    let every = if asking { 2 } else { 1 };
    match node.pipeline(label, &pipeline).await {
        Ok(replies) => replies
            .into_iter()
            .skip(every - 1)
            .step_by(every)
            .map(|reply| node.accept(reply))
            .collect(),
        Err(error) => names.iter().map(|_| Err(error.clone())).collect(),
    }
}

/// The node in the words behind ASK: `3999 127.0.0.1:6381`.
fn target(detail: &str, asked: &str) -> Option<Address> {
    Address::parse(detail.split(' ').nth(1)?, asked)
}
