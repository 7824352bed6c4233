//! A writer's side of the flip: heartbeats and leases, binding batches to generations, counting answers,
//! sealing.

use std::collections::{BTreeMap, VecDeque};

use hint_schema::generation_event::{Generation, GenerationEvent, Heartbeat, Incarnation};
use messagebus::clock::BootInstant;

use super::admission::Admission;
use super::lease::Lease;
use super::{HEARTBEAT_EVERY, LEASE};

mod event;
mod tally;

pub use event::{BatchTag, WriterEffect, WriterEvent};
use tally::{InFlight, Tally, Waiting};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Working,
    Leaving,
    Gone,
}

/// One incarnation of a writer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Writer {
    id: String,
    incarnation: Incarnation,
    admission: Admission,
    lease: Lease,
    /// Heartbeats sent and not yet read back: sequence and the clock when they were sent.
    sent: VecDeque<(u64, BootInstant)>,
    sequence: u64,
    next_heartbeat: Option<BootInstant>,
    /// The lowest generation it ever held a lease for.
    first_generation: Option<Generation>,
    bound: Option<Generation>,
    tally: Tally,
    in_flight: BTreeMap<BatchTag, InFlight>,
    /// Polled while the bound generation was being finished; bound to the next one.
    held: Vec<(BatchTag, InFlight)>,
    paused: bool,
    phase: Phase,
}

impl Writer {
    /// A writer that has read nothing yet; its input starts paused.
    #[must_use]
    pub fn new(id: String, incarnation: Incarnation) -> Self {
        Self {
            id,
            incarnation,
            admission: Admission::default(),
            lease: Lease::default(),
            sent: VecDeque::new(),
            sequence: 0,
            next_heartbeat: None,
            first_generation: None,
            bound: None,
            tally: Tally::default(),
            in_flight: BTreeMap::new(),
            held: Vec::new(),
            paused: true,
            phase: Phase::Working,
        }
    }

    /// The generation that batches are bound to.
    #[must_use]
    pub fn bound(&self) -> Option<Generation> {
        self.bound
    }

    /// Whether the batch is still the writer's: bound, and not dropped since.
    #[must_use]
    pub fn is_in_flight(&self, batch: BatchTag) -> bool {
        self.in_flight.contains_key(&batch)
    }

