//! What must hold in every state. I3 is how the drain of this world works; I7 and I8 are not for one state to show.

use generations::protocol::{BooksPolicy, Coverage};
use hint_schema::generation_event::{Failed, OffsetInterval, Settled};

use super::fair::Fate;
use super::{World, offset, partition_number};
use crate::scenario::Faults;

/// A promise that a state can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Promise {
    /// I1.
    NoLoss,
    /// I2.
    Barrier,
    /// I4.
    Monotone,
    /// I5.
    Books,
    /// I5 as well: nothing is `Failed` without a loss, unless the books are strict.
    FailedInVain,
    /// I6.
    NoInvention,
    /// I8 without its bound: with no more trouble, the next generations open and every record comes through.
    Progress,
}

impl Promise {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::NoLoss,
        Self::Barrier,
        Self::Monotone,
        Self::Books,
        Self::FailedInVain,
        Self::NoInvention,
        Self::Progress,
    ];

    /// Its name in reports.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::NoLoss => "I1 no loss",
            Self::Barrier => "I2 barrier",
            Self::Monotone => "I4 monotone",
            Self::Books => "I5 books",
            Self::FailedInVain => "I5 nothing fails in vain",
            Self::NoInvention => "I6 no invention",
            Self::Progress => "no deadlock",
        }
    }
}

impl World {
    pub(super) fn breaks(&mut self, promise: Promise) {
        if self.facts.broken.is_none() {
            self.facts.change().broken = Some(promise);
        }
    }

    /// Whether the promise holds in this state.
    #[must_use]
    pub fn keeps(&self, promise: Promise) -> bool {
        match promise {
            Promise::NoLoss => self.loses_nothing() && self.fate() != Fate::Lost,
            Promise::Progress => self.fate() != Fate::Stuck,
            _ => self.facts.broken != Some(promise),
        }
    }

    /// Whether a step broke a promise: nothing behind it is worth a look.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.facts.broken.is_some()
    }

    /// Whether every record is committed and in an acknowledged batch.
    #[must_use]
    pub fn is_through(&self) -> bool {
        let is_committed = |(partition, committed): (usize, &usize)| {
            self.scenario().input.get(partition).map(Vec::len) == Some(*committed)
        };
        self.facts.covered == self.all_bits() && self.input.committed.iter().enumerate().all(is_committed)
    }

    /// Whether a failed generation was read again to its end.
    #[must_use]
    pub fn has_replayed(&self) -> bool {
        self.facts.replayed
    }

    /// Whether a name was drained under a later generation than its own.
    #[must_use]
    pub fn has_drained_late(&self) -> bool {
        self.facts.late
    }

    /// Whether the log judged a generation.
    #[must_use]
    pub fn has_judged(&self) -> bool {
        self.log
            .history
            .generations()
            .any(|(_, entry)| entry.verdict.is_some())
            || self.log.history.closed_through().is_some()
    }

    /// I1: a committed record is in an acknowledged batch, or its offset is in the range of a generation without
    /// a verdict or of one that is still to be read again. Visible books do not see a silent loss in inexact ones,
    /// and say so.
    pub(super) fn loses_nothing(&self) -> bool {
        let goes_unseen = self.spent.silent > 0 && self.scenario().books == Some(BooksPolicy::Visible);
        let missing = self.committed_and_not_covered();
        if missing.is_empty() || goes_unseen {
            return true;
        }
        let replays: Vec<Coverage> = self.log.history.open_replays().map(|(_, range)| range).collect();
        missing.iter().all(|&(partition, at)| {
            let interval = OffsetInterval {
                partition: partition_number(partition),
                from: offset(at),
                to: offset(at) + 1,
            };
            self.is_unjudged(&interval) || replays.iter().any(|range| range.contains(&interval))
        })
    }

    fn committed_and_not_covered(&self) -> Vec<(usize, usize)> {
        let mut missing = Vec::new();
        for (partition, &committed) in self.input.committed.iter().enumerate() {
            let lacks = |at: &usize| self.facts.covered & self.bit(partition, *at) == 0;
            missing.extend((0..committed).filter(lacks).map(|at| (partition, at)));
        }
        missing
    }

    /// Whether a generation without a verdict began at or before the interval: should it fail, its range holds it.
    fn is_unjudged(&self, interval: &OffsetInterval) -> bool {
        self.log.history.generations().any(|(_, entry)| {
            let opened = entry.opened.as_ref().filter(|_| entry.verdict.is_none());
            opened.is_some_and(|opened| {
                let mut starts = opened.start_offsets.iter();
                starts.any(|start| start.partition == interval.partition && start.offset <= interval.from)
            })
        })
    }

    /// I5: a generation that lost something is not settled, unless what it lost showed nowhere and it says itself
    /// that it could not be audited.
    pub(super) fn check_settled(&mut self, settled: &Settled) {
        let Some(policy) = self.scenario().books else {
            return;
        };
        let must_see = |silent: bool| !silent || settled.audited || policy == BooksPolicy::Strict;
        let lost = self.facts.lost.iter();
        if lost
            .filter(|(name, _)| name.generation == settled.generation)
            .any(|(_, silent)| must_see(*silent))
        {
            self.breaks(Promise::Books);
        }
    }

    /// I5: nothing fails where nothing was lost, nor out of reach. With two flippers at once one may judge before it
    /// reads that the other drained as well, and strict books fail what is inexact.
    pub(super) fn check_failed(&mut self, _: &Failed) {
        let Faults {
            losses, silent, cuts, ..
        } = self.spent;
        let may_fail = losses + silent + cuts > 0
            || self.flippers.len() > 1
            || self.scenario().books == Some(BooksPolicy::Strict) && self.spent != Faults::default();
        if !may_fail {
            self.breaks(Promise::FailedInVain);
        }
    }
}
