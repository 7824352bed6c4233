//! Everything that can happen next.

use generations::protocol::BatchTag;
use hint_schema::generation_event::Generation;

use super::Name;
use crate::scenario::{Url, Whose};

/// One thing that happens. Writers, flippers, partitions, clusters and shards are numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub enum Action {
    /// The next batch is bound before it is polled, which only the row that leaves the rule out does.
    BindFirst(usize),
    /// The next records of a partition.
    Poll { writer: usize, partition: usize },
    /// The next records of a failed range.
    Reread(usize),
    /// Redis executes a SET and its answer comes.
    Answer {
        writer: usize,
        batch: BatchTag,
        url: Url,
    },
    /// A SET's time is up: its copy is late, another is sent.
    Unanswered {
        writer: usize,
        batch: BatchTag,
        url: Url,
    },
    /// SETs whose shard is out of reach were not sent.
    Refuse { writer: usize, batch: BatchTag },
    /// These are sent again.
    Resend { writer: usize, batch: BatchTag },
    /// They wait on.
    Blocked(usize),
    /// Kafka takes the offsets of what is handled.
    Commit { writer: usize, partition: usize },
    /// A writer reads the log to its end.
    WriterReads(usize),
    /// A heartbeat reaches the log.
    PublishHeartbeat(usize),
    /// A seal reaches the log.
    PublishSeal(usize),
    /// A writer notices the time.
    Tick(usize),
    /// A flipper reads the log to its end.
    FlipperReads(usize),
    /// A flipper's next record reaches the log.
    Publish(usize),
    /// A flipper collects what `Opened` says.
    Snapshot(usize, Generation),
    /// A flipper reads the input's end.
    ReadEnds(usize, Generation),
    /// A batch with one name is acknowledged.
    Emit(usize, Generation, Name),
    /// That name is deleted.
    Unlink(usize, Generation),
    /// Redis does not answer whether it was; it was, or not.
    UnlinkUnknown(usize, Generation, bool),
    /// A pass found nothing left.
    Complete(usize, Generation),
    /// Time passes.
    Pass,
    /// A late copy of a SET is executed.
    Arrive(Name),
    /// A writer crashes and starts again.
    Crash(usize),
    /// A writer is told to stop.
    Shutdown(usize),
    /// One that has stopped starts again.
    Restart(usize),
    /// A flipper crashes; another incarnation reads the log, as it stands or compacted.
    TakeOver { flipper: usize, compacted: bool },
    /// A flipper hears that it is elected no more, or again.
    Elect(usize),
    /// A partition moves to the next writer.
    Rebalance(usize),
    /// A shard, or all, is empty from one moment to the next.
    Lose { cluster: usize, shard: Option<usize> },
    /// A key is gone.
    LoseSilently(Name),
    /// A shard, or all, is out of reach.
    Cut {
        cluster: usize,
        shard: Option<usize>,
        whose: Whose,
    },
    /// It is back, with its data or without.
    Return { cluster: usize, empty: bool },
    /// A slot begins to move to the other shard.
    BeginMove { cluster: usize, url: Url },
    /// One of its keys has moved.
    MoveKey(Name),
    /// The slot has moved.
    EndMove,
}

impl Action {
    /// Whether this is the adversary's doing, and not what has to happen in the end.
    #[must_use]
    pub fn is_trouble(self) -> bool {
        matches!(
            self,
            Self::Unanswered { .. }
                | Self::Arrive(_)
                | Self::Crash(_)
                | Self::Shutdown(_)
                | Self::TakeOver { .. }
                | Self::Elect(_)
                | Self::Rebalance(_)
                | Self::Lose { .. }
                | Self::LoseSilently(_)
                | Self::Cut { .. }
                | Self::Return { .. }
                | Self::BeginMove { .. }
        )
    }
}
