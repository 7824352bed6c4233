//! What a writer counts: the bound generation's tally, and the batches on their way.

use std::collections::BTreeMap;

use hint_schema::generation_event::{Generation, Incarnation, OffsetInterval, ReplayProgress, Sealed};

use crate::protocol::coverage::Coverage;

/// What was written under the bound generation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Tally {
    pub(super) new_keys: u64,
    pub(super) new_hash: u128,
    pub(super) repeated_keys: u64,
    pub(super) unknown: u64,
    pub(super) live: Coverage,
    pub(super) replayed: BTreeMap<Generation, Coverage>,
}

/// A batch between its poll and its commit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct InFlight {
    pub(super) spans: Vec<OffsetInterval>,
    pub(super) replay: Option<Generation>,
    /// None until the batch was judged.
    pub(super) waiting: Option<Waiting>,
    /// Copies under way without an answer yet.
    pub(super) copies: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Waiting {
    pub(super) sets: u64,
    pub(super) acks: u64,
}

impl Tally {
    /// A batch whose every record was answered, or dropped by the filter, under the bound generation.
    pub(super) fn consumed(&mut self, done: InFlight) {
        let offsets = match done.replay {
            None => &mut self.live,
            Some(failed) => self.replayed.entry(failed).or_default(),
        };
        offsets.extend(done.spans);
    }

    /// The tally as the record that closes it.
    pub(super) fn seal(
        self,
        generation: Generation,
        writer: String,
        incarnation: Incarnation,
        is_final: bool,
    ) -> Sealed {
        let replayed = self.replayed.iter().map(|(&failed, offsets)| ReplayProgress {
            generation: failed,
            intervals: offsets.intervals(),
        });
        Sealed {
            generation,
            writer,
            incarnation,
            new_keys: self.new_keys,
            new_hash: self.new_hash,
            repeated_keys: self.repeated_keys,
            unknown: self.unknown,
            live: self.live.intervals(),
            replayed: replayed.collect(),
            is_final,
        }
    }
}
