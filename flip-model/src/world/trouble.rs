//! The adversary's part.

use std::collections::BTreeSet;
use std::sync::Arc;

use generations::protocol::{FlipperEvent, WriterEvent};
use hint_schema::generation_event::GenerationEvent;

use super::flipper::FlipperProcess;
use super::log::Record;
use super::redis::Cut;
use super::writer::WriterProcess;
use super::{Name, Shared, World, cluster_of};
use crate::scenario::{Url, Whose};

impl World {
    /// A late copy of a SET is executed; nobody hears the answer.
    pub(super) fn arrive(&mut self, name: Name) {
        let redis = self.redis.change();
        redis.late.remove(&name);
        redis.set(name);
    }

    /// What a crashed writer had under way may still be executed; its partitions come back to its successor.
    pub(super) fn crash(&mut self, index: usize) {
        self.spent.crashes += 1;
        let tags: Vec<_> = self.writers[index].batches.keys().copied().collect();
        for tag in tags {
            self.let_go(index, tag);
        }
        self.replace_writer(index);
    }

    pub(super) fn shut_down(&mut self, index: usize) {
        self.spent.shutdowns += 1;
        self.writers[index].change().leaving = true;
        self.tell_writer(index, WriterEvent::Shutdown);
    }

    pub(super) fn restart(&mut self, index: usize) {
        self.replace_writer(index);
    }

    fn replace_writer(&mut self, index: usize) {
        let input = self.input.change();
        for (owner, epoch) in input.owner.iter().zip(&mut input.epoch) {
            *epoch += u8::from(*owner == index);
        }
        let incarnation = self.fresh_incarnation();
        let mut writer = WriterProcess::new(index, incarnation, self.input.committed.clone());
        for record in &self.log.records {
            match record {
                Record::Tombstone(key) => writer.replays.tombstone(key),
                Record::Event(event) => {
                    if self.something_may_fail() {
                        writer.replays.read(event);
                    }
                    if matches!(**event, GenerationEvent::Opened(_)) {
                        writer.inbox.push_back(Arc::clone(event));
                    }
                }
            }
        }
        self.writers[index] = Shared::new(writer);
        self.tick(index);
        self.forget_the_log();
    }

    /// Another incarnation, which reads the log before it works.
    pub(super) fn take_over(&mut self, index: usize, compacted: bool) {
        self.spent.takeovers += 1;
        let incarnation = self.fresh_incarnation();
        self.flippers[index] = Shared::new(FlipperProcess::new(incarnation, self.settings()));
        for cluster in 0..2 {
            self.look(cluster);
        }
        for record in self.records_for(index, compacted) {
            self.flipper_takes(index, record);
        }
        self.tell_flipper(index, FlipperEvent::CaughtUp);
        self.set_elected(index, true);
        self.forget_the_log();
    }

    /// The election is somebody else's, or this flipper's again.
    pub(super) fn elect(&mut self, index: usize) {
        self.spent.elections += 1;
        self.set_elected(index, !self.flippers[index].elected);
    }

    pub(super) fn set_elected(&mut self, index: usize, elected: bool) {
        self.flippers[index].change().elected = elected;
        self.tell_flipper(index, FlipperEvent::Elected(elected));
    }

    fn forget_the_log(&mut self) {
        if !self.somebody_may_start() {
            self.log.change().records.clear();
        }
    }

    pub(super) fn rebalance(&mut self, partition: usize) {
        self.spent.rebalances += 1;
        let writers = self.writers.len();
        let input = self.input.change();
        let former = input.owner[partition];
        let owner = (former + 1) % writers;
        input.owner[partition] = owner;
        input.epoch[partition] += 1;
        let committed = input.committed[partition];
        self.writers[former]
            .change()
            .handled
            .retain(|(handled, _)| *handled != partition);
        self.writers[owner].change().position[partition] = committed;
    }

    /// A shard, or all of them, restarts without its data; run ids and replication ids show it.
    pub(super) fn lose(&mut self, cluster: usize, shard: Option<usize>) {
        self.spent.losses += 1;
        self.empty(cluster, shard);
    }

    fn empty(&mut self, cluster: usize, shard: Option<usize>) {
        let is_hit = |owner: usize| shard.is_none_or(|shard| shard == owner);
        let names: Vec<Name> = self
            .redis
            .names
            .union(&self.redis.moved)
            .copied()
            .filter(|name| cluster_of(name.generation) == cluster)
            .filter(|name| is_hit(self.owner_of(cluster, name.url)))
            .collect();
        for name in names {
            self.forget(name, false);
        }
        for hit in (0..self.shards()).filter(|hit| is_hit(*hit)) {
            self.redis.change().runs[cluster][hit] += 1;
        }
    }

    pub(super) fn lose_silently(&mut self, name: Name) {
        self.spent.silent += 1;
        self.forget(name, true);
    }

    fn forget(&mut self, name: Name, silent: bool) {
        self.redis.change().remove(name);
        if self.facts.counted.contains(&name) {
            self.facts.change().lost.insert((name, silent));
        }
    }

    pub(super) fn cut(&mut self, cluster: usize, shard: Option<usize>, whose: Whose) {
        self.spent.cuts += 1;
        self.redis.change().cuts[cluster] = Some(Cut {
            shard,
            whose,
            since: self.clock,
        });
        self.look(cluster);
    }

    pub(super) fn give_back(&mut self, cluster: usize, empty: bool) {
        let Some(cut) = self.redis.change().cuts[cluster].take() else {
            return;
        };
        if empty {
            self.empty(cluster, cut.shard);
        }
        self.look(cluster);
    }

    pub(super) fn begin_move(&mut self, cluster: usize, url: Url) {
        self.spent.moves += 1;
        self.redis.change().moving = Some((cluster, url));
    }

    pub(super) fn move_key(&mut self, name: Name) {
        let redis = self.redis.change();
        redis.names.remove(&name);
        redis.moved.insert(name);
    }

    pub(super) fn end_move(&mut self) {
        let redis = self.redis.change();
        if let Some(moved) = redis.moving.take() {
            if !redis.away.remove(&moved) {
                redis.away.insert(moved);
            }
            let names: BTreeSet<Name> = std::mem::take(&mut redis.moved);
            redis.names.extend(names);
        }
    }
}
