//! What can happen next in a state, always in the same order.

use hint_schema::generation_event::Generation;

use super::log::Record;
use super::{Action, Name, World, cluster_of};
use crate::scenario::Rule;

impl World {
    /// Everything that can happen next.
    #[must_use]
    pub fn enabled(&self) -> Vec<Action> {
        let mut actions = Vec::with_capacity(24);
        if self.is_broken() {
            return actions;
        }
        for writer in 0..self.writers.len() {
            self.reading_writer(writer, &mut actions);
            self.working_writer(writer, &mut actions);
        }
        for flipper in 0..self.flippers.len() {
            self.flipper(flipper, &mut actions);
            self.drains(flipper, &mut actions);
        }
        self.slots(&mut actions);
        self.processes_fail(&mut actions);
        self.redis_fails(&mut actions);
        if self.spent.passes < self.scenario().faults.passes {
            actions.push(Action::Pass);
        }
        actions
    }

    fn reading_writer(&self, index: usize, actions: &mut Vec<Action>) {
        let writer = &self.writers[index];
        if !writer.inbox.is_empty() && !writer.gone {
            actions.push(Action::WriterReads(index));
        }
        if writer.heartbeat.is_some() {
            actions.push(Action::PublishHeartbeat(index));
        }
        if !writer.seals.is_empty() {
            actions.push(Action::PublishSeal(index));
        }
        if writer.stepped != self.clock && !writer.gone {
            actions.push(Action::Tick(index));
        }
        if writer.gone {
            actions.push(Action::Restart(index));
        }
    }

    fn working_writer(&self, index: usize, actions: &mut Vec<Action>) {
        let writer = &self.writers[index];
        for (&batch, open) in &writer.batches {
            let (mut refused, mut reached) = (false, false);
            for &url in &open.sent {
                if self.can_execute(index, batch, url) {
                    actions.push(Action::Answer {
                        writer: index,
                        batch,
                        url,
                    });
                } else {
                    refused = true;
                }
                if self.spent.unanswered < self.scenario().faults.unanswered {
                    actions.push(Action::Unanswered {
                        writer: index,
                        batch,
                        url,
                    });
                }
            }
            if refused {
                actions.push(Action::Refuse { writer: index, batch });
            }
            for &url in &open.waiting {
                reached |= self.can_execute(index, batch, url);
            }
            if reached && writer.machine.may_send(self.writers_clock(self.clock), batch) {
                actions.push(Action::Resend { writer: index, batch });
            }
        }
        if self.is_blocked(index) {
            actions.push(Action::Blocked(index));
        }
        for partition in 0..self.input.committed.len() {
            if self.scenario().slow_commits
                && writer
                    .handled
                    .contains(&(partition, self.input.committed[partition]))
                && self.input.owner[partition] == index
            {
                actions.push(Action::Commit {
                    writer: index,
                    partition,
                });
            }
        }
        if self.may_poll(index) {
            self.polls(index, actions);
        }
    }

    /// What waits for a cluster that is out of reach makes the writer give a closed generation up.
    fn is_blocked(&self, index: usize) -> bool {
        let writer = &self.writers[index];
        let waits = writer.batches.values().any(|batch| !batch.waiting.is_empty());
        let bound = writer.machine.bound();
        waits
            && writer.batches.values().all(|batch| batch.sent.is_empty())
            && writer.inbox.is_empty()
            && bound.is_some_and(|bound| self.keeps_writers_off(cluster_of(bound)))
            && bound < self.log.history.active()
    }

    /// As the ingest loop: with a lease, room, and nothing that waits to be sent again.
    fn may_poll(&self, index: usize) -> bool {
        let writer = &self.writers[index];
        !writer.paused
            && !writer.gone
            && !writer.leaving
            && !writer.machine.is_holding()
            && writer.batches.len() < self.scenario().in_flight
            && writer.batches.values().all(|batch| batch.waiting.is_empty())
    }

    fn polls(&self, index: usize, actions: &mut Vec<Action>) {
        let writer = &self.writers[index];
        if self.leaves_out(Rule::BindAfterPoll) && writer.bound_first.is_none() {
            actions.push(Action::BindFirst(index));
            return;
        }
        for (partition, records) in self.scenario().input.iter().enumerate() {
            if self.input.owner[partition] == index && writer.position[partition] < records.len() {
                actions.push(Action::Poll {
                    writer: index,
                    partition,
                });
            }
        }
        let rereads = writer.batches.values().any(|batch| batch.replay.is_some());
        if self.something_may_fail() && !rereads && writer.replays.next(&self.held(index)).is_some() {
            actions.push(Action::Reread(index));
        }
    }

    fn flipper(&self, index: usize, actions: &mut Vec<Action>) {
        let flipper = &self.flippers[index];
        if !flipper.inbox.is_empty() {
            actions.push(Action::FlipperReads(index));
        }
        if !flipper.writes.is_empty() {
            actions.push(Action::Publish(index));
        }
        let opens = index < self.scenario().openers || self.common.endless;
        for &generation in &flipper.snapshots {
            if opens && generation <= self.last() && self.may_open(index, generation) {
                actions.push(Action::Snapshot(index, generation));
            }
        }
        for &generation in &flipper.ends {
            actions.push(Action::ReadEnds(index, generation));
        }
    }

