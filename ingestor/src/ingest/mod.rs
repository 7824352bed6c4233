//! The ingest loop: what happens to the pure writer, its effects to Kafka and Redis.
//!
//! One task owns everything that a batch touches, so nothing here needs a lock. Batches are judged and staged
//! here as well: a batch takes a few milliseconds, and other events wait no longer than that.

mod answers;
mod open_batch;
mod rereading;
#[cfg(test)]
mod tests;
mod writing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use generations::protocol::{BatchTag, Replays, Writer, WriterEffect, WriterEvent};
use generations::{Block, ChunkAnswer, ClusterName, RedisWriter};
use hint_schema::generation_event::{Generation, GenerationEvent};
use messagebus::metrics::{BusMetrics, ConsumerError, GroupMetrics};
use messagebus::{BootInstant, Consumer, KafkaArgs, LogEvent, RecordBatch};
use prometheus::Histogram;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::control::LogWrite;
use crate::metrics::Metrics;
use crate::names::Names;
use crate::pipeline::Pipeline;
use crate::reason::Reason;
use crate::recent::RecentFilter;
use crate::rejected::{Acknowledged, RejectedBatch};
use crate::resend::Resend;
use crate::stops::Stops;
use crate::zones::Zones;
use open_batch::OpenBatch;
use rereading::Rereading;

const TICK: Duration = Duration::from_millis(50);
/// A look at which partitions are held and stopped.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Input that a full master refused flows again below this share of its maxmemory.
const ROOMY: f64 = 0.75;

/// Progress is not expected for so long after a look that found SETs waiting for Redis: longer than the next attempt
/// takes to be answered or given up.
const EXCUSE: Duration = Duration::from_secs(15);

/// Reasons to pause the input.
const NO_LEASE: &str = "lease";
const NO_ZONES: &str = "zones";

/// What the loop works with.
pub(crate) struct Parts {
    /// For ranges that are read again.
    pub(crate) kafka: KafkaArgs,
    pub(crate) consumer: Consumer,
    pub(crate) redis: RedisWriter,
    pub(crate) pipeline: Pipeline,
    pub(crate) stops: Stops,
    pub(crate) metrics: Metrics,
    pub(crate) bus: BusMetrics,
    /// Of the log of generations.
    pub(crate) log_metrics: GroupMetrics,
}

/// What the loop listens to and speaks to.
pub(crate) struct Queues {
    pub(crate) batches: mpsc::Receiver<RecordBatch>,
    pub(crate) answers: mpsc::Receiver<ChunkAnswer>,
    /// The log of generations.
    pub(crate) log: mpsc::Receiver<LogEvent>,
    pub(crate) log_writes: mpsc::Sender<LogWrite>,
    /// The final seal stands in the log.
    pub(crate) sealed: mpsc::Receiver<()>,
    pub(crate) rejects: mpsc::Sender<RejectedBatch>,
    pub(crate) acknowledged: mpsc::Receiver<Acknowledged>,
    /// Nothing until the topic was read to its end.
    pub(crate) zones: watch::Receiver<Option<Arc<Zones>>>,
    /// Memory in use at the fullest master of A and of B, as a share of maxmemory.
    pub(crate) memory: [watch::Receiver<f64>; 2],
}

/// Drives one incarnation of the writer.
pub(crate) struct IngestLoop {
    machine: Writer,
    parts: Parts,
    queues: Queues,
    open: BTreeMap<BatchTag, OpenBatch>,
    next_tag: BatchTag,
    filter: RecentFilter,
    names: Names,
    resend: Resend,
    /// Unix milliseconds at which each generation was opened, by its first `Opened`.
    opened_at: BTreeMap<Generation, u64>,
    has_lease: bool,
    replays: Replays,
    rereading: Option<Rereading>,
    /// The log was read to the end that it had at the start.
    caught_up: bool,
    looked: Instant,
    steps: StepTimes,
    is_finished: bool,
}

/// Histograms that are observed once a batch.
struct StepTimes {
    recent: Histogram,
    write: Histogram,
}

/// Why the loop goes round.
enum Turn {
    Shutdown,
    Log(Option<LogEvent>),
    Sealed,
    Acknowledged(Acknowledged),
    Tick,
    Answer(ChunkAnswer),
    Batch(Option<RecordBatch>),
    /// A batch of a range that is read again, nothing at its end.
    Again(Option<RecordBatch>),
}

impl IngestLoop {
    /// A loop around a writer that has read nothing yet.
    pub(crate) fn new(machine: Writer, parts: Parts, queues: Queues) -> Self {
        let steps = StepTimes {
            recent: parts.bus.step("recent"),
            write: parts.bus.step("write"),
        };
        Self {
            machine,
            parts,
            queues,
            open: BTreeMap::new(),
            next_tag: 0,
            filter: RecentFilter::new(),
            names: Names::default(),
            resend: Resend::default(),
            opened_at: BTreeMap::new(),
            has_lease: false,
            replays: Replays::default(),
            rereading: None,
            caught_up: false,
            looked: Instant::now(),
            steps,
            is_finished: false,
        }
    }

