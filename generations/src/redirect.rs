//! Follows up chunks with redirections before their caller hears of them: SETs that were told to ask another
//! node are sent there, and after a MOVED the slot map is read again, so that a retry meets the right master.

use std::collections::BTreeMap;

use messagebus::clock::BootInstant;
use redis::{Pipeline, Value, cmd};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::address::Address;
use crate::chunk::{Block, Chunk, ChunkAnswer, Outcome};
use crate::cluster::Cluster;
use crate::error_kind::ErrorKind;
use crate::in_flight::outcome_of;
use crate::metrics::Command;
use crate::node::{Node, NodeError};

/// Follows up what comes until the writer is gone. Chunks overtake each other; there are never more of them at
/// work than the writer lets exist.
pub(crate) async fn run(
    cluster: Cluster,
    mut redirected: mpsc::Receiver<Chunk>,
    answers: mpsc::Sender<ChunkAnswer>,
) {
    let mut at_work = JoinSet::new();
    while let Some(chunk) = redirected.recv().await {
        at_work.spawn(follow_up(cluster.clone(), chunk, answers.clone()));
        while at_work.try_join_next().is_some() {}
    }
}

async fn follow_up(cluster: Cluster, mut chunk: Chunk, answers: mpsc::Sender<ChunkAnswer>) {
    ask(&cluster, &mut chunk).await;
    if chunk.sets().any(|set| set.outcome == Outcome::Retry)
        && let Err(error) = cluster.refresh(chunk.purpose.map_version).await
    {
        tracing::warn!(
            redis_cluster = cluster.name().label(),
            error = &error as &dyn std::error::Error,
            "slot map not read after a redirection"
        );
    }
    let answer = ChunkAnswer::of(chunk, BootInstant::now());
    if answers.send(answer).await.is_err() {
        tracing::debug!("the writer has ended, an answer is dropped");
    }
}

/// Sends each SET that was told to ask elsewhere there. Its first copy had its own answer, so no copy is left
/// unknown by this.
async fn ask(cluster: &Cluster, chunk: &mut Chunk) {
    let mut targets: BTreeMap<Address, Vec<usize>> = BTreeMap::new();
    for (index, target) in std::mem::take(&mut chunk.asked) {
        targets.entry(target).or_default().push(index);
    }
    for (target, indexes) in targets {
        if BootInstant::now() >= chunk.purpose.send_until {
            settle_all(chunk, &indexes, Outcome::Blocked(Block::Lapsed));
            continue;
        }
        let node = cluster.node(&target);
        let pipeline = asking_sets(chunk, &indexes);
        match node.pipeline(Command::AskingSet, &pipeline).await {
            Ok(replies) => settle_each(&node, chunk, &indexes, replies),
            Err(NodeError::Unreachable { .. }) => {
                settle_all(chunk, &indexes, Outcome::Blocked(Block::Unreachable));
            }
            Err(NodeError::Unanswered { .. } | NodeError::Malformed { .. } | NodeError::Refused { .. }) => {
                settle_all(chunk, &indexes, Outcome::Unanswered);
            }
        }
    }
}

/// ASKING holds for the one command behind it, so each SET has its own.
fn asking_sets(chunk: &Chunk, indexes: &[usize]) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(2 * indexes.len());
    let mut sets = chunk.sets().enumerate();
    for &wanted in indexes {
        if let Some((_, set)) = sets.find(|(index, _)| *index == wanted) {
            let mut command = cmd("SET");
            command.arg(set.name).arg(set.value.get()).arg("NX");
            pipeline.cmd("ASKING").add_command(command);
        }
    }
    pipeline
}

fn settle_each(node: &Node, chunk: &mut Chunk, indexes: &[usize], replies: Vec<Value>) {
    // Every second reply is ASKING's.
    for (&index, reply) in indexes.iter().zip(replies.into_iter().skip(1).step_by(2)) {
        let outcome = match node.accept(reply) {
            Ok(Value::Okay) => Outcome::New,
            Ok(Value::Nil) => Outcome::Repeated,
            Ok(_) => outcome_of(ErrorKind::Disconnected),
            Err(NodeError::Refused { kind, .. }) => outcome_of(kind),
            Err(_) => Outcome::Unanswered,
        };
        chunk.settle(index, outcome);
    }
}

fn settle_all(chunk: &mut Chunk, indexes: &[usize], outcome: Outcome) {
    for &index in indexes {
        chunk.settle(index, outcome);
    }
}
