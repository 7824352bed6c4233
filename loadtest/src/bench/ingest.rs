//! The ingestor against Redis' own benchmark, the ordinary stack and a naive consumer, and against itself on repeats.

use super::ground::{Ground, KAFKA, REDIS};
use super::input::{HOSTS, Input};
use super::metric::{
    INGEST_CPU, INGEST_RATE, KEY_BYTES, NAIVE_RATE, ORDINARY_RATE, RECORD_BYTES, REDIS_CPU, REDIS_RATE,
    REPEATS, REPEATS_RATE, VERSUS_NAIVE, VERSUS_ORDINARY, VERSUS_REDIS,
};
use super::mix::Mix;
use super::number::float;
use super::opponents::{naive, ordinary, redis_benchmark};

/// One round: everybody in turn.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    redis: f64,
    ingestor: f64,
    ordinary: f64,
    naive: f64,
    repeats: f64,
    micros: f64,
    redis_micros: f64,
}

/// Measures the rows of the ingestor.
///
/// # Errors
/// Something does not start, or does not get through its input.
pub(super) async fn measure(ground: &mut Ground) -> anyhow::Result<()> {
    let mix = Mix::unique(HOSTS);
    let mut unique = Input::prepare(ground, mix, ground.plan.records).await?;
    let repeats = Mix { repeats: 9, ..mix };
    let mut repeated = Input::prepare(ground, repeats, ground.plan.records).await?;
    ground.look()?;
    let mut rounds = Vec::new();
    for number in 0..ground.plan.rounds {
        let round = Box::pin(round(ground, &mut unique, &mut repeated, number)).await?;
        ground.progress.step(&format!(
            "ingest: redis-benchmark {:.0}/s, ingestor {:.0}/s, ordinary {:.0}/s, naive {:.0}/s, 90 % repeats {:.0}/s",
            round.redis, round.ingestor, round.ordinary, round.naive, round.repeats
        ));
        rounds.push(round);
    }
    report(ground, &rounds)?;
    let disturbance = ground.disturbance()?;
    let bytes = unique.bytes_a_record(ground)?;
    ground.report.add(&RECORD_BYTES, vec![bytes], disturbance);
    let bytes = bytes_a_key(ground, mix).await?;
    ground.report.add(&KEY_BYTES, vec![bytes], disturbance);
    unique.end().await?;
    repeated.end().await
}

async fn round(
    ground: &Ground,
    unique: &mut Input,
    repeated: &mut Input,
    number: usize,
) -> anyhow::Result<Round> {
    let cluster = ground.first_cluster();
    ground.empty().await?;
    let key_bytes = Mix::unique(HOSTS).page(0).name(0).len();
    let redis = redis_benchmark::run(cluster, ground.plan.records, key_bytes).await?;

    let (pace, _) = unique.ingest(ground).await?;

    let group = format!("ordinary-{number}");
    let ordinary = unique
        .oppose(ground, "the ordinary stack", None, async |count| {
            ordinary::run(&unique.kafka, cluster, &unique.directory, &group, count).await
        })
        .await?;

    let group = format!("naive-{number}");
    let naive = unique
        .oppose(
            ground,
            "the naive consumer",
            Some(ground.plan.naive_for),
            async |count| naive::run(&unique.kafka, cluster, &unique.directory, &group, count).await,
        )
        .await?;

    let (repeats, _) = repeated.ingest(ground).await?;
    tracing::debug!(
        broker = pace.micros(KAFKA),
        "CPU of the broker a record that is read"
    );
    Ok(Round {
        redis,
        ingestor: pace.rate,
        ordinary: ordinary.rate,
        naive: naive.rate,
        repeats: repeats.rate,
        micros: pace.micros("ingestor"),
        redis_micros: pace.micros(REDIS),
    })
}

fn report(ground: &mut Ground, rounds: &[Round]) -> anyhow::Result<()> {
    let disturbance = ground.disturbance()?;
    let all = |of: fn(&Round) -> f64| rounds.iter().map(of).collect::<Vec<_>>();
    let rows = [
        (&VERSUS_REDIS, all(|round| round.ingestor / round.redis)),
        (&VERSUS_ORDINARY, all(|round| round.ingestor / round.ordinary)),
        (&VERSUS_NAIVE, all(|round| round.ingestor / round.naive)),
        (&INGEST_CPU, all(|round| round.micros)),
        (&REPEATS, all(|round| round.repeats / round.ingestor)),
        (&REDIS_RATE, all(|round| round.redis)),
        (&INGEST_RATE, all(|round| round.ingestor)),
        (&ORDINARY_RATE, all(|round| round.ordinary)),
        (&NAIVE_RATE, all(|round| round.naive)),
        (&REPEATS_RATE, all(|round| round.repeats)),
        (&REDIS_CPU, all(|round| round.redis_micros)),
    ];
    for (metric, samples) in rows {
        ground.report.add(metric, samples, disturbance);
    }
    Ok(())
}

/// Memory of Redis a key, its name included.
async fn bytes_a_key(ground: &Ground, mix: Mix) -> anyhow::Result<f64> {
    ground.empty().await?;
    let (cluster, keys) = (ground.first_cluster(), ground.plan.keys);
    let before = cluster.used_memory().await?;
    write_keys(cluster, mix, 0, keys).await?;
    let after = cluster.used_memory().await?;
    ground.empty().await?;
    Ok(float(after.saturating_sub(before)) / float(keys))
}

/// Writes the first `keys` URLs of `mix` under a generation.
///
/// # Errors
/// Redis does not answer, or does not hold them.
pub(super) async fn write_keys(
    cluster: &crate::stack::RedisCluster,
    mix: Mix,
    generation: u64,
    keys: u64,
) -> anyhow::Result<()> {
    /// Keys that are made and written at once.
    const AT_ONCE: u64 = 6_000;
    for first in (0..keys).step_by(usize::try_from(AT_ONCE)?) {
        let numbers = first..keys.min(first + AT_ONCE);
        cluster
            .write(numbers.map(|n| mix.page(n).name(generation)))
            .await?;
    }
    let found = cluster.keys().await?;
    anyhow::ensure!(
        found == keys,
        "Redis holds {found} of {keys} keys that were written"
    );
    Ok(())
}