    /// Runs until `shutdown`, then finishes what is in flight, seals its generation for good and leaves the
    /// group.
    ///
    /// # Errors
    /// Kafka's client has died, or a task that the loop speaks to has.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        self.parts.consumer.pause(NO_LEASE);
        self.parts.consumer.pause(NO_ZONES);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut is_leaving = false;
        while !self.is_finished {
            let may_poll = !is_leaving && self.may_poll();
            let turn = tokio::select! {
                biased;
                () = shutdown.cancelled(), if !is_leaving => Turn::Shutdown,
                event = self.queues.log.recv() => Turn::Log(event),
                Some(()) = self.queues.sealed.recv() => Turn::Sealed,
                Some(acknowledged) = self.queues.acknowledged.recv() => Turn::Acknowledged(acknowledged),
                _ = ticks.tick() => Turn::Tick,
                Some(answer) = self.queues.answers.recv() => Turn::Answer(answer),
                batch = self.queues.batches.recv(), if may_poll => Turn::Batch(batch),
                batch = rereading::next(&mut self.rereading), if may_poll => Turn::Again(batch),
            };
            match turn {
                Turn::Shutdown => {
                    is_leaving = true;
                    self.rereading = None;
                    self.handle(WriterEvent::Shutdown)?;
                }
                Turn::Log(event) => {
                    self.read(event.context("the reader of the generations topic has died")?)?;
                }
                Turn::Sealed => self.handle(WriterEvent::FinalSealAcknowledged)?,
                Turn::Acknowledged(Acknowledged { batch, records }) => {
                    self.handle(WriterEvent::Acknowledged { batch, acks: records })?;
                }
                Turn::Tick => self.tick()?,
                Turn::Answer(answer) => self.answered(&answer)?,
                Turn::Batch(batch) => self.polled(batch.context("the consumer of cache misses has died")?)?,
                Turn::Again(batch) => self.reread(batch)?,
            }
        }
        self.parts.consumer.close().await;
        Ok(())
    }

    /// Whether the next batch could be written at once. Everything else waits in the consumer's buffer, whose
    /// size is bounded.
    fn may_poll(&self) -> bool {
        let has_room = |generation| self.parts.redis.has_room(generation);
        self.has_lease
            && !self.machine.is_holding()
            && self.machine.bound().is_some_and(has_room)
            && self.resend.is_empty()
            && self.queues.rejects.capacity() > 0
            && self.queues.zones.borrow().is_some()
    }

    fn read(&mut self, event: LogEvent) -> anyhow::Result<()> {
        let LogEvent::Record(record) = event else {
            self.caught_up = true;
            return Ok(());
        };
        let Some(value) = record.value else {
            self.replays.tombstone(&String::from_utf8_lossy(&record.key));
            return Ok(());
        };
        match GenerationEvent::decode(&value) {
            Ok(event) => {
                if let GenerationEvent::Opened(opened) = &event {
                    self.opened_at
                        .entry(opened.generation)
                        .or_insert(opened.opened_at_ms);
                }
                self.replays.read(&event);
                self.handle(WriterEvent::Control(event))
            }
            Err(error) => {
                self.parts.log_metrics.errors(ConsumerError::Decode).inc();
                tracing::error!(
                    offset = record.offset,
                    error = &error as &dyn std::error::Error,
                    "a log record cannot be read"
                );
                Ok(())
            }
        }
    }

    fn tick(&mut self) -> anyhow::Result<()> {
        self.handle(WriterEvent::Tick)?;
        if self.queues.zones.borrow().is_some() {
            self.parts.consumer.resume(NO_ZONES);
        }
        self.send_again()?;
        if self.looked.elapsed() >= LOOK_EVERY {
            self.looked = Instant::now();
            let partitions = self.parts.consumer.partitions();
            let held: Vec<i32> = partitions.iter().map(|status| status.partition).collect();
            self.parts.stops.retain(&held);
            let stopped = partitions.iter().filter(|status| status.stopped).count();
            self.parts.metrics.stopped(stopped);
            self.plan_rereading(&held)?;
        }
        Ok(())
    }

    /// Sends again what is due, unless a full master has still no room.
    fn send_again(&mut self) -> anyhow::Result<()> {
        if self.resend.is_empty() {
            return Ok(());
        }
        // Nothing is taken meanwhile, and reading goes on until the buffer is full: its memory is what says that more
        // ingestors are wanted. Whether Redis refuses or does not answer, a restart would mend nothing.
        self.parts.consumer.excuse(EXCUSE);
        let now = BootInstant::now();
        if self.resend.block() == Some(Block::OutOfMemory) && !self.is_roomy() {
            self.resend.postpone(now);
        }
        if self.resend.block().is_some() {
            self.handle(WriterEvent::Blocked)?;
        }
        let due = self.resend.take_due(now);
        self.write_again(due)
    }

    fn is_roomy(&self) -> bool {
        let share = |name: ClusterName| {
            let [a, b] = &self.queues.memory;
            match name {
                ClusterName::A => *a.borrow(),
                ClusterName::B => *b.borrow(),
            }
        };
        self.machine
            .bound()
            .is_none_or(|generation| share(ClusterName::of(generation)) < ROOMY)
    }

    /// Takes a batch, after which the writer binds it: binding first would lose hints (GENERATIONS, Writer 2).
    fn polled(&mut self, records: RecordBatch) -> anyhow::Result<()> {
        let tag = self.next_tag;
        self.next_tag += 1;
        let batch = OpenBatch::begin(records, &self.parts.consumer);
        for (reason, dropped) in batch.not_begun() {
            self.parts.metrics.dropped(reason, dropped);
        }
        if batch.spans().is_empty() {
            return Ok(());
        }
        let spans = batch.intervals();
        self.open.insert(tag, batch);
        self.handle(WriterEvent::Polled {
            batch: tag,
            spans,
            replay: None,
        })
    }

    /// Tells the writer, and does what it says.
    fn handle(&mut self, event: WriterEvent) -> anyhow::Result<()> {
        for effect in self.machine.step(BootInstant::now(), event) {
            self.perform(effect)?;
        }
        Ok(())
    }

    fn perform(&mut self, effect: WriterEffect) -> anyhow::Result<()> {
        match effect {
            WriterEffect::Heartbeat(heartbeat) => {
                // A full queue means that Kafka does not answer; this one would be late anyway.
                drop(self.queues.log_writes.try_send(LogWrite::Heartbeat(heartbeat)));
            }
            WriterEffect::Seal(sealed) => self
                .queues
                .log_writes
                .try_send(LogWrite::Seal(sealed))
                .context("the log of generations has taken no seal for many generations")?,
            WriterEffect::Bind { batch, generation } => self.write(batch, generation)?,
            WriterEffect::Commit { batch } => self.commit(batch),
            WriterEffect::Rewind { dropped } => self.rewind(&dropped),
            WriterEffect::Pause => {
                self.has_lease = false;
                self.parts.consumer.pause(NO_LEASE);
                tracing::warn!("no lease: input pauses until a heartbeat is read back");
            }
            WriterEffect::Resume => {
                self.has_lease = true;
                self.parts.consumer.resume(NO_LEASE);
            }
            WriterEffect::EmptyFilter => {
                self.filter.clear();
                self.forget_old_generations();
            }
            WriterEffect::Finished => self.is_finished = true,
        }
        if let Some(bound) = self.machine.bound() {
            self.parts.metrics.active(bound);
        }
        Ok(())
    }

    fn commit(&mut self, tag: BatchTag) {
        let Some(batch) = self.open.remove(&tag) else {
            return;
        };
        if let Some(staged) = batch.staged {
            self.steps.write.observe(staged.elapsed().as_secs_f64());
        }
        match batch.replay {
            Some(failed) => self.replays.done(failed, batch.generation, batch.intervals()),
            None => batch
                .spans()
                .iter()
                .for_each(|span| self.parts.consumer.complete(span)),
        }
    }

    /// The lease was gone: nothing of these batches counts (I1, I2), and Kafka delivers them again.
    fn rewind(&mut self, dropped: &[BatchTag]) {
        self.parts.metrics.lease_lost.inc();
        let (mut unjudged, mut unknown) = (0, 0);
        for mut batch in dropped.iter().filter_map(|tag| self.open.remove(tag)) {
            batch.work.fail("the lease was over: its records are read again");
            unknown += batch.unanswered;
            if batch.replay.is_none() {
                batch
                    .spans()
                    .iter()
                    .for_each(|span| self.parts.consumer.forget(span));
                unjudged += batch.unjudged();
            }
        }
        self.parts.metrics.dropped(Reason::Lease, unjudged);
        self.parts.metrics.urls.unknown.inc_by(unknown);
        self.show_in_flight();
        self.resend.forget(dropped);
        // What was dropped of it is missing again: the next plan begins there.
        self.rereading = None;
        self.parts.consumer.rewind();
        tracing::warn!(
            batches = dropped.len(),
            urls = unknown,
            records = unjudged,
            "what was polled and not committed is dropped and will be read again"
        );
    }

    fn show_in_flight(&self) {
        let unanswered = self.open.values().map(|batch| batch.unanswered).sum();
        self.parts.metrics.in_flight(unanswered);
    }

    fn forget_old_generations(&mut self) {
        if let Some(bound) = self.machine.bound() {
            self.opened_at = self.opened_at.split_off(&bound);
        }
    }
}
