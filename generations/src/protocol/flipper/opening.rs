//! Opening the next generation: when, why, and what its `Opened` says.

use hint_schema::generation_event::{Generation, GenerationEvent, NodeSeen, Opened, PartitionOffset};
use messagebus::clock::BootInstant;

use super::{Flipper, FlipperEffect, Trigger};
use crate::protocol::UNREACHABLE_AFTER;

impl Flipper {
    pub(super) fn open_when_due(&mut self, now: BootInstant, effects: &mut Vec<FlipperEffect>) {
        if self.opening.is_some() || self.published > self.history.active() {
            return; // Under way, until it is read back.
        }
        let Some(active) = self.history.active() else {
            self.bootstrap(effects);
            return;
        };
        let before = active.checked_sub(1);
        if before.is_some_and(|before| !self.history.is_judged(before)) {
            return;
        }
        if let Some(trigger) = self.trigger(now, active) {
            self.flip_asked = false;
            self.opening = Some((active + 1, trigger));
            effects.push(FlipperEffect::Snapshot(active + 1));
        }
    }

    /// An empty log: generation 0, if both clusters are empty too. Keys of a log that was lost would be
    /// names above every generation that we open, which nobody ever drains.
    fn bootstrap(&mut self, effects: &mut Vec<FlipperEffect>) {
        let [Some(a), Some(b)] = self.clusters.each_ref().map(|watch| watch.view) else {
            return;
        };
        if !a.reachable || !b.reachable {
            return;
        }
        let keys = a.keys + b.keys;
        if keys > 0 {
            effects.push(FlipperEffect::RefuseToStart { keys });
        } else {
            self.opening = Some((0, Trigger::Bootstrap));
            effects.push(FlipperEffect::Snapshot(0));
        }
    }

    fn trigger(&self, now: BootInstant, active: Generation) -> Option<Trigger> {
        let watch = self.watch(active);
        let view = watch.view.unwrap_or_default();
        let interval_passed = self
            .opened_seen
            .get(&active)
            .is_none_or(|seen| now >= *seen + self.settings.interval);
        if self.flip_asked {
            Some(Trigger::Asked)
        } else if interval_passed {
            Some(Trigger::Interval)
        } else if view.keys >= self.settings.max_urls {
            Some(Trigger::Size)
        } else if view.under_pressure {
            Some(Trigger::Memory)
        } else if watch.silent_for(now, UNREACHABLE_AFTER) {
            Some(Trigger::Unreachable)
        } else {
            None
        }
    }

    pub(super) fn publish_opened(
        &mut self,
        generation: Generation,
        nodes: Vec<NodeSeen>,
        start_offsets: Vec<PartitionOffset>,
        opened_at_ms: u64,
        effects: &mut Vec<FlipperEffect>,
    ) {
        let is_asked_for = self.opening.is_some_and(|(opening, _)| opening == generation);
        if !is_asked_for || self.published >= Some(generation) {
            return;
        }
        self.published = Some(generation);
        effects.push(FlipperEffect::Publish(GenerationEvent::Opened(Opened {
            generation,
            flipper: self.me,
            opened_at_ms,
            closed_through: self.history.closed_below(),
            start_offsets,
            nodes,
        })));
    }
}
