//! An ingestor's process: what it does with the writer's effects, and what it tells it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use generations::protocol::{BatchTag, Replays, Writer, WriterEffect, WriterEvent};
use hint_schema::generation_event::{
    Generation, GenerationEvent, Heartbeat, Incarnation, OffsetInterval, Sealed,
};

use super::{Promise, World, offset, partition_number};
use crate::scenario::{Rule, Url};

/// A polled batch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Batch {
    partition: usize,
    from: usize,
    to: usize,
    /// The failed generation it is read again for.
    pub(super) replay: Option<Generation>,
    /// The generation that its names carry.
    pub(super) generation: Option<Generation>,
    /// SETs under way.
    pub(super) sent: BTreeSet<Url>,
    /// SETs that wait to be sent again.
    pub(super) waiting: BTreeSet<Url>,
    /// The clock when they were sent.
    pub(super) sent_at: u8,
    /// The partition's assignment when it was polled.
    epoch: u8,
    /// The highest barrier that had been passed then.
    behind: Option<Generation>,
}

/// One ingestor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct WriterProcess {
    pub(super) incarnation: Incarnation,
    pub(super) machine: Writer,
    /// Records of the log that it has not read and that concern it.
    pub(super) inbox: VecDeque<Arc<GenerationEvent>>,
    /// The latest heartbeat on its way to the log.
    pub(super) heartbeat: Option<Heartbeat>,
    pub(super) seals: VecDeque<Sealed>,
    pub(super) paused: bool,
    pub(super) leaving: bool,
    pub(super) gone: bool,
    pub(super) position: Vec<usize>,
    /// Handled and not committed yet, by partition and offset.
    pub(super) handled: BTreeSet<(usize, usize)>,
    pub(super) batches: BTreeMap<BatchTag, Batch>,
    pub(super) filter: BTreeSet<Url>,
    pub(super) replays: Replays,
    /// The clock at its last step.
    pub(super) stepped: u8,
    /// Where the next batch is bound before it is polled: to what.
    pub(super) bound_first: Option<Generation>,
    /// Where live progress is of bound batches: what was bound under each generation.
    bound_live: BTreeMap<Generation, Vec<OffsetInterval>>,
}

impl WriterProcess {
    pub(super) fn new(index: usize, incarnation: u64, position: Vec<usize>) -> Self {
        let incarnation = Incarnation(incarnation);
        Self {
            incarnation,
            machine: Writer::new(format!("w{index}"), incarnation),
            inbox: VecDeque::new(),
            heartbeat: None,
            seals: VecDeque::new(),
            paused: true,
            leaving: false,
            gone: false,
            position,
            handled: BTreeSet::new(),
            batches: BTreeMap::new(),
            filter: BTreeSet::new(),
            replays: Replays::default(),
            stepped: 0,
            bound_first: None,
            bound_live: BTreeMap::new(),
        }
    }

    /// A tag that no batch has. They are used again, so that states are found again.
    fn free_tag(&self) -> BatchTag {
        (0..).find(|tag| !self.batches.contains_key(tag)).unwrap_or(0)
    }
}

impl World {
    pub(super) fn tell_writer(&mut self, index: usize, event: WriterEvent) {
        let clock = self.clock;
        self.tell_writer_at(index, event, clock);
    }

    pub(super) fn tell_writer_at(&mut self, index: usize, event: WriterEvent, clock: u8) {
        if self.writers[index].gone {
            return;
        }
        let now = self.writers_clock(clock);
        let writer = self.writers[index].change();
        writer.stepped = clock;
        for effect in writer.machine.step(now, event) {
            self.writer_does(index, effect);
        }
    }

    fn writer_does(&mut self, index: usize, effect: WriterEffect) {
        match effect {
            // One that is not sent yet is followed by this one.
            WriterEffect::Heartbeat(heartbeat) => self.writers[index].change().heartbeat = Some(heartbeat),
            WriterEffect::Seal(sealed) => {
                let writer = self.writers[index].change();
                let mut sealed = sealed;
                if let Some(spans) = writer.bound_live.remove(&sealed.generation) {
                    sealed.live = spans;
                }
                writer.seals.push_back(sealed);
            }
            WriterEffect::Bind { batch, generation } => self.bind(index, batch, generation),
            WriterEffect::Commit { batch } => self.handled(index, batch),
            WriterEffect::Rewind { dropped } => self.rewind(index, &dropped),
            WriterEffect::Pause => self.writers[index].change().paused = true,
            WriterEffect::Resume => self.writers[index].change().paused = false,
            WriterEffect::EmptyFilter => {
                if !self.leaves_out(Rule::FilterEmptied) {
                    self.writers[index].change().filter.clear();
                }
            }
            WriterEffect::Finished => self.writers[index].change().gone = true,
        }
    }

    pub(super) fn bind_first(&mut self, index: usize) {
        let writer = self.writers[index].change();
        writer.bound_first = writer.machine.bound();
    }

    pub(super) fn poll(&mut self, index: usize, partition: usize) {
        let from = self.writers[index].position[partition];
        let to = (from + self.scenario().batch).min(self.scenario().input[partition].len());
        self.writers[index].change().position[partition] = to;
        self.begin(index, partition, (from, to), None);
    }

