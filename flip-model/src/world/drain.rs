//! A drain: names into a batch, its acknowledgement, and then those names' end.

use generations::protocol::{DrainReport, FlipperEvent};
use hint_schema::generation_event::Generation;

use super::{Name, Promise, World, cluster_of};
use crate::scenario::Rule;

/// A drain under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Drain {
    /// In an acknowledged batch and not deleted yet.
    pub(super) holding: Option<Name>,
    /// Told to stop: it only finishes what it holds.
    pub(super) stopping: bool,
}

/// What became of an UNLINK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unlinked {
    Answered,
    /// No answer, and the name is gone.
    UnknownAndGone,
    /// No answer, and the name is still there.
    UnknownAndThere,
}

impl World {
    pub(super) fn begin_drain(&mut self, flipper: usize, generation: Generation) {
        let drains = &mut self.flippers[flipper].change().drains;
        drains.entry(generation).or_default().stopping = false;
    }

    pub(super) fn stop_drain(&mut self, flipper: usize, generation: Generation) {
        if self.leaves_out(Rule::StopAtVerdict) {
            return;
        }
        let drains = &mut self.flippers[flipper].change().drains;
        if let Some(drain) = drains.get_mut(&generation) {
            drain.stopping = true;
            if drain.holding.is_none() {
                drains.remove(&generation);
            }
        }
    }

    /// The names that a drain of `generation` may take next.
    pub(super) fn drainable(&self, flipper: usize, generation: Generation) -> Vec<Name> {
        let own = self.keyed(generation);
        self.redis
            .names
            .iter()
            .copied()
            .filter(|name| cluster_of(name.generation) == cluster_of(generation))
            .filter(|name| name.generation <= own || self.leaves_out(Rule::NewerNames))
            .filter(|name| self.flipper_reaches(flipper, *name))
            .collect()
    }

    /// Kafka acknowledges a batch that holds the name.
    pub(super) fn emit(&mut self, flipper: usize, generation: Generation, name: Name) {
        if self.leaves_out(Rule::DeleteAfterAck) {
            self.redis.change().remove(name);
        } else {
            self.cover(name);
        }
        if let Some(drain) = self.flippers[flipper].change().drains.get_mut(&generation) {
            drain.holding = Some(name);
        }
    }

    fn cover(&mut self, name: Name) {
        let covered = self.bits_of(name.url) & self.facts.consumed;
        if covered == 0 {
            self.breaks(Promise::NoInvention);
        }
        if self.facts.covered & covered != covered {
            self.facts.change().covered |= covered;
        }
        // Should a late copy bring it back, its loss is none.
        if self.facts.counted.contains(&name) {
            self.facts.change().counted.remove(&name);
        }
    }

    /// Deletes the name that the drain holds.
    pub(super) fn unlink(&mut self, flipper: usize, generation: Generation, answer: Unlinked) {
        let own = self.keyed(generation);
        let Some(drain) = self.flippers[flipper].change().drains.get_mut(&generation) else {
            return;
        };
        let Some(name) = drain.holding.take() else { return };
        let is_over = drain.stopping;
        if self.leaves_out(Rule::DeleteAfterAck) {
            self.cover(name);
        } else if answer != Unlinked::UnknownAndThere {
            self.delete(name);
        }
        if name.generation < own {
            self.facts.change().late = true;
        }
        let process = self.flippers[flipper].change();
        if is_over {
            process.drains.remove(&generation);
        }
        let found = process.found.entry(generation).or_default();
        found.batches += 1;
        found.unlink_unknown |= answer != Unlinked::Answered;
        if name.generation == own {
            found.keys += 1;
            found.hash = found.hash.wrapping_add(name.hash());
        } else {
            found.late_keys += 1;
        }
    }

    fn delete(&mut self, name: Name) {
        let flushes = self.leaves_out(Rule::DeleteNames);
        let redis = self.redis.change();
        redis.remove(name);
        if flushes {
            let stays = |other: &Name| cluster_of(other.generation) != cluster_of(name.generation);
            redis.names.retain(stays);
        }
    }

    /// Whether every slot counts 0 at its owner, whatever it is that was left alone.
    pub(super) fn is_drained(&self, flipper: usize, generation: Generation) -> bool {
        let cluster = cluster_of(generation);
        let is_empty = !self
            .redis
            .names
            .iter()
            .any(|name| cluster_of(name.generation) == cluster);
        let is_still = self.redis.moving.is_none_or(|(moving, _)| moving != cluster);
        is_empty
            && self.flipper_reaches_all(flipper, cluster)
            && (is_still || self.leaves_out(Rule::NothingMoving))
    }

    pub(super) fn complete(&mut self, flipper: usize, generation: Generation) {
        let mut report = DrainReport {
            nodes: self.nodes(flipper, generation),
            slot_owners: self.slot_owners(generation),
            ..self.flippers[flipper]
                .found
                .get(&generation)
                .cloned()
                .unwrap_or_default()
        };
        self.flippers[flipper].change().drains.remove(&generation);
        if self.leaves_out(Rule::UnknownNode) {
            let history = self.flippers[flipper].machine.history();
            let opened = history
                .generation(generation)
                .and_then(|entry| entry.opened.as_ref());
            let known = |owner: &String| {
                opened.is_some_and(|opened| opened.nodes.iter().any(|node| node.node_id == *owner))
            };
            report.slot_owners.retain(known);
        }
        if self.leaves_out(Rule::UnknownIsInexact) {
            self.give_slack(generation, &mut report);
        }
        self.tell_flipper(flipper, FlipperEvent::Drained { generation, report });
    }

    /// Calls the count right while it differs by no more than the unknown answers.
    fn give_slack(&self, generation: Generation, report: &mut DrainReport) {
        let Some(entry) = self.log.history.generation(generation) else {
            return;
        };
        let (mut new_keys, mut hash, mut unknown) = (0, 0_u128, 0);
        for seal in entry.seals.values() {
            new_keys += seal.new_keys;
            hash = hash.wrapping_add(seal.new_hash);
            unknown += seal.unknown;
        }
        if (new_keys..=new_keys + unknown).contains(&report.keys) {
            (report.keys, report.hash) = (new_keys, hash);
        }
    }
}
