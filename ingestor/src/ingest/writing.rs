//! From a batch's records to SETs on their way to Redis.

use std::sync::Arc;
use std::time::Instant;

use generations::protocol::{BatchTag, WriterEvent};
use hint_schema::generation_event::Generation;
use messagebus::metrics::Stage;
use messagebus::{BootInstant, Consumer, RecordBatch, now_ms};

use super::{IngestLoop, OpenBatch};
use crate::metrics::Tally;
use crate::rejected::{Rejected, RejectedBatch};
use crate::resend::Again;
use crate::stop::StopCause;
use crate::stops::Stops;
use crate::zones::Zones;

/// Whether a record was rejected, with its partition, in the order of the records.
type Verdicts = Vec<(i32, bool)>;

impl IngestLoop {
    /// Judges a bound batch and hands its SETs over.
    pub(super) fn write(&mut self, tag: BatchTag, generation: Generation) -> anyhow::Result<()> {
        let zones = self.queues.zones.borrow().clone().unwrap_or_default();
        let Some(batch) = self.open.get_mut(&tag) else {
            return Ok(()); // Dropped between the writer's decision and now.
        };
        let Some(records) = batch.take_records() else {
            return Ok(());
        };
        batch.generation = generation;
        batch.work.generation(generation);
        let (spans, is_live) = (batch.spans().to_vec(), batch.replay.is_none());
        let (tally, mut rejected) = self.judge(&spans, &records, &zones, generation, is_live);
        if !is_live {
            self.parts.metrics.reread.inc_by(records.len() as u64);
            rejected.clear(); // They stand in the topic since they were read first.
        }
        drop(records);

        let started = Instant::now();
        let known = self.names.recognise(&self.filter);
        self.steps.recent.observe(started.elapsed().as_secs_f64());
        self.parts.metrics.records(&tally);
        self.parts.metrics.urls.repeated_in_process.inc_by(known);
        let sets = tally.accepted - known;
        if let Some(batch) = self.open.get_mut(&tag) {
            batch.unanswered = sets;
            batch.staged = Some(started);
        }
        self.show_in_flight();
        let acks = rejected.len() as u64;
        if acks > 0 {
            let records = rejected;
            // There is room: no batch is polled while there is none.
            self.queues
                .rejects
                .try_send(RejectedBatch { batch: tag, records })?;
        }
        self.handle(WriterEvent::Judged {
            batch: tag,
            sets,
            acks,
        })?;
        self.stage(tag, generation)
    }

    fn judge(
        &mut self,
        spans: &[messagebus::Span],
        records: &RecordBatch,
        zones: &Arc<Zones>,
        generation: Generation,
        is_live: bool,
    ) -> (Tally, Vec<Rejected>) {
        let opened_at_ms = self.opened_at.get(&generation).copied().unwrap_or_else(now_ms);
        let (mut tally, mut rejected) = (Tally::default(), Vec::new());
        let mut verdicts = Verdicts::with_capacity(records.len());
        let age = self.parts.bus.hint_age(Stage::Ingested, "").local();
        let now = now_ms();
        let names = &mut self.names;
        names.clear();
        self.parts
            .pipeline
            .judge(OpenBatch::begun(spans, records), zones, |judged| {
                let is_rejected = match judged.verdict {
                    Ok(hint) => {
                        tally.accepted += 1;
                        #[expect(clippy::cast_precision_loss, reason = "ages are small")]
                        age.observe(now.saturating_sub(hint.miss.timestamp_ms) as f64 / 1_000.0);
                        names.push(&hint, generation, opened_at_ms);
                        false
                    }
                    Err(reason) => {
                        tally.stopped_by(reason);
                        let is_rejected = reason.outcome() == crate::reason::Outcome::Rejected;
                        if is_rejected {
                            rejected.push(Rejected::new(&judged.record, reason));
                        }
                        is_rejected
                    }
                };
                verdicts.push((judged.record.partition, is_rejected));
            });
        age.flush();
        for (step, took) in self.parts.pipeline.take_times() {
            self.parts.bus.step(step).observe(took.as_secs_f64());
        }
        if is_live {
            stop_bad_partitions(&self.parts.stops, &self.parts.consumer, &verdicts);
        }
        (tally, rejected)
    }

    /// Hands over every name that the filter does not know; what there is no room for is sent later.
    fn stage(&mut self, tag: BatchTag, generation: Generation) -> anyhow::Result<()> {
        let Some(send_until) = self
            .machine
            .lease_until()
            .filter(|_| self.machine.is_in_flight(tag))
        else {
            return Ok(());
        };
        let (mut copies, mut unsent) = (0, Vec::new());
        let mut stage = self.parts.redis.stage(generation, tag, send_until);
        for (name, value) in self.names.unknown() {
            match stage.push(name, value, 0) {
                Ok(()) => copies += 1,
                Err(_) => unsent.push(Again {
                    batch: tag,
                    name: name.into(),
                    value,
                }),
            }
        }
        let _chunks = stage.finish();
        if !unsent.is_empty() {
            self.resend.keep_unsent(unsent, BootInstant::now());
        }
        self.handle(WriterEvent::Sent { batch: tag, copies })
    }

    /// Hands over SETs that were refused, cut off or not sent, each for the batch it belongs to.
    pub(super) fn write_again(&mut self, due: Vec<Again>) -> anyhow::Result<()> {
        let now = BootInstant::now();
        for sets in due.chunk_by(|left, right| left.batch == right.batch) {
            let Some(batch) = sets.first().map(|again| again.batch) else {
                continue;
            };
            let (Some(generation), Some(send_until)) = (self.machine.bound(), self.machine.lease_until())
            else {
                continue;
            };
            if !self.machine.is_in_flight(batch) {
                continue; // Dropped while the sets before these were handed over.
            }
            if !self.machine.may_send(now, batch) {
                // About to be dropped: the lease is over.
                self.resend.keep_unsent(sets.iter().cloned(), now);
                continue;
            }
            let mut stage = self.parts.redis.stage(generation, batch, send_until);
            let unsent: Vec<Again> = sets
                .iter()
                .filter(|again| stage.push(&again.name, again.value, 0).is_err())
                .cloned()
                .collect();
            let _chunks = stage.finish();
            let copies = (sets.len() - unsent.len()) as u64;
            if !unsent.is_empty() {
                self.resend.keep_unsent(unsent, now);
            }
            self.handle(WriterEvent::Sent { batch, copies })?;
        }
        Ok(())
    }
}

fn stop_bad_partitions(stops: &Stops, consumer: &Consumer, verdicts: &Verdicts) {
    let second = BootInstant::now().as_nanos() / 1_000_000_000;
    let mut judging = stops.judging(second);
    for run in verdicts.chunk_by(|left, right| left.0 == right.0) {
        let Some((partition, _)) = run.first() else {
            continue;
        };
        let rejected = run.iter().map(|(_, rejected)| *rejected);
        if let Some(cause) = judging.judged(*partition, rejected) {
            consumer.stop_partition(*partition);
            complain(*partition, cause);
        }
    }
}

fn complain(partition: i32, cause: StopCause) {
    tracing::error!(
        partition,
        ?cause,
        "partition stopped: its producer sends bad records; see the rejected topic, then POST /partitions/{partition}/resume"
    );
}
