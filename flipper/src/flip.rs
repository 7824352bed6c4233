//! The flip loop: events to the pure state machine, its effects to Kafka and Redis.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use generations::protocol::{DrainReport, Flipper, FlipperEffect, FlipperEvent, Trigger};
use generations::{Cluster, ClusterName};
use hint_schema::generation_event::{Generation, GenerationEvent, Opened};
use messagebus::clock::{BootInstant, now_ms};
use messagebus::metrics::{BusMetrics, ConsumerError};
use messagebus::{Candidate, KafkaArgs, LogEvent, LogRecord, Producer};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::batch::BatchLimits;
use crate::control::LogWrite;
use crate::drain::GenerationDrain;
use crate::metrics::Metrics;
use crate::publish::Publisher;
use crate::snapshot;
use crate::status::Status;

const TICK: Duration = Duration::from_millis(250);

/// What the loop works with.
#[derive(Debug)]
pub(crate) struct Parts {
    /// Kafka, for offsets.
    pub kafka: KafkaArgs,
    /// A and B.
    pub clusters: [Cluster; 2],
    /// For batches.
    pub producer: Producer,
    /// Bounds of a batch.
    pub limits: BatchLimits,
    /// The flipper's own metrics.
    pub metrics: Metrics,
    /// The bus's metrics.
    pub bus: BusMetrics,
    /// To hand the election over.
    pub candidate: Candidate,
}

/// What the loop listens to and speaks to.
#[derive(Debug)]
pub(crate) struct Queues {
    /// The log of generations.
    pub log: mpsc::Receiver<LogEvent>,
    /// Whether this process is elected.
    pub elected: watch::Receiver<bool>,
    /// Events of everything that works beside the loop.
    pub events: mpsc::Receiver<FlipperEvent>,
    /// The same queue's other end.
    pub tell: mpsc::Sender<FlipperEvent>,
    /// Records for the log.
    pub writes: mpsc::Sender<LogWrite>,
    /// What `GET /generations` shows.
    pub status: watch::Sender<Status>,
}

/// Drives one incarnation of the flipper.
#[derive(Debug)]
pub(crate) struct FlipLoop {
    machine: Flipper,
    parts: Parts,
    queues: Queues,
    /// Of `batches`; none are written before they are known.
    partitions: i32,
    /// What drains found, until the verdict: a drain that is taken up again goes on counting.
    found: BTreeMap<Generation, Arc<Mutex<DrainReport>>>,
    drains: BTreeMap<Generation, CancellationToken>,
    /// The generation that is closed since this process opened the next one, until its drain begins.
    closing: Option<(Generation, Instant)>,
    /// Drains and look-ups under way; the first to fail ends the loop.
    work: JoinSet<anyhow::Result<()>>,
}

impl FlipLoop {
    /// A loop around a machine that has read nothing yet.
    #[must_use]
    pub(crate) fn new(machine: Flipper, parts: Parts, queues: Queues) -> Self {
        let (found, drains) = (BTreeMap::new(), BTreeMap::new());
        Self {
            machine,
            parts,
            queues,
            partitions: 0,
            found,
            drains,
            closing: None,
            work: JoinSet::new(),
        }
    }