    /// Whether nothing keeps a flipper from opening a generation but a rule that is left out.
    fn may_open(&self, flipper: usize, generation: Generation) -> bool {
        let waits_for_nodes = self.leaves_out(Rule::OpenWithoutNodes)
            && !self.flipper_reaches_all(flipper, cluster_of(generation));
        let waits_for_verdict = self.leaves_out(Rule::OpenAfterFailed)
            && generation
                .checked_sub(2)
                .is_some_and(|before| !self.is_settled(before));
        !waits_for_nodes && !waits_for_verdict
    }

    fn drains(&self, index: usize, actions: &mut Vec<Action>) {
        for (&generation, drain) in &self.flippers[index].drains {
            match drain.holding {
                Some(name) if self.flipper_reaches(index, name) => {
                    actions.push(Action::Unlink(index, generation));
                }
                Some(_) => {
                    actions.push(Action::UnlinkUnknown(index, generation, true));
                    actions.push(Action::UnlinkUnknown(index, generation, false));
                }
                None => {
                    let names = self.drainable(index, generation);
                    actions.extend(
                        names
                            .into_iter()
                            .map(|name| Action::Emit(index, generation, name)),
                    );
                    if self.is_drained(index, generation) {
                        actions.push(Action::Complete(index, generation));
                    }
                }
            }
        }
    }

    /// A slot that has begun to move goes on, key by key.
    fn slots(&self, actions: &mut Vec<Action>) {
        if self.redis.moving.is_none() {
            return;
        }
        let left: Vec<Name> = self
            .redis
            .names
            .iter()
            .copied()
            .filter(|name| self.redis.is_moving(*name))
            .collect();
        if left.is_empty() {
            actions.push(Action::EndMove);
        }
        actions.extend(left.into_iter().map(Action::MoveKey));
    }

    fn processes_fail(&self, actions: &mut Vec<Action>) {
        let (may, spent) = (self.scenario().faults, self.spent);
        for writer in 0..self.writers.len() {
            if spent.crashes < may.crashes && !self.writers[writer].gone {
                actions.push(Action::Crash(writer));
            }
            if spent.shutdowns < may.shutdowns && !self.writers[writer].leaving {
                actions.push(Action::Shutdown(writer));
            }
        }
        if spent.takeovers < may.takeovers {
            let is_compactable = self.scenario().compacts || self.leaves_out(Rule::FirstOpened);
            for flipper in 0..self.flippers.len() {
                actions.push(Action::TakeOver {
                    flipper,
                    compacted: false,
                });
                if is_compactable {
                    actions.push(Action::TakeOver {
                        flipper,
                        compacted: true,
                    });
                }
            }
        }
        if spent.elections < may.elections {
            actions.extend((0..self.flippers.len()).map(Action::Elect));
        }
        if spent.rebalances < may.rebalances && self.writers.len() > 1 {
            actions.extend((0..self.input.owner.len()).map(Action::Rebalance));
        }
    }

    fn redis_fails(&self, actions: &mut Vec<Action>) {
        let (may, spent) = (self.scenario().faults, self.spent);
        actions.extend(
            self.redis
                .late
                .iter()
                .copied()
                .filter(|name| self.writers_reach(*name))
                .map(Action::Arrive),
        );
        if spent.silent < may.silent {
            actions.extend(self.redis.names.iter().copied().map(Action::LoseSilently));
        }
        for cluster in 0..2 {
            let is_cut = self.redis.cuts[cluster].is_some();
            if spent.losses < may.losses && self.has_names(cluster) {
                for shard in self.hits() {
                    actions.push(Action::Lose { cluster, shard });
                }
            }
            if is_cut {
                actions.push(Action::Return {
                    cluster,
                    empty: false,
                });
                actions.push(Action::Return { cluster, empty: true });
            } else if spent.cuts < may.cuts {
                for shard in self.hits() {
                    for &whose in &self.scenario().whose {
                        actions.push(Action::Cut {
                            cluster,
                            shard,
                            whose,
                        });
                    }
                }
            }
            if spent.moves < may.moves && self.redis.moving.is_none() {
                let urls = self.scenario().input.iter().flatten().max().copied().unwrap_or(0);
                actions.extend((0..=urls).map(|url| Action::BeginMove { cluster, url }));
            }
        }
    }

    fn has_names(&self, cluster: usize) -> bool {
        let mut names = self.redis.names.iter().chain(&self.redis.moved);
        names.any(|name| cluster_of(name.generation) == cluster)
    }

    /// A whole cluster, or each of its shards.
    fn hits(&self) -> Vec<Option<usize>> {
        let several = (self.shards() > 1).then_some(0..self.shards());
        std::iter::once(None)
            .chain(several.into_iter().flatten().map(Some))
            .collect()
    }

    /// For a reader of a counterexample: what stands in the log.
    #[must_use]
    pub fn describe(&self) -> String {
        let unread: Vec<usize> = self.flippers.iter().map(|flipper| flipper.inbox.len()).collect();
        let keys: Vec<String> = self
            .log
            .records
            .iter()
            .map(|record| match record {
                Record::Event(event) => event.key(),
                Record::Tombstone(key) => format!("-{key}"),
            })
            .collect();
        format!(
            "active {:?}, committed {:?}, names {:?}, late {:?}, unread {unread:?}, log {keys:?}",
            self.log.history.active(),
            self.input.committed,
            self.redis.names,
            self.redis.late
        )
    }
}
