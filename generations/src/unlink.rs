//! Deletes exactly the names it is told, also while their slot is moving, and says what is known of it.

use std::ops::ControlFlow;

use redis::Value;

use crate::answer::Answer;
use crate::by_key::by_key;
use crate::cluster::Cluster;
use crate::drain::{ATTEMPTS, Drain, DrainError};
use crate::error_kind::ErrorKind;
use crate::metrics::Command;
use crate::node::{Node, NodeError};
use crate::resp::command;

/// What became of the names of an UNLINK.
#[derive(Clone, Debug)]
pub enum UnlinkAnswer {
    /// Every name had an answer: none of them exists now; so many existed.
    Unlinked(u64),
    /// Certainly nothing was deleted; the same names may be tried again.
    NotDone(DrainError),
    /// Some name has no answer: it may be gone, or go later. The books of its generation are inexact.
    Unknown,
}

impl Drain {
    /// Deletes exactly these names of one slot. Dropping the future may leave them deleted or not.
    pub async fn unlink(&self, slot: u16, names: &[&[u8]]) -> UnlinkAnswer {
        let mut unlinking = Unlinking {
            left: names.to_vec(),
            unlinked: 0,
        };
        let mut attempts = 0;
        loop {
            let map = self.cluster().topology();
            attempts += 1;
            let error = match self.owner(&map, slot) {
                Ok(owner) => match unlinking.attempt(self.cluster(), &owner).await {
                    ControlFlow::Break(answer) => return answer,
                    ControlFlow::Continue(error) => error.into(),
                },
                Err(error) => error,
            };
            if attempts >= ATTEMPTS {
                // Some gone and some not is nothing that a caller could count.
                let untouched = unlinking.left.len() == names.len();
                return if untouched {
                    UnlinkAnswer::NotDone(error)
                } else {
                    UnlinkAnswer::Unknown
                };
            }
            self.follow(&map).await;
        }
    }
}

/// The names of an UNLINK that were certainly not deleted yet, and how many existed of the others.
struct Unlinking<'a> {
    left: Vec<&'a [u8]>,
    unlinked: u64,
}

impl Unlinking<'_> {
    /// Tries what is left at the owner of its slot. Goes on with the reason where a newer slot map may help.
    async fn attempt(&mut self, cluster: &Cluster, owner: &Node) -> ControlFlow<UnlinkAnswer, NodeError> {
        if self.left.is_empty() {
            return ControlFlow::Break(UnlinkAnswer::Unlinked(self.unlinked));
        }
        let wire = command(&[b"UNLINK"], self.left.iter().copied());
        match owner.ask(Command::Unlink, wire).await {
            Ok(Answer::Number(count)) => {
                self.unlinked += u64::try_from(count).unwrap_or(0);
                ControlFlow::Break(UnlinkAnswer::Unlinked(self.unlinked))
            }
            Err(NodeError::Refused {
                kind: ErrorKind::Ask | ErrorKind::TryAgain,
                ..
            }) => self.attempt_by_key(cluster, owner).await,
            Err(error @ (NodeError::Refused { .. } | NodeError::Unreachable { .. })) => {
                ControlFlow::Continue(error)
            }
            Ok(_) | Err(NodeError::Malformed { .. } | NodeError::Unanswered { .. }) => {
                ControlFlow::Break(UnlinkAnswer::Unknown)
            }
        }
    }

    async fn attempt_by_key(
        &mut self,
        cluster: &Cluster,
        owner: &Node,
    ) -> ControlFlow<UnlinkAnswer, NodeError> {
        let names = std::mem::take(&mut self.left);
        let answers = by_key(cluster, owner, Command::Unlink, &names).await;
        let mut reason = None;
        for (name, answer) in names.into_iter().zip(answers) {
            match answer {
                Ok(Value::Int(count)) => self.unlinked += u64::try_from(count).unwrap_or(0),
                Err(error @ (NodeError::Refused { .. } | NodeError::Unreachable { .. })) => {
                    self.left.push(name);
                    reason = Some(error);
                }
                Ok(_) | Err(NodeError::Malformed { .. } | NodeError::Unanswered { .. }) => {
                    return ControlFlow::Break(UnlinkAnswer::Unknown);
                }
            }
        }
        match reason {
            Some(error) => ControlFlow::Continue(error),
            None => ControlFlow::Break(UnlinkAnswer::Unlinked(self.unlinked)),
        }
    }
}
