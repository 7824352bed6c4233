//! The flipper's drain against reading and removing the same names and nothing else.

use super::cpu::{Usage, between};
use super::ground::{Ground, PATIENCE, REDIS};
use super::ingest::write_keys;
use super::input::HOSTS;
use super::metric::{
    BARE_DRAIN_RATE, BATCH_BYTES, DRAIN_CPU, DRAIN_RATE, REDIS_DRAIN_CPU, VERSUS_BARE_DRAIN,
};
use super::mix::Mix;
use super::number::float;
use super::opponents::bare_drain;
use crate::drain::{Drained, active, drain_now, flipper_alone};

/// One drain of a flipper that was started for it.
pub(super) struct Trial {
    pub(super) drained: Drained,
    cpu: Usage,
    batch_bytes: u64,
}

impl Trial {
    fn rate(&self) -> f64 {
        float(self.drained.keys) / self.drained.seconds
    }

    fn micros(&self, part: &str) -> f64 {
        1e6 * self.cpu.get(part).copied().unwrap_or_default() / float(self.drained.keys)
    }
}

/// Measures the rows of the drain.
///
/// # Errors
/// Something does not start, or a drain does not end.
pub(super) async fn measure(ground: &mut Ground) -> anyhow::Result<()> {
    ground.look()?;
    let (mut trials, mut bare) = (Vec::new(), Vec::new());
    let keys = ground.plan.keys;
    for _ in 0..ground.plan.rounds {
        ground.empty().await?;
        write_keys(ground.first_cluster(), Mix::unique(HOSTS), 0, keys).await?;
        bare.push(bare_drain::run(ground.first_cluster()).await?);
        trials.push(drain(ground, keys).await?);
        let (own, bare) = (trials.last().map_or(0.0, Trial::rate), bare.last().copied());
        let bare = bare.unwrap_or_default();
        ground
            .progress
            .step(&format!("drain: bare {bare:.0} keys/s, flipper {own:.0} keys/s"));
    }
    let disturbance = ground.disturbance()?;
    let all = |of: fn(&Trial) -> f64| trials.iter().map(of).collect::<Vec<_>>();
    let ratios = trials.iter().zip(&bare).map(|(trial, bare)| trial.rate() / bare);
    let rows = [
        (&VERSUS_BARE_DRAIN, ratios.collect()),
        (&DRAIN_RATE, all(Trial::rate)),
        (&BARE_DRAIN_RATE, bare),
        (&DRAIN_CPU, all(|trial| trial.micros("flipper"))),
        (&REDIS_DRAIN_CPU, all(|trial| trial.micros(REDIS))),
        (
            &BATCH_BYTES,
            all(|trial| float(trial.batch_bytes) / float(trial.drained.keys)),
        ),
    ];
    for (metric, samples) in rows {
        ground.report.add(metric, samples, disturbance);
    }
    Ok(())
}

/// Fills a generation with so many keys, and lets a new flipper drain it.
///
/// # Errors
/// Something does not start, or the drain does not end.
pub(super) async fn drain(ground: &mut Ground, keys: u64) -> anyhow::Result<Trial> {
    let kafka = ground.fresh().await?;
    let mut run = flipper_alone(&kafka, &ground.stack.clusters).await?;
    let (generation, cluster) = active(&mut run, &ground.stack.clusters).await?;
    write_keys(cluster, Mix::unique(HOSTS), generation, keys).await?;
    let meter = ground.meter(&run);
    let before = meter.read()?;
    let drained = drain_now(&mut run, keys, PATIENCE).await?;
    let cpu = between(&before, &meter.read()?);
    run.stop().await?;
    Ok(Trial {
        drained,
        cpu,
        batch_bytes: ground.stack.broker().bytes_of(&kafka.topics().batches())?,
    })
}
