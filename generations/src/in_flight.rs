//! The chunks on one connection's wire, in order: which bytes go out next, and whose turn the next answer is.
//! No I/O here; the connection moves the bytes.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::address::Address;
use crate::chunk::{Block, Chunk, Outcome};
use crate::error_kind::ErrorKind;
use crate::resp::{Reply, Scan, scan};

/// Most chunks begun and not fully answered on one connection: 8,000 SETs, twice what keeps a master busy.
const MAX_BEGUN: usize = 8;

/// The node sent something that is no answer to a SET, or an answer too many.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node sent something that is no answer to a SET")]
pub(crate) struct Broken;

#[derive(Debug)]
struct Begun {
    chunk: Chunk,
    since: Instant,
    answered: usize,
}

/// A chunk whose every SET has an answer.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) chunk: Chunk,
    /// When its first byte was due to be written.
    pub(crate) since: Instant,
    /// One SET at least was sent to the wrong master.
    pub(crate) moved: bool,
    /// One answer at least was an error of this kind (the last one seen).
    pub(crate) error: Option<ErrorKind>,
}

#[derive(Debug, Default)]
pub(crate) struct InFlight {
    begun: VecDeque<Begun>,
    /// Bytes of the last chunk that are written.
    written: usize,
    moved: bool,
    error: Option<ErrorKind>,
}

impl InFlight {
    /// Whether another chunk may begin: the last one is written and there are not too many.
    pub(crate) fn has_room(&self) -> bool {
        self.begun.len() < MAX_BEGUN && self.to_write().is_empty()
    }

    pub(crate) fn begin(&mut self, chunk: Chunk, now: Instant) {
        self.begun.push_back(Begun {
            chunk,
            since: now,
            answered: 0,
        });
        self.written = 0;
    }

    /// The bytes that are to go out next.
    pub(crate) fn to_write(&self) -> &[u8] {
        self.begun
            .back()
            .and_then(|last| last.chunk.wire().get(self.written..))
            .unwrap_or_default()
    }

    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
    }

    /// When the oldest unanswered chunk was begun.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.begun.front().map(|oldest| oldest.since)
    }

    /// Reads answers from `buffer` until a chunk is complete or the bytes end. Says how many bytes were used.
    /// `asked` is the node's host, for redirections without one.
    pub(crate) fn read(&mut self, buffer: &[u8], asked: &str) -> Result<(usize, Option<Answered>), Broken> {
        let mut used = 0;
        loop {
            let (reply, taken) = match scan(buffer.get(used..).unwrap_or_default()) {
                Scan::Reply(reply, taken) => (reply, taken),
                Scan::Incomplete => return Ok((used, None)),
                Scan::Broken => return Err(Broken),
            };
            used += taken;
            self.note(reply, asked)?;
            if let Some(answered) = self.take_complete() {
                return Ok((used, Some(answered)));
            }
        }
    }

    /// Ends all of them: what has no answer of its own stays without one.
    pub(crate) fn abandon(&mut self) -> impl Iterator<Item = Chunk> {
        std::mem::take(self).begun.into_iter().map(|begun| begun.chunk)
    }

    fn note(&mut self, reply: Reply<'_>, asked: &str) -> Result<(), Broken> {
        let oldest = self.begun.front_mut().ok_or(Broken)?;
        let index = oldest.answered;
        oldest.answered += 1;
        let outcome = match reply {
            Reply::Ok => Outcome::New,
            Reply::Nil => Outcome::Repeated,
            Reply::Error(line) => {
                let kind = kind_of(line);
                self.error = Some(kind);
                self.moved |= kind == ErrorKind::Moved;
                if kind == ErrorKind::Ask
                    && let Some(target) = redirection(line, asked)
                {
                    oldest.chunk.asked.push((index, target));
                }
                outcome_of(kind)
            }
        };
        oldest.chunk.settle(index, outcome);
        Ok(())
    }

    fn take_complete(&mut self) -> Option<Answered> {
        let Begun { chunk, since, .. } = self
            .begun
            .pop_front_if(|oldest| oldest.answered >= oldest.chunk.len())?;
        let (moved, error) = (std::mem::take(&mut self.moved), self.error.take());
        Some(Answered {
            chunk,
            since,
            moved,
            error,
        })
    }
}

/// What an error a node answered means for a SET.
pub(crate) fn outcome_of(kind: ErrorKind) -> Outcome {
    match kind {
        ErrorKind::Moved | ErrorKind::Ask | ErrorKind::TryAgain => Outcome::Retry,
        ErrorKind::OutOfMemory => Outcome::Blocked(Block::OutOfMemory),
        ErrorKind::ClusterDown => Outcome::Blocked(Block::ClusterDown),
        ErrorKind::Loading => Outcome::Blocked(Block::Loading),
        ErrorKind::NoReplicas => Outcome::Blocked(Block::NoReplicas),
        ErrorKind::Refused => Outcome::Blocked(Block::Refused),
        ErrorKind::Unreachable => Outcome::Blocked(Block::Unreachable),
        ErrorKind::Disconnected | ErrorKind::Timeout => Outcome::Unanswered,
    }
}

fn kind_of(line: &[u8]) -> ErrorKind {
    ErrorKind::of_code(line.split(|&byte| byte == b' ').next().unwrap_or_default())
}

/// The target of `ASK 3999 host:port`.
fn redirection(line: &[u8], asked: &str) -> Option<Address> {
    let line = std::str::from_utf8(line).ok()?;
    Address::parse(line.split(' ').nth(2)?, asked)
}

#[cfg(test)]
#[path = "in_flight_tests.rs"]
mod tests;