    /// The next part of a failed range that nobody has read again, as far as this process knows.
    pub(super) fn reread(&mut self, index: usize) {
        let Some(missing) = self.writers[index].replays.next(&self.held(index)) else {
            return;
        };
        let number = |value: i64| usize::try_from(value).unwrap_or(0);
        let partition = usize::try_from(missing.interval.partition).unwrap_or(0);
        let from = number(missing.interval.from);
        let to = number(missing.interval.to).min(from + self.scenario().batch);
        self.begin(index, partition, (from, to), Some(missing.failed));
    }

    pub(super) fn held(&self, index: usize) -> Vec<i32> {
        let owners = self.input.owner.iter().enumerate();
        owners
            .filter(|(_, owner)| **owner == index)
            .map(|(partition, _)| partition_number(partition))
            .collect()
    }

    fn begin(
        &mut self,
        index: usize,
        partition: usize,
        (from, to): (usize, usize),
        replay: Option<Generation>,
    ) {
        for offset in from..to {
            let bit = self.bit(partition, offset);
            self.facts.change().consumed |= bit;
        }
        let batch = Batch {
            partition,
            from,
            to,
            replay,
            generation: None,
            sent: BTreeSet::new(),
            waiting: BTreeSet::new(),
            sent_at: self.clock,
            epoch: self.input.epoch[partition],
            behind: self.facts.barrier,
        };
        let spans = vec![span(&batch)];
        let tag = self.writers[index].free_tag();
        self.writers[index].change().batches.insert(tag, batch);
        self.tell_writer(
            index,
            WriterEvent::Polled {
                batch: tag,
                spans,
                replay,
            },
        );
    }

    /// Judges a bound batch, and sends what the filter does not know.
    fn bind(&mut self, index: usize, tag: BatchTag, generation: Generation) {
        let (early, live_when_bound) = (
            self.leaves_out(Rule::FilterOnAnswer),
            self.leaves_out(Rule::LiveWhenAnswered),
        );
        let clock = self.clock;
        let scenario = Arc::clone(&self.common.scenario);
        let writer = self.writers[index].change();
        let generation = writer.bound_first.take().unwrap_or(generation);
        let Some(batch) = writer.batches.get_mut(&tag) else {
            return;
        };
        batch.generation = Some(generation);
        batch.sent_at = clock;
        let urls = scenario.input[batch.partition][batch.from..batch.to]
            .iter()
            .copied();
        batch.sent = urls.filter(|url| !writer.filter.contains(url)).collect();
        if early {
            writer.filter.extend(batch.sent.iter().copied());
        }
        if live_when_bound && batch.replay.is_none() {
            writer.bound_live.entry(generation).or_default().push(span(batch));
        }
        let sets = batch.sent.len() as u64;
        self.tell_writer(
            index,
            WriterEvent::Judged {
                batch: tag,
                sets,
                acks: 0,
            },
        );
        self.tell_writer(
            index,
            WriterEvent::Sent {
                batch: tag,
                copies: sets,
            },
        );
    }

    /// Every record of a batch is handled: its offsets may be committed.
    fn handled(&mut self, index: usize, tag: BatchTag) {
        let Some(batch) = self.writers[index].change().batches.remove(&tag) else {
            return;
        };
        let Some(generation) = batch.generation else {
            return;
        };
        if batch.behind.is_some_and(|passed| generation <= passed) {
            self.breaks(Promise::Barrier);
        }
        if let Some(failed) = batch.replay {
            let spans = vec![span(&batch)];
            self.writers[index]
                .change()
                .replays
                .done(failed, generation, spans);
            return;
        }
        let is_held =
            self.input.owner[batch.partition] == index && self.input.epoch[batch.partition] == batch.epoch;
        if !is_held {
            return;
        }
        let offsets = (batch.from..batch.to).map(|offset| (batch.partition, offset));
        self.writers[index].change().handled.extend(offsets);
        if !self.scenario().slow_commits {
            self.commit_offsets(index, batch.partition);
        }
    }

    /// Contiguous offsets only.
    pub(super) fn commit_offsets(&mut self, index: usize, partition: usize) {
        let handled = &mut self.writers[index].change().handled;
        let committed = &mut self.input.change().committed[partition];
        while handled.remove(&(partition, *committed)) {
            *committed += 1;
        }
    }

    fn rewind(&mut self, index: usize, dropped: &[BatchTag]) {
        let committed = self.input.committed.clone();
        for tag in dropped {
            self.let_go(index, *tag);
        }
        // Offsets on their way to Kafka arrive there all the same.
        let writer = self.writers[index].change();
        writer.position = committed;
        writer.bound_first = None;
    }

    pub(super) fn writer_reads(&mut self, index: usize) {
        while let Some(event) = self.writers[index].change().inbox.pop_front() {
            self.tell_writer(index, WriterEvent::Control((*event).clone()));
        }
    }

    pub(super) fn publish_heartbeat(&mut self, index: usize) {
        if let Some(heartbeat) = self.writers[index].change().heartbeat.take() {
            self.append(GenerationEvent::Heartbeat(heartbeat));
        }
    }

    pub(super) fn publish_seal(&mut self, index: usize) {
        if let Some(sealed) = self.writers[index].change().seals.pop_front() {
            let is_final = sealed.is_final;
            self.append(GenerationEvent::Sealed(sealed));
            if is_final {
                self.tell_writer(index, WriterEvent::FinalSealAcknowledged);
            }
        }
    }

    pub(super) fn tick(&mut self, index: usize) {
        self.tell_writer(index, WriterEvent::Tick);
    }
}

fn span(batch: &Batch) -> OffsetInterval {
    OffsetInterval {
        partition: partition_number(batch.partition),
        from: offset(batch.from),
        to: offset(batch.to),
    }
}
