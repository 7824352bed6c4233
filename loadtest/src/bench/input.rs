//! An input that an ingestor reads again and again, from the beginning and into empty clusters.

use std::time::Duration;

use anyhow::Context;
use messagebus::KafkaArgs;

use super::flow::{Flow, UNBOUNDED};
use super::ground::{Ground, PATIENCE, opt_in, rewind};
use super::mix::Mix;
use super::number::whole;
use super::opponents::Directory;
use super::pace::{Pace, watch};
use crate::drain::{active, only_flips_when_asked};
use crate::run::{Run, RunSettings};
use crate::service::{Kind, Memory};

/// Hosts of the inputs.
pub(super) const HOSTS: u32 = 500;
const INGESTOR: &str = "ingestor-0";

/// Records in Kafka, a flipper that has opened generation 0, and an ingestor that does not run yet.
pub(super) struct Input {
    pub(super) kafka: KafkaArgs,
    pub(super) directory: Directory,
    records: u64,
    run: Run,
}

impl Input {
    /// Produces `records` of them.
    ///
    /// # Errors
    /// Something cannot be started, or Kafka does not take a record.
    pub(super) async fn prepare(ground: &mut Ground, mix: Mix, records: u64) -> anyhow::Result<Self> {
        let kafka = ground.fresh().await?;
        let zones = opt_in(&kafka, mix.hosts).await?;
        let settings = RunSettings {
            dispatchers: 0,
            ..only_flips_when_asked()
        };
        let mut run = Run::start(&kafka, &ground.stack.clusters, settings).await?;
        active(&mut run, &ground.stack.clusters).await?;
        run.service(INGESTOR)?.terminate().await?;
        let produced = Flow::start(&kafka, mix, records, UNBOUNDED)?.complete().await?;
        anyhow::ensure!(
            produced == records,
            "{produced} of {records} records were produced"
        );
        Ok(Self {
            kafka,
            directory: Directory::new(&zones),
            records,
            run,
        })
    }

    /// Lets an ingestor read all of it; tells its pace, and its memory at the end.
    ///
    /// # Errors
    /// It does not read everything.
    pub(super) async fn ingest(&mut self, ground: &Ground) -> anyhow::Result<(Pace, Memory)> {
        ground.empty().await?;
        let topics = self.kafka.topics();
        rewind(&self.kafka, &topics.group("ingestor"), &topics.cache_misses()).await?;
        self.run.service(INGESTOR)?.restart()?;
        let (meter, run) = (ground.meter(&self.run), &self.run);
        let count = async || whole(run.metric(Kind::Ingestor, "ingestor_records_total", &[]).await);
        let pace = watch("the ingestor", self.records, &meter, PATIENCE, None, count).await?;
        let memory = run
            .of(Kind::Ingestor)
            .next()
            .context("no ingestor runs")?
            .memory()?;
        self.run.service(INGESTOR)?.terminate().await?;
        Ok((pace, memory))
    }

    /// Bytes of a record on the broker's disk.
    ///
    /// # Errors
    /// The broker's directory cannot be read.
    pub(super) fn bytes_a_record(&self, ground: &Ground) -> anyhow::Result<f64> {
        let bytes = ground
            .stack
            .broker()
            .bytes_of(&self.kafka.topics().cache_misses())?;
        Ok(super::number::float(bytes) / super::number::float(self.records))
    }

    /// Watches an opponent in this process that counts what it has done, for at most `at_most`.
    ///
    /// # Errors
    /// It ends, or counts nothing.
    pub(super) async fn oppose(
        &self,
        ground: &Ground,
        what: &str,
        at_most: Option<Duration>,
        opponent: impl AsyncFn(&std::sync::atomic::AtomicU64) -> anyhow::Result<()>,
    ) -> anyhow::Result<Pace> {
        ground.empty().await?;
        let counted = std::sync::atomic::AtomicU64::new(0);
        let count = async || counted.load(std::sync::atomic::Ordering::Relaxed);
        let meter = super::cpu::Meter::default();
        tokio::select! {
            pace = watch(what, self.records, &meter, PATIENCE, at_most, count) => pace,
            ended = opponent(&counted) => {
                ended.with_context(|| format!("running {what}"))?;
                anyhow::bail!("{what} ended before its input did")
            }
        }
    }

    /// Ends its services.
    ///
    /// # Errors
    /// One does not end well.
    pub(super) async fn end(mut self) -> anyhow::Result<()> {
        self.run.stop().await
    }
}
