//! What a writer is told and what it answers.

use hint_schema::generation_event::{Generation, GenerationEvent, Heartbeat, OffsetInterval, Sealed};
use messagebus::clock::BootInstant;

/// The caller's number for one polled batch.
pub type BatchTag = u64;

/// What happened to the writer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WriterEvent {
    /// The next record of the log of generations.
    Control(GenerationEvent),
    /// A batch was polled; `spans` are its offsets. `replay` names the failed generation whose range it
    /// re-reads.
    Polled {
        /// The caller's number for it.
        batch: BatchTag,
        /// The offsets it holds, gaps included.
        spans: Vec<OffsetInterval>,
        /// The failed generation that it re-reads, none for live input.
        replay: Option<Generation>,
    },
    /// A bound batch was judged: so many SETs need an answer of their own, and so many other things must be
    /// acknowledged (rejected records) before its offsets count.
    Judged {
        /// The batch.
        batch: BatchTag,
        /// Records that are SET, the ones the filter dropped left out.
        sets: u64,
        /// Acknowledgements it waits for besides.
        acks: u64,
    },
    /// So many copies of SETs of the batch left for Redis (the first sending, or again).
    Sent {
        /// The batch.
        batch: BatchTag,
        /// Copies.
        copies: u64,
    },
    /// Redis answered SETs of one batch, each on its own.
    Answered {
        /// The batch.
        batch: BatchTag,
        /// Names that were new.
        new: u64,
        /// The wrapping sum of the new names' hashes.
        new_hash: u128,
        /// Names that stood there already.
        repeated: u64,
        /// The clock, read after the last of these replies left the socket.
        at: BootInstant,
    },
    /// Redis refused copies: they were certainly not executed and are to be sent again.
    Refused {
        /// The batch.
        batch: BatchTag,
        /// Copies.
        copies: u64,
    },
    /// Copies that will never have an answer of their own: the connection broke or the time was up.
    Unanswered {
        /// The batch.
        batch: BatchTag,
        /// Copies.
        copies: u64,
    },
    /// Redis will not take what is left for now: nothing of it is under way, and it waits to be sent again.
    Blocked,
    /// So many of the batch's other acknowledgements arrived.
    Acknowledged {
        /// The batch.
        batch: BatchTag,
        /// How many.
        acks: u64,
    },
    /// Time passed.
    Tick,
    /// No batch will be polled any more: finish, seal, leave.
    Shutdown,
    /// Kafka acknowledged the final seal.
    FinalSealAcknowledged,
}

/// What the writer has to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WriterEffect {
    /// Publish this heartbeat once; one that is lost is followed by the next.
    Heartbeat(Heartbeat),
    /// Write the batch under this generation.
    Bind {
        /// The batch.
        batch: BatchTag,
        /// The generation its names carry.
        generation: Generation,
    },
    /// Every record of the batch is handled: its offsets may be committed, its names are in the filter's
    /// reach.
    Commit {
        /// The batch.
        batch: BatchTag,
    },
    /// The lease was gone: forget these batches whole, and seek every assigned partition back to its
    /// committed offset under a new assignment epoch.
    Rewind {
        /// Everything that was polled and not committed.
        dropped: Vec<BatchTag>,
    },
    /// There is no lease: no input.
    Pause,
    /// There is a lease again.
    Resume,
    /// Publish this seal, the same bytes again and again until Kafka acknowledged it.
    Seal(Sealed),
    /// Empty the recent filter: what it knows was answered under a generation that is sealed.
    EmptyFilter,
    /// The final seal stands in the log: nothing is left to do.
    Finished,
}
