//! What a row explores: how large its world is, what the adversary may do, and which rule is left out.

use std::time::Duration;

use generations::protocol::BooksPolicy;
use hint_schema::generation_event::Generation;

use crate::world::Action;

/// A URL; it stands for its slot as well.
pub type Url = u8;

/// The world of one row.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The URLs of each input partition's records, in their order.
    pub input: Vec<Vec<Url>>,
    /// Ingestors; the n-th begins with every n-th partition.
    pub writers: usize,
    /// Flippers: with two, both believe they are elected.
    pub flippers: usize,
    /// How many of them open generations; the others never get to it.
    pub openers: usize,
    /// What happens before anything else: where a counterexample is long, its beginning.
    pub first: Vec<Action>,
    /// The last generation that is opened.
    pub last: Generation,
    /// Batches that a writer may have in flight.
    pub in_flight: usize,
    /// Records in a batch, at most.
    pub batch: usize,
    /// A handled batch's offsets reach Kafka later, not at once.
    pub slow_commits: bool,
    /// Closed generations are tombstoned, and a flipper that starts may find the log compacted.
    pub compacts: bool,
    /// How generations are judged; none: every one is called settled, so that no replay heals a loss.
    pub books: Option<BooksPolicy>,
    /// How much time passes at once.
    pub pace: Pace,
    /// What the adversary may do.
    pub faults: Faults,
    /// Whose reach it may cut.
    pub whose: Vec<Whose>,
    /// The rule that this world does not follow.
    pub left_out: Option<Rule>,
}

/// How much time passes at once. A flipper's clock runs faster than a writer's, as far as the two seconds between
/// the longest lease and the barrier by time allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// A whole lease.
    Lease,
    /// Half a lease: it can be renewed.
    HalfLease,
}

impl Pace {
    pub(crate) fn of_writers(self) -> Duration {
        match self {
            Self::Lease => Duration::from_secs(10),
            Self::HalfLease => Duration::from_secs(5),
        }
    }

    pub(crate) fn of_flippers(self) -> Duration {
        match self {
            Self::Lease => Duration::from_secs(12),
            Self::HalfLease => Duration::from_secs(6),
        }
    }
}

/// How often each thing may happen; also how often each has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// Time passes.
    pub passes: u8,
    /// A writer crashes and starts again.
    pub crashes: u8,
    /// A writer is told to stop, and starts again once it has.
    pub shutdowns: u8,
    /// A flipper crashes and another incarnation takes over.
    pub takeovers: u8,
    /// A flipper is elected no more, or again.
    pub elections: u8,
    /// A partition moves to another writer.
    pub rebalances: u8,
    /// A SET has no answer: its copy is executed at any time later, or never, and another is sent.
    pub unanswered: u8,
    /// A shard, or a whole cluster, comes back empty at once.
    pub losses: u8,
    /// A key is gone and nothing shows it.
    pub silent: u8,
    /// A shard, or a whole cluster, is out of reach, for everybody or for one side.
    pub cuts: u8,
    /// A slot moves to another node of its cluster.
    pub moves: u8,
}

/// Who does not reach what is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Whose {
    /// Nobody.
    Everybodys,
    /// Flippers; writers do.
    Flippers,
    /// The first flipper; everybody else does.
    FirstFlipper,
}

/// The rules of GENERATIONS' table, and a few that belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The drain deletes names; left out: it empties the cluster.
    DeleteNames,
    /// The generation stands in the key; left out: only its cluster does.
    GenerationInKey,
    /// A generation is drained behind its barrier; left out: the flipper waits for no writer.
    Barrier,
    /// The barrier is judged by the flipper's own clock; left out: by the record's timestamp, of a clock that is late.
    OwnClock,
    /// The barrier waits for every writer; left out: one writer's heartbeats are not read.
    EveryWriter,
    /// A batch is bound after it was polled; left out: before.
    BindAfterPoll,
    /// An answer counts only under its lease; left out: the clock is read before the SET is sent.
    AnswerUnderLease,
    /// A failed range ends at the log's end; left out: at the committed offset.
    RangeToLogEnd,
    /// The first `Opened` counts; left out: keys without the incarnation, so compaction keeps the last.
    FirstOpened,
    /// The next generation may follow a failed one; left out: only a settled one.
    OpenAfterFailed,
    /// A shortfall after a second `Draining` is inexact; left out: no flipper hears of another's.
    SecondDraining,
    /// The filter is filled on the answer; left out: on sending.
    FilterOnAnswer,
    /// The filter is emptied at the seal; left out: kept.
    FilterEmptied,
    /// Names of newer generations are left alone; left out: drained as well.
    NewerNames,
    /// Unknown answers make the books inexact; left out: they are slack.
    UnknownIsInexact,
    /// Unknown answers are counted by copy; left out: a SET that is answered in the end counts none.
    UnknownByCopy,
    /// A lease is never renewed for an older generation; left out: a heartbeat renews it wherever it stands.
    LeaseForLater,
    /// An unreachable cluster's generation fails behind its barrier; left out: at once.
    FailBehindBarrier,
    /// A generation is opened without the nodes that do not answer; left out: it waits for them.
    OpenWithoutNodes,
    /// A node that `Opened` does not know is a loss sign; left out: it is none.
    UnknownNode,
    /// Any slot's owner that does not answer makes a cluster unreachable; left out: all of them have to.
    AnyOwner,
    /// A drain stops at the verdict; left out: it goes on.
    StopAtVerdict,
    /// Live progress is of answered batches; left out: of bound ones.
    LiveWhenAnswered,
    /// A name is deleted behind the acknowledgement of its batch (I3); left out: before.
    DeleteAfterAck,
    /// A pass is not complete while a slot moves; left out: it may be.
    NothingMoving,
}
