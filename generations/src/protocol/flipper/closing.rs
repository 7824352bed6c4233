//! Closing a generation: announce the drain, judge the books, read the range of a failed one, and close
//! replays.

use hint_schema::generation_event::{
    Draining, Failed, FailedReason, Generation, GenerationEvent, OffsetInterval, ReplayAsked, Replayed,
    Settled,
};
use messagebus::clock::BootInstant;

use super::{Flipper, FlipperEffect};
use crate::protocol::UNREACHABLE_AFTER;
use crate::protocol::books::{self, DrainReport, Judgement};

/// How far this flipper is with a closed generation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Closing {
    /// `Draining` is published and not read back yet.
    Announced,
    /// The drain runs.
    Draining,
    /// It failed; its range is being read.
    Failing(FailedReason, DrainReport),
    /// The verdict is published and not read back yet.
    Judged,
}

impl Flipper {
    /// Closed generations without a verdict, the lowest first.
    pub(super) fn unjudged(&self, active: Generation) -> impl Iterator<Item = Generation> + '_ {
        self.history
            .generations()
            .filter(move |(generation, entry)| {
                *generation < active && entry.opened.is_some() && entry.verdict.is_none()
            })
            .map(|(generation, _)| generation)
    }

    /// Brings the lowest closed generation without a verdict one step further.
    pub(super) fn close(&mut self, now: BootInstant, effects: &mut Vec<FlipperEffect>) {
        let Some(active) = self.history.active() else {
            return;
        };
        let Some(generation) = self.unjudged(active).next() else {
            return;
        };
        if !self.barriers.contains_key(&generation) {
            return;
        }
        let unreachable = self.watch(generation).silent_for(now, UNREACHABLE_AFTER);
        match self.closing.get(&generation) {
            Some(Closing::Failing(..) | Closing::Judged) => {}
            // Only behind the barrier: a writer that still reached it would write beyond the range.
            _ if unreachable => {
                effects.push(FlipperEffect::StopDrain(generation));
                self.fail(
                    generation,
                    FailedReason::Unreachable,
                    DrainReport::default(),
                    effects,
                );
            }
            Some(Closing::Announced | Closing::Draining) => {}
            None => {
                self.closing.insert(generation, Closing::Announced);
                let draining = Draining {
                    generation,
                    flipper: self.me,
                };
                effects.push(FlipperEffect::Publish(GenerationEvent::Draining(draining)));
            }
        }
    }

    /// Our own `Draining`, at its place in the log: every other that stands before it is known, so the books
    /// can tell a shortfall from a drain that somebody else began (I5).
    pub(super) fn begin_draining(&mut self, generation: Generation, effects: &mut Vec<FlipperEffect>) {
        if self.closing.get(&generation) == Some(&Closing::Announced) {
            self.closing.insert(generation, Closing::Draining);
            effects.push(FlipperEffect::Drain(generation));
        }
    }

    pub(super) fn drained(
        &mut self,
        generation: Generation,
        report: DrainReport,
        effects: &mut Vec<FlipperEffect>,
    ) {
        if self.closing.get(&generation) != Some(&Closing::Draining) {
            return;
        }
        let Some(history) = self.history.generation(generation) else {
            return;
        };
        let everyone_sealed =
            self.barriers.get(&generation) == Some(&true) && self.history.is_sealed_by_all(generation);
        match books::judge(history, &report, everyone_sealed, self.settings.books) {
            Judgement::Fail(reason) => self.fail(generation, reason, report, effects),
            Judgement::Settle { audited } => {
                self.closing.insert(generation, Closing::Judged);
                effects.push(FlipperEffect::Publish(GenerationEvent::Settled(Settled {
                    generation,
                    flipper: self.me,
                    keys: report.keys,
                    batches: report.batches,
                    late_keys: report.late_keys,
                    merged_keys: report.merged_keys,
                    audited,
                })));
            }
        }
    }

    fn fail(
        &mut self,
        generation: Generation,
        reason: FailedReason,
        report: DrainReport,
        effects: &mut Vec<FlipperEffect>,
    ) {
        self.closing.insert(generation, Closing::Failing(reason, report));
        effects.push(FlipperEffect::ReadEndOffsets(generation));
    }

    /// The range to read again: from `Opened`'s start offsets to the log's end, read after the barrier and
    /// never the committed offset, since an answer may have been in flight (I1).
    pub(super) fn publish_failed(
        &mut self,
        generation: Generation,
        log: &[OffsetInterval],
        effects: &mut Vec<FlipperEffect>,
    ) {
        let Some(Closing::Failing(reason, report)) = self.closing.get(&generation).cloned() else {
            return;
        };
        let range = self.range_of(generation, log);
        self.closing.insert(generation, Closing::Judged);
        effects.push(FlipperEffect::Publish(GenerationEvent::Failed(Failed {
            generation,
            flipper: self.me,
            reason,
            range,
            keys: report.keys,
            batches: report.batches,
            late_keys: report.late_keys,
            merged_keys: report.merged_keys,
        })));
    }

    /// As [`Self::publish_failed`], for a replay that on-call asked for.
    pub(super) fn publish_replay_asked(
        &mut self,
        generation: Generation,
        log: &[OffsetInterval],
        effects: &mut Vec<FlipperEffect>,
    ) {
        if self.replays_asked.remove(&generation) {
            self.replays_published.remove(&generation);
            effects.push(FlipperEffect::Publish(GenerationEvent::ReplayAsked(
                ReplayAsked {
                    generation,
                    flipper: self.me,
                    range: self.range_of(generation, log),
                },
            )));
        }
    }

    /// From the start offsets of the generation's first `Opened` to the ends in `log`.
    fn range_of(&self, generation: Generation, log: &[OffsetInterval]) -> Vec<OffsetInterval> {
        let opened = self
            .history
            .generation(generation)
            .and_then(|entry| entry.opened.as_ref());
        let start_of = |partition: i32| {
            let starts = opened
                .map(|opened| opened.start_offsets.as_slice())
                .unwrap_or_default();
            starts
                .iter()
                .find(|start| start.partition == partition)
                .map(|start| start.offset)
        };
        log.iter()
            .map(|log| OffsetInterval {
                from: start_of(log.partition).unwrap_or(log.from),
                ..*log
            })
            .filter(|interval| interval.from < interval.to)
            .collect()
    }

    pub(super) fn close_replays(&mut self, effects: &mut Vec<FlipperEffect>) {
        let covered: Vec<Generation> = self
            .history
            .open_replays()
            .map(|(generation, _)| generation)
            .filter(|generation| !self.replays_published.contains(generation))
            .filter(|generation| self.history.replay_is_covered(*generation))
            .collect();
        for generation in covered {
            self.replays_published.insert(generation);
            let replayed = Replayed {
                generation,
                flipper: self.me,
            };
            effects.push(FlipperEffect::Publish(GenerationEvent::Replayed(replayed)));
        }
    }
}