    /// Waits for Kafka, runs until `shutdown`, then lets the drain finish the batches that are in flight.
    ///
    /// # Errors
    /// The topic of batches does not exist, the log or a batch cannot be written, or the clusters hold keys that the log knows nothing of.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let batches = self.parts.kafka.topics().batches();
        let asked = self.parts.producer.partition_count(&batches);
        match shutdown.run_until_cancelled(asked).await {
            Some(partitions) => self.partitions = partitions?,
            None => return Ok(()),
        }
        let mut ticks = tokio::time::interval(TICK);
        loop {
            let event = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(ended) = self.work.join_next() => {
                    ended.context("a drain panicked")??;
                    continue;
                }
                Ok(()) = self.queues.elected.changed() => {
                    FlipperEvent::Elected(*self.queues.elected.borrow_and_update())
                }
                Some(event) = self.queues.log.recv() => match self.read(event) {
                    Some(event) => event,
                    None => continue,
                },
                Some(event) = self.queues.events.recv() => event,
                _ = ticks.tick() => FlipperEvent::Tick,
            };
            self.step(event).await?;
        }
        self.queues.events.close();
        self.drains.values().for_each(CancellationToken::cancel);
        while let Some(ended) = self.work.join_next().await {
            ended.context("a drain panicked")??;
        }
        Ok(())
    }

    /// A record of the log as an event. One that cannot be decoded is no record of ours: it is counted and
    /// passed over, as every reader of the log passes it over.
    fn read(&self, event: LogEvent) -> Option<FlipperEvent> {
        let LogRecord {
            key, value, offset, ..
        } = match event {
            LogEvent::CaughtUp => return Some(FlipperEvent::CaughtUp),
            LogEvent::Record(record) => record,
        };
        let Some(value) = value else {
            return Some(FlipperEvent::Tombstone(
                String::from_utf8_lossy(&key).into_owned(),
            ));
        };
        match GenerationEvent::decode(&value) {
            Ok(event) => Some(FlipperEvent::Control(event)),
            Err(error) => {
                let topics = self.parts.kafka.topics();
                let group = self
                    .parts
                    .bus
                    .group(&topics.group("flipper"), &topics.generations());
                group.errors(ConsumerError::Decode).inc();
                tracing::error!(
                    offset,
                    error = &error as &dyn std::error::Error,
                    "a log record cannot be read"
                );
                None
            }
        }
    }

    async fn step(&mut self, event: FlipperEvent) -> anyhow::Result<()> {
        self.observe(&event);
        for effect in self.machine.step(BootInstant::now(), event) {
            self.perform(effect).await?;
        }
        self.export();
        Ok(())
    }

    async fn perform(&mut self, effect: FlipperEffect) -> anyhow::Result<()> {
        match effect {
            FlipperEffect::RefuseToStart { keys } => anyhow::bail!(
                "the log {} is empty but the Redis clusters hold {keys} keys: either this is the wrong TOPIC_PREFIX \
                 or cluster, or the log was lost; then empty both clusters by hand and let the input be read again",
                self.parts.kafka.topics().generations()
            ),
            FlipperEffect::Snapshot(generation) => self.snapshot(generation),
            FlipperEffect::Publish(event) => self.write(LogWrite::Publish(event)).await?,
            FlipperEffect::Tombstone(keys) => {
                for key in keys {
                    self.write(LogWrite::Tombstone(key)).await?;
                }
            }
            FlipperEffect::Drain(generation) => self.drain(generation),
            FlipperEffect::StopDrain(generation) => {
                if let Some(stop) = self.drains.remove(&generation) {
                    stop.cancel();
                }
            }
            FlipperEffect::ReadEndOffsets(generation) => {
                let (kafka, tell) = (self.parts.kafka.clone(), self.queues.tell.clone());
                self.work.spawn(snapshot::end_offsets(kafka, generation, tell));
            }
            FlipperEffect::Resign => {
                tracing::warn!("a cluster is out of reach, handing the election over");
                self.parts.candidate.resign();
            }
        }
        Ok(())
    }

    async fn write(&self, write: LogWrite) -> anyhow::Result<()> {
        self.queues
            .writes
            .send(write)
            .await
            .context("the log writer has ended")
    }

    fn cluster(&self, generation: Generation) -> &Cluster {
        let [a, b] = &self.parts.clusters;
        match ClusterName::of(generation) {
            ClusterName::A => a,
            ClusterName::B => b,
        }
    }

    fn snapshot(&mut self, generation: Generation) {
        let cluster = self.cluster(generation).clone();
        let (kafka, tell) = (self.parts.kafka.clone(), self.queues.tell.clone());
        self.work
            .spawn(snapshot::opening(kafka, cluster, generation, tell));
    }

    fn drain(&mut self, generation: Generation) {
        if let Some((_, opened)) = self.closing.take_if(|(closing, _)| *closing == generation) {
            let took = opened.elapsed().as_secs_f64();
            self.parts.bus.step("flip").observe(took);
        }
        let opened = self
            .machine
            .history()
            .generation(generation)
            .and_then(|entry| entry.opened.as_ref());
        let opened_at_ms = opened.map_or_else(now_ms, |opened| opened.opened_at_ms);
        let cluster = self.cluster(generation).clone();
        let publisher = Publisher {
            generation,
            topic: self.parts.kafka.topics().batches(),
            producer: self.parts.producer.clone(),
            drain: generations::Drain::new(cluster.clone()),
            metrics: self.parts.metrics.clone(),
            bus: self.parts.bus.clone(),
        };
        let drain = GenerationDrain {
            cluster,
            publisher,
            limits: self.parts.limits,
            partitions: self.partitions,
            opened_at_ms,
            found: Arc::clone(self.found.entry(generation).or_default()),
        };
        let stop = CancellationToken::new();
        if let Some(former) = self.drains.insert(generation, stop.clone()) {
            former.cancel();
        }
        let tell = self.queues.tell.clone();
        self.work.spawn(async move {
            if let Some(report) = drain.run(&stop).await? {
                drop(tell.send(FlipperEvent::Drained { generation, report }).await);
            }
            Ok(())
        });
    }

    /// Counts and logs what happens, before the machine sees it.
    fn observe(&mut self, event: &FlipperEvent) {
        let metrics = &self.parts.metrics;
        match event {
            FlipperEvent::Seen { cluster, view } => metrics.remaining.set([cluster.label()], view.keys),
            FlipperEvent::Control(GenerationEvent::Opened(opened)) => self.observe_opened(opened),
            FlipperEvent::Control(event @ (GenerationEvent::Settled(_) | GenerationEvent::Failed(_))) => {
                self.observe_verdict(event);
            }
            FlipperEvent::Control(GenerationEvent::Replayed(replayed)) if self.machine.is_elected() => {
                metrics.recovered.with([]).inc();
                tracing::info!(generation = replayed.generation, "replayed");
            }
            _ => {}
        }
    }

    fn observe_opened(&mut self, opened: &Opened) {
        let generation = opened.generation;
        if self
            .machine
            .history()
            .active()
            .is_some_and(|active| generation <= active)
        {
            return;
        }
        let metrics = &self.parts.metrics;
        // Not the time of reading: a flipper that starts again and again would hide that nothing is opened.
        metrics.last_flip.set([], opened.opened_at_ms / 1_000);
        for cluster in ClusterName::ALL {
            metrics.active_cluster.set(
                [cluster.label()],
                u64::from(cluster == ClusterName::of(generation)),
            );
        }
        if let Some((opening, trigger)) = self.machine.opening()
            && opening == generation
        {
            metrics.flips.with([label(trigger)]).inc();
            self.closing = generation.checked_sub(1).map(|closed| (closed, Instant::now()));
            tracing::info!(generation, trigger = label(trigger), "opened");
        }
    }

    /// Only the first verdict counts, and only the process that works counts it.
    fn observe_verdict(&mut self, event: &GenerationEvent) {
        let Some(generation) = event.generation() else {
            return;
        };
        self.found.remove(&generation);
        if !self.machine.is_elected() || self.machine.history().verdict(generation).is_some() {
            return;
        }
        let verdicts = &self.parts.metrics.verdicts;
        match event {
            GenerationEvent::Settled(settled) => {
                verdicts
                    .with([if settled.audited { "settled" } else { "unaudited" }])
                    .inc();
                tracing::info!(
                    generation,
                    keys = settled.keys,
                    batches = settled.batches,
                    late_keys = settled.late_keys,
                    audited = settled.audited,
                    "settled"
                );
            }
            GenerationEvent::Failed(failed) => {
                verdicts.with(["failed"]).inc();
                tracing::error!(
                    generation, reason = ?failed.reason, range = ?failed.range,
                    "failed: part of it may be lost, its input has to be read again"
                );
            }
            _ => {}
        }
    }

    fn export(&self) {
        let metrics = &self.parts.metrics;
        let history = self.machine.history();
        metrics.leader.set([], u64::from(self.machine.is_elected()));
        metrics.draining.set([], u64::from(!self.drains.is_empty()));
        metrics
            .replays_open
            .set([], history.open_replays().count() as u64);
        self.queues.status.send_replace(Status::of(&self.machine));
    }
}

fn label(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Bootstrap => "bootstrap",
        Trigger::Interval => "interval",
        Trigger::Size => "size",
        Trigger::Memory => "memory",
        Trigger::Unreachable => "unreachable",
        Trigger::Asked => "asked",
    }
}

#[cfg(test)]
#[path = "flip_tests.rs"]
mod tests;
