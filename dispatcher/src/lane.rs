//! One partner's lane: its own consumer group over `batches`, so that a slow or dead partner lags alone.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use hint_schema::HintBatch;
use messagebus::metrics::{ConsumerError, GroupMetrics};
use messagebus::{Consumer, RecordBatch, Span, now_ms};
use prometheus::Histogram;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::delivery::{Delivery, Ended};
use crate::gate::Gate;
use crate::seen::SeenIds;

/// Batches being delivered at once: enough that a slow host of one does not leave the partner idle.
const BATCHES: usize = 4;
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Reasons to pause the input.
const NO_ZONES: &str = "zones";
const HELD_BACK: &str = "partner";

/// A lane.
pub(crate) struct Lane {
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) consumer: Consumer,
    pub(crate) batches: mpsc::Receiver<RecordBatch>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) log_metrics: GroupMetrics,
    pub(crate) decode: Histogram,
    /// True once the zones were read to their end.
    pub(crate) complete: watch::Receiver<bool>,
}

impl Lane {
    /// Delivers until `shutdown`; then requests under way may end, and everything that waits is left to the next
    /// process.
    ///
    /// # Errors
    /// Kafka's client has died, or Kafka will not take what has to be written down.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        self.consumer.pause(NO_ZONES);
        let (mut work, mut seen) = (JoinSet::new(), SeenIds::default());
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            let is_held_back = self.look();
            let may_begin = work.len() < BATCHES && !is_held_back && *self.complete.borrow();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(ended) = work.join_next() => self.settle(ended.context("a delivery panicked")??),
                _ = looks.tick() => {}
                batch = self.batches.recv(), if may_begin => {
                    let batch = batch.context("the consumer of batches has died")?;
                    if let Some((span, hints)) = self.take(&batch, &mut seen) {
                        let (delivery, consumer) = (Arc::clone(&self.delivery), self.consumer.clone());
                        work.spawn(async move {
                            let ended = delivery.deliver(hints, || consumer.is_current(&span)).await?;
                            Ok::<_, anyhow::Error>((span, ended))
                        });
                    }
                }
            }
        }
        while let Some(ended) = work.join_next().await {
            self.settle(ended.context("a delivery panicked")??);
        }
        self.consumer.close().await;
        Ok(())
    }

    /// Shows how the partner stands, and holds input back while nothing could be sent: a batch that is not begun
    /// holds no rebalance up.
    fn look(&self) -> bool {
        let standing = self.gate.standing();
        let in_flight = self.gate.in_flight.load(Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "a timestamp in seconds")]
        let now = now_ms() as f64 / 1_000.0;
        self.delivery.metrics.standing(standing, in_flight, now);
        let is_held_back = standing.paused || standing.circuit_open || !standing.throttled_for.is_zero();
        if is_held_back {
            self.consumer.pause(HELD_BACK);
        } else {
            self.consumer.resume(HELD_BACK);
        }
        if *self.complete.borrow() {
            self.consumer.resume(NO_ZONES);
        }
        is_held_back
    }

    /// Begins a batch; nothing when it is not this process's any more, cannot be read or is a repeat.
    fn take(&self, records: &RecordBatch, seen: &mut SeenIds) -> Option<(Span, HintBatch)> {
        let (span, record) = (records.spans().first()?, records.records().next()?);
        if !self.consumer.begin(span) {
            return None;
        }
        let started = Instant::now();
        let decoded = HintBatch::decode(record.payload);
        self.decode.observe(started.elapsed().as_secs_f64());
        match decoded {
            Ok(batch) if seen.is_repeat(span, batch.id) => {
                tracing::info!(batch = %batch.id, offset = record.offset, "a batch that was sent again is dropped");
                self.consumer.complete(span);
                None
            }
            Ok(batch) => Some((*span, batch)),
            Err(error) => {
                self.log_metrics.errors(ConsumerError::Decode).inc();
                tracing::error!(
                    partition = record.partition,
                    offset = record.offset,
                    error = &error as &dyn std::error::Error,
                    "a batch cannot be read and is passed over: no flipper of this project wrote it"
                );
                self.consumer.complete(span);
                None
            }
        }
    }

    fn settle(&self, (span, ended): (Span, Ended)) {
        match ended {
            Ended::Whole => self.consumer.complete(&span),
            Ended::Abandoned => self.consumer.forget(&span),
        }
    }
}