    /// Batches polled and not yet committed.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len() + self.held.len()
    }

    /// Whether batches wait for the bound generation to be sealed: poll no more until they are bound.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether copies of the batch may leave for Redis at `now`: also a copy that is sent again needs a lease.
    #[must_use]
    pub fn may_send(&self, now: BootInstant, batch: BatchTag) -> bool {
        self.is_in_flight(batch) && self.bound.is_some_and(|bound| self.lease.covers(bound, now))
    }

    /// When the lease for the bound generation ends: no copy may leave for Redis from then on.
    #[must_use]
    pub fn lease_until(&self) -> Option<BootInstant> {
        self.bound.and_then(|bound| self.lease.until(bound))
    }

    /// Takes one event at `now`, the boot-time clock, and says what to do, in order.
    pub fn step(&mut self, now: BootInstant, event: WriterEvent) -> Vec<WriterEffect> {
        let mut effects = Vec::new();
        match event {
            WriterEvent::Control(event) => self.control(now, &event),
            WriterEvent::Polled { batch, spans, replay } => {
                let batch_in_flight = InFlight {
                    spans,
                    replay,
                    waiting: None,
                    copies: 0,
                };
                self.held.push((batch, batch_in_flight));
            }
            WriterEvent::Judged { batch, sets, acks } => {
                if let Some(in_flight) = self.in_flight.get_mut(&batch) {
                    in_flight.waiting = Some(Waiting { sets, acks });
                }
                self.commit_if_handled(batch, &mut effects);
            }
            WriterEvent::Sent { batch, copies } => {
                if let Some(in_flight) = self.in_flight.get_mut(&batch) {
                    in_flight.copies += copies;
                }
            }
            WriterEvent::Answered {
                batch,
                new,
                new_hash,
                repeated,
                at,
            } => {
                self.answered(batch, (new, new_hash, repeated), at, &mut effects);
            }
            WriterEvent::Refused { batch, copies } => self.refused(batch, copies),
            WriterEvent::Unanswered { batch, copies } => {
                if self.in_flight.contains_key(&batch) {
                    self.refused(batch, copies);
                    self.tally.unknown += copies;
                }
            }
            WriterEvent::Blocked => self.give_up_what_is_over(&mut effects),
            WriterEvent::Acknowledged { batch, acks } => {
                if let Some(waiting) = self.waiting_of(batch) {
                    waiting.acks = waiting.acks.saturating_sub(acks);
                }
                self.commit_if_handled(batch, &mut effects);
            }
            WriterEvent::Tick => {}
            WriterEvent::Shutdown => {
                if self.phase == Phase::Working {
                    self.phase = Phase::Leaving;
                }
            }
            WriterEvent::FinalSealAcknowledged => effects.push(WriterEffect::Finished),
        }
        self.advance(now, &mut effects);
        effects
    }

    fn control(&mut self, now: BootInstant, event: &GenerationEvent) {
        match event {
            GenerationEvent::Opened(opened) => {
                self.admission.admit(opened);
            }
            GenerationEvent::Heartbeat(heartbeat)
                if heartbeat.writer == self.id && heartbeat.incarnation == self.incarnation =>
            {
                self.read_back(now, heartbeat.sequence);
            }
            GenerationEvent::Heartbeat(_)
            | GenerationEvent::Sealed(_)
            | GenerationEvent::Draining(_)
            | GenerationEvent::Settled(_)
            | GenerationEvent::Failed(_)
            | GenerationEvent::ReplayAsked(_)
            | GenerationEvent::Replayed(_) => {}
        }
    }

    /// Our own heartbeat, read at its place in the log: every `Opened` before it is known, so it gives a
    /// lease for the generation active there and every later one, counted from when it was sent.
    fn read_back(&mut self, now: BootInstant, sequence: u64) {
        let sent_at = self
            .sent
            .iter()
            .find(|(number, _)| *number == sequence)
            .map(|(_, sent_at)| *sent_at);
        self.sent.retain(|(number, _)| *number > sequence);
        let (Some(sent_at), Some(active)) = (sent_at, self.admission.highest()) else {
            return;
        };
        if now >= sent_at + LEASE {
            return; // Too old to give anything; a lapse stays a lapse.
        }
        self.lease.grant(active, sent_at);
        self.first_generation.get_or_insert(active);
        self.bound.get_or_insert(active);
    }

    /// Answers count only inside the lease, by the clock read after they left the socket (I1, I2). One that
    /// came later makes the whole writer lapse.
    fn answered(
        &mut self,
        batch: BatchTag,
        (new, new_hash, repeated): (u64, u128, u64),
        at: BootInstant,
        effects: &mut Vec<WriterEffect>,
    ) {
        let Some(generation) = self.bound else { return };
        if !self.in_flight.contains_key(&batch) {
            return; // Dropped before: its copies were counted unknown then.
        }
        if !self.lease.covers(generation, at) {
            self.lapse(effects);
            return;
        }
        self.refused(batch, new + repeated);
        self.tally.new_keys += new;
        self.tally.new_hash = self.tally.new_hash.wrapping_add(new_hash);
        self.tally.repeated_keys += repeated;
        if let Some(waiting) = self.waiting_of(batch) {
            waiting.sets = waiting.sets.saturating_sub(new + repeated);
        }
        self.commit_if_handled(batch, effects);
    }

    /// A closed generation that takes no more keys: waiting for its lease to lapse would hold its barrier up
    /// and make its books inexact for nothing, since no copy is under way.
    fn give_up_what_is_over(&mut self, effects: &mut Vec<WriterEffect>) {
        let is_over = self.bound < self.admission.highest();
        if is_over && self.in_flight.values().all(|batch| batch.copies == 0) {
            self.lapse(effects);
        }
    }

    /// Copies that are no longer under way.
    fn refused(&mut self, batch: BatchTag, copies: u64) {
        if let Some(in_flight) = self.in_flight.get_mut(&batch) {
            in_flight.copies = in_flight.copies.saturating_sub(copies);
        }
    }

    fn waiting_of(&mut self, batch: BatchTag) -> Option<&mut Waiting> {
        self.in_flight.get_mut(&batch)?.waiting.as_mut()
    }

    fn commit_if_handled(&mut self, batch: BatchTag, effects: &mut Vec<WriterEffect>) {
        if self
            .waiting_of(batch)
            .is_none_or(|waiting| waiting.sets > 0 || waiting.acks > 0)
        {
            return;
        }
        let Some(done) = self.in_flight.remove(&batch) else {
            return;
        };
        self.tally.consumed(done);
        effects.push(WriterEffect::Commit { batch });
    }

    /// Does everything that the present state and clock call for.
    fn advance(&mut self, now: BootInstant, effects: &mut Vec<WriterEffect>) {
        if self.phase == Phase::Gone {
            return;
        }
        self.heartbeat_when_due(now, effects);
        if self.bound.is_some_and(|bound| !self.lease.covers(bound, now)) && self.in_flight() > 0 {
            self.lapse(effects);
        }
        self.seal_what_is_over(effects);
        self.input_follows_the_lease(now, effects);
        self.bind_held(now, effects);
        self.leave_when_done(effects);
    }

    fn heartbeat_when_due(&mut self, now: BootInstant, effects: &mut Vec<WriterEffect>) {
        if self.next_heartbeat.is_some_and(|due| now < due) || self.phase != Phase::Working {
            return;
        }
        self.next_heartbeat = Some(now + HEARTBEAT_EVERY);
        self.sequence += 1;
        self.sent.retain(|(_, sent_at)| now < *sent_at + LEASE);
        self.sent.push_back((self.sequence, now));
        effects.push(WriterEffect::Heartbeat(Heartbeat {
            writer: self.id.clone(),
            incarnation: self.incarnation,
            sequence: self.sequence,
            first_generation: self.first_generation.or(self.admission.highest()).unwrap_or(0),
        }));
    }

    /// Drops all that was polled and not committed. Copies under way are counted `unknown`: they may have
    /// been executed, and their answers will not count.
    fn lapse(&mut self, effects: &mut Vec<WriterEffect>) {
        let dropped = std::mem::take(&mut self.in_flight);
        self.tally.unknown += dropped.values().map(|batch| batch.copies).sum::<u64>();
        let held = std::mem::take(&mut self.held);
        let tags = dropped
            .into_keys()
            .chain(held.into_iter().map(|(tag, _)| tag))
            .collect();
        effects.push(WriterEffect::Rewind { dropped: tags });
    }

    /// On `Opened(g+1)`: once nothing of g is in flight, seal g and bind to the next.
    fn seal_what_is_over(&mut self, effects: &mut Vec<WriterEffect>) {
        while let (Some(bound), Some(active)) = (self.bound, self.admission.highest()) {
            if bound >= active || !self.in_flight.is_empty() {
                return;
            }
            self.seal(bound, false, effects);
            let next = bound + 1;
            self.bound = Some(next);
            self.lease.forget_below(next);
        }
    }

    fn seal(&mut self, generation: Generation, is_final: bool, effects: &mut Vec<WriterEffect>) {
        let tally = std::mem::take(&mut self.tally);
        effects.push(WriterEffect::Seal(tally.seal(
            generation,
            self.id.clone(),
            self.incarnation,
            is_final,
        )));
        effects.push(WriterEffect::EmptyFilter);
    }

    fn input_follows_the_lease(&mut self, now: BootInstant, effects: &mut Vec<WriterEffect>) {
        let may_write = self.bound.is_some_and(|bound| self.lease.covers(bound, now));
        if may_write == self.paused {
            self.paused = !may_write;
            effects.push(if may_write {
                WriterEffect::Resume
            } else {
                WriterEffect::Pause
            });
        }
    }

    /// Binds what was polled, after the poll, to the active generation, under its lease.
    fn bind_held(&mut self, now: BootInstant, effects: &mut Vec<WriterEffect>) {
        if self.held.is_empty() {
            return;
        }
        let Some(generation) = self.bound.filter(|bound| self.lease.covers(*bound, now)) else {
            self.lapse(effects);
            return;
        };
        if self.admission.highest() != Some(generation) {
            return; // What is in flight under the closed generation comes first.
        }
        for (batch, in_flight) in std::mem::take(&mut self.held) {
            self.in_flight.insert(batch, in_flight);
            effects.push(WriterEffect::Bind { batch, generation });
        }
    }

    fn leave_when_done(&mut self, effects: &mut Vec<WriterEffect>) {
        if self.phase != Phase::Leaving || self.in_flight() > 0 {
            return;
        }
        self.phase = Phase::Gone;
        match self.bound.or(self.admission.highest()) {
            Some(generation) => self.seal(generation, true, effects),
            None => effects.push(WriterEffect::Finished),
        }
    }
}
