//! What the log says of one generation, in numbers.

use std::collections::BTreeSet;

use generations::protocol::history::{GenerationHistory, Verdict as LogVerdict};
use hint_schema::generation_event::{FailedReason, OffsetInterval, PartitionOffset};

/// One generation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    /// Unix milliseconds; nothing where its `Opened` is gone.
    pub(crate) opened_at_ms: Option<u64>,
    /// What the ingest group had committed just before.
    pub(crate) starts: Vec<PartitionOffset>,
    /// Writers that sealed it before its verdict.
    pub(crate) sealed: usize,
    /// Writers that the barrier did not wait for.
    pub(crate) unsealed: usize,
    pub(crate) new_keys: u64,
    pub(crate) unknown: u64,
    /// Offsets consumed live under it, until nobody asks any more.
    pub(super) live: Vec<OffsetInterval>,
    /// Input of an older generation was read again under it.
    pub(crate) holds_replays: bool,
    /// Flippers that began to drain it.
    pub(crate) draining: usize,
    /// The first one in the log.
    pub(crate) verdict: Option<Verdict>,
    /// Its verdict was read behind the batches: it is judged by the next look.
    pub(super) is_fresh: bool,
    /// There is a verdict, and nothing is left to be read again.
    pub(super) is_closed: bool,
    /// The log's keys that were seen.
    pub(super) keys: BTreeSet<String>,
    /// A key was deleted that was not seen: compaction was faster.
    pub(super) is_partial: bool,
}

/// How it ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    pub(crate) audited: bool,
    pub(crate) failed: Option<FailedReason>,
    pub(crate) keys: u64,
    pub(crate) late: u64,
    pub(crate) merged: u64,
}

/// How a generation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Being written.
    Active,
    /// No longer written, without a verdict.
    Closed,
    /// Settled, and its books agreed exactly.
    Settled,
    /// Settled without exact books.
    Unaudited,
    /// Part of it may have been lost; its input is read again.
    Failed,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Active,
        Self::Closed,
        Self::Settled,
        Self::Unaudited,
        Self::Failed,
    ];

    /// The word for it, in tables and as a label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Closed => "closed",
            Self::Settled => "settled",
            Self::Unaudited => "unaudited",
            Self::Failed => "failed",
        }
    }
}

impl Verdict {
    fn of(verdict: &LogVerdict) -> Self {
        match verdict {
            LogVerdict::Settled(settled) => Self {
                audited: settled.audited,
                failed: None,
                keys: settled.keys,
                late: settled.late_keys,
                merged: settled.merged_keys,
            },
            LogVerdict::Failed(failed) => Self {
                audited: false,
                failed: Some(failed.reason),
                keys: failed.keys,
                late: failed.late_keys,
                merged: failed.merged_keys,
            },
        }
    }

    /// URLs that the drain found for the topic of batches.
    pub(crate) fn found(&self) -> u64 {
        (self.keys + self.late).saturating_sub(self.merged)
    }
}

impl Entry {
    /// Takes over what the log says by now; a verdict ends the counting, as it did for the flipper.
    pub(super) fn update(&mut self, history: &GenerationHistory, unsealed: usize) {
        self.draining = self.draining.max(history.draining.len());
        if let Some(opened) = history.opened.as_ref().filter(|_| self.opened_at_ms.is_none()) {
            self.opened_at_ms = Some(opened.opened_at_ms);
            self.starts.clone_from(&opened.start_offsets);
        }
        if self.verdict.is_some() {
            return;
        }
        let seals = || history.seals.values();
        self.sealed = history.seals.len();
        self.new_keys = seals().map(|seal| seal.new_keys).sum();
        self.unknown = seals().map(|seal| seal.unknown).sum();
        self.live = seals().flat_map(|seal| seal.live.iter().copied()).collect();
        self.holds_replays = seals().any(|seal| !seal.replayed.is_empty());
        if let Some(verdict) = &history.verdict {
            self.verdict = Some(Verdict::of(verdict));
            // A writer that came behind the barrier was not waited for.
            self.unsealed = if self.verdict.is_some_and(|verdict| verdict.audited) {
                0
            } else {
                unsealed
            };
        }
    }

    /// How it stands; `active` is the highest opened.
    pub(crate) fn state(&self, is_active: bool) -> State {
        match self.verdict {
            Some(Verdict { failed: Some(_), .. }) => State::Failed,
            Some(Verdict { audited: true, .. }) => State::Settled,
            Some(_) => State::Unaudited,
            None if is_active => State::Active,
            None => State::Closed,
        }
    }

    /// Everything that the log said of it was seen.
    fn is_whole(&self) -> bool {
        self.opened_at_ms.is_some() && !self.is_partial
    }

    /// (C): keys that writers made and the drain did not find, or the other way round, in a generation whose
    /// books were settled all the same. A failed one is read again: nothing of it is lost yet.
    pub(crate) fn key_residue(&self) -> u64 {
        let Some(verdict) = self.verdict.filter(|verdict| verdict.failed.is_none()) else {
            return 0;
        };
        if !self.is_whole() {
            0
        } else if verdict.audited {
            verdict.keys.abs_diff(self.new_keys)
        } else if self.draining == 1 {
            self.new_keys.saturating_sub(verdict.keys)
        } else {
            0
        }
    }

    /// (D): URLs that the drain found and that do not stand in the topic, or that stand there and were not found.
    /// After a takeover more may stand there, and where a generation failed: it was given up in the middle, or a node
    /// lost names after they were acknowledged and before they were removed, which takes them out of the count.
    pub(crate) fn batch_residue(&self, stands: u64) -> u64 {
        let Some(verdict) = self.verdict.filter(|_| !self.is_fresh) else {
            return 0;
        };
        let is_exact = self.draining == 1 && self.is_whole() && verdict.failed.is_none();
        match verdict.found().checked_sub(stands) {
            Some(missing) => missing,
            None if is_exact => stands - verdict.found(),
            None => 0,
        }
    }

    /// Why its books are not exact, or why it failed; empty where they agreed.
    pub(crate) fn why(&self) -> String {
        let Some(verdict) = self.verdict.filter(|verdict| !verdict.audited) else {
            return String::new();
        };
        if let Some(reason) = verdict.failed {
            return reason_word(reason).to_owned();
        }
        let causes = [
            (self.unsealed > 0).then(|| format!("{} writers did not seal", self.unsealed)),
            (self.unknown > 0).then(|| format!("{} answers unknown", self.unknown)),
            (self.draining > 1).then(|| format!("{} flippers drained it", self.draining)),
        ];
        let causes: Vec<String> = causes.into_iter().flatten().collect();
        if causes.is_empty() {
            "a removal without an answer".to_owned()
        } else {
            causes.join(", ")
        }
    }
}

fn reason_word(reason: FailedReason) -> &'static str {
    match reason {
        FailedReason::NodeChanged => "a Redis node changed",
        FailedReason::NodeUnknown => "an unknown Redis node",
        FailedReason::Evicted => "Redis evicted keys",
        FailedReason::Shortfall => "shortfall",
        FailedReason::Mismatch => "keys do not match",
        FailedReason::Inexact => "inexact under strict books",
        FailedReason::Unreachable => "cluster out of reach",
    }
}
