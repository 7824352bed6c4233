//! SETs on their way: answered, late, refused, sent again.

use generations::protocol::{BatchTag, WriterEvent};

use super::{Name, World};
use crate::scenario::{Rule, Url};

impl World {
    fn name(&self, index: usize, tag: BatchTag, url: Url) -> Option<Name> {
        let generation = self.writers[index].batches.get(&tag)?.generation?;
        Some(Name {
            generation: self.keyed(generation),
            url,
        })
    }

    /// Whether a SET under way can be executed.
    pub(super) fn can_execute(&self, index: usize, tag: BatchTag, url: Url) -> bool {
        self.name(index, tag, url)
            .is_some_and(|name| self.writers_reach(name))
    }

    /// Redis executes a SET; its answer comes at once: one that comes later counts no more than a lost one.
    pub(super) fn answer(&mut self, index: usize, tag: BatchTag, url: Url) {
        let Some(name) = self.name(index, tag, url) else {
            return;
        };
        let clock = match self.writers[index].batches.get(&tag) {
            Some(batch) if self.leaves_out(Rule::AnswerUnderLease) => batch.sent_at,
            _ => self.clock,
        };
        let is_new = self.redis.change().set(name);
        let at = self.writers_clock(clock);
        let writer = self.writers[index].change();
        if let Some(batch) = writer.batches.get_mut(&tag) {
            batch.sent.remove(&url);
        }
        if writer.machine.may_send(at, tag) {
            writer.filter.insert(url);
            if is_new && self.something_may_fail() {
                self.facts.change().counted.insert(name);
            }
        }
        let event = WriterEvent::Answered {
            batch: tag,
            new: u64::from(is_new),
            new_hash: name.hash() * u128::from(is_new),
            repeated: u64::from(!is_new),
            at,
        };
        self.tell_writer_at(index, event, clock);
    }

    /// A copy will never have an answer, whatever becomes of it; another is sent while the lease lasts.
    pub(super) fn unanswered(&mut self, index: usize, tag: BatchTag, url: Url) {
        let Some(name) = self.name(index, tag, url) else {
            return;
        };
        self.spent.unanswered += 1;
        self.redis.change().late.insert(name);
        if let Some(batch) = self.writers[index].change().batches.get_mut(&tag) {
            batch.sent.remove(&url);
            batch.waiting.insert(url);
        }
        let event = if self.leaves_out(Rule::UnknownByCopy) {
            WriterEvent::Refused {
                batch: tag,
                copies: 1,
            }
        } else {
            WriterEvent::Unanswered {
                batch: tag,
                copies: 1,
            }
        };
        self.tell_writer(index, event);
        self.resend(index, tag);
    }

    /// Sends what waits and can be reached, while the lease lasts.
    pub(super) fn resend(&mut self, index: usize, tag: BatchTag) {
        if !self.writers[index]
            .machine
            .may_send(self.writers_clock(self.clock), tag)
        {
            return;
        }
        let Some(batch) = self.writers[index].batches.get(&tag) else {
            return;
        };
        let reached: Vec<Url> = batch
            .waiting
            .iter()
            .copied()
            .filter(|url| self.can_execute(index, tag, *url))
            .collect();
        if let Some(batch) = self.writers[index].change().batches.get_mut(&tag) {
            for url in &reached {
                batch.waiting.remove(url);
                batch.sent.insert(*url);
            }
        }
        let copies = reached.len() as u64;
        self.tell_writer(index, WriterEvent::Sent { batch: tag, copies });
    }

    /// SETs whose shard is out of reach were certainly not executed.
    pub(super) fn refuse(&mut self, index: usize, tag: BatchTag) {
        let Some(batch) = self.writers[index].batches.get(&tag) else {
            return;
        };
        let refused: Vec<Url> = batch
            .sent
            .iter()
            .copied()
            .filter(|url| !self.can_execute(index, tag, *url))
            .collect();
        if let Some(batch) = self.writers[index].change().batches.get_mut(&tag) {
            for url in &refused {
                batch.sent.remove(url);
                batch.waiting.insert(*url);
            }
        }
        let copies = refused.len() as u64;
        self.tell_writer(index, WriterEvent::Refused { batch: tag, copies });
        self.blocked(index);
    }

    pub(super) fn blocked(&mut self, index: usize) {
        self.tell_writer(index, WriterEvent::Blocked);
    }

    /// The copies under way of a batch that nobody waits for any more.
    pub(super) fn let_go(&mut self, index: usize, tag: BatchTag) {
        let sent = match self.writers[index].batches.get(&tag) {
            Some(batch) => batch.sent.clone(),
            None => return,
        };
        let names: Vec<Name> = sent
            .iter()
            .filter_map(|url| self.name(index, tag, *url))
            .collect();
        self.redis.change().late.extend(names);
        self.writers[index].change().batches.remove(&tag);
    }
}
