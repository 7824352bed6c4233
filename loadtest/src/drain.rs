//! `drain`: what one generation costs the flipper, by its size: memory and time.

use std::fmt;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use generations::{CanonicalParts, ClusterName, encode_name};
use messagebus::KafkaArgs;

use crate::process::READY_WITHIN;
use crate::run::{Run, RunSettings};
use crate::service::Kind;
use crate::stack::{RedisCluster, Stack};
use crate::traffic::{Traffic, TrafficArgs, Truth};

const PREFIX: &str = "crawler-hints.";
/// No flip but the one that is asked for.
const NEVER: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Keys that are made and written at once.
const KEYS_AT_ONCE: u64 = 6_000;

/// Which generations are drained.
#[derive(Args, Clone, Debug)]
pub struct DrainArgs {
    /// Keys of one generation; may be given several times
    #[arg(long = "keys", default_values_t = [200_000, 4_000_000], value_parser = clap::value_parser!(u64).range(1..))]
    pub keys: Vec<u64>,
    /// Measurements of each size, in turn
    #[arg(long, default_value_t = 3)]
    pub times: usize,
    /// Hosts; keys spread over them as the demo's records do
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub hosts: u32,
    /// A drain may take so long
    #[arg(long, default_value = "10m", value_parser = messagebus::config::duration)]
    pub within: Duration,
}

/// One generation, drained by a flipper that was started for it.
#[derive(Clone, Copy, Debug)]
pub struct Drained {
    /// Its keys.
    pub keys: u64,
    /// Batches that it became.
    pub batches: f64,
    /// How long the drain took, in seconds, passes that found nothing included.
    pub seconds: f64,
    /// The flipper's largest resident memory before, in bytes.
    pub idle: u64,
    /// Its largest resident memory, in bytes.
    pub peak: u64,
}

/// Every measurement, in order.
#[derive(Clone, Debug, Default)]
pub struct Measured(Vec<Drained>);

/// Drains generations of each size in turn.
///
/// The keys are written to Redis without an ingestor, so the books know of none: the flipper drains all of them
/// and then finds that nobody says to have written them.
///
/// # Errors
/// Something cannot be started, or a drain does not end.
pub async fn drain(args: &DrainArgs) -> anyhow::Result<Measured> {
    let mut measured = Measured::default();
    for _ in 0..args.times {
        for &keys in &args.keys {
            measured.0.push(measure(keys, args).await?);
        }
    }
    Ok(measured)
}

async fn measure(keys: u64, args: &DrainArgs) -> anyhow::Result<Drained> {
    let (_stack, mut run) = filled(keys, args.hosts).await?;
    let drained = drain_now(&mut run, keys, args.within).await?;
    run.stop().await?;
    Ok(drained)
}

/// Asks for the next generation, and waits until the `keys` of the one before it are drained.
///
/// # Errors
/// They are not within `within`, or not all.
pub(crate) async fn drain_now(run: &mut Run, keys: u64, within: Duration) -> anyhow::Result<Drained> {
    let idle = peak(run)?;
    run.flip().await?;
    let is_drained = async |run: &Run| Ok(metric(run, "flipper_last_run_urls").await > 0.0);
    run.wait_until("the generation is drained", within, is_drained)
        .await?;
    anyhow::ensure!(
        metric(run, "flipper_last_run_urls").await == precise(keys),
        "not all of {keys} keys were drained"
    );
    Ok(Drained {
        keys,
        batches: metric(run, "flipper_batches_published_total").await,
        seconds: metric(run, "flipper_last_drain_duration_seconds").await,
        idle,
        peak: peak(run)?,
    })
}

async fn metric(run: &Run, name: &str) -> f64 {
    run.metric(Kind::Flipper, name, &[]).await
}

/// A flipper, and so many keys in the generation that is active. The stack ends with its value.
///
/// # Errors
/// Something cannot be started.
pub async fn filled(keys: u64, hosts: u32) -> anyhow::Result<(Stack, Run)> {
    let stack = Stack::start(PREFIX).await?;
    let mut run = flipper_alone(stack.kafka(), &stack.clusters).await?;
    let (generation, cluster) = active(&mut run, &stack.clusters).await?;
    fill(cluster, generation, keys, hosts).await?;
    Ok((stack, run))
}

/// A flipper that opens no generation but its first unless it is asked to.
///
/// # Errors
/// It cannot be started.
pub(crate) async fn flipper_alone(kafka: &KafkaArgs, clusters: &[RedisCluster; 2]) -> anyhow::Result<Run> {
    let settings = RunSettings {
        ingestors: 0,
        dispatchers: 0,
        ..only_flips_when_asked()
    };
    Run::start(kafka, clusters, settings).await
}

/// Settings under which neither time nor keys open a generation.
pub(crate) fn only_flips_when_asked() -> RunSettings {
    RunSettings {
        flip_interval: NEVER,
        settings: vec![("FLIP_MAX_URLS".to_owned(), u64::MAX.to_string())],
        ..RunSettings::default()
    }
}

/// The generation that is open, once there is one, and its cluster.
///
/// # Errors
/// None is opened in time.
pub(crate) async fn active<'a>(
    run: &mut Run,
    clusters: &'a [RedisCluster; 2],
) -> anyhow::Result<(u64, &'a RedisCluster)> {
    let is_open = async |run: &Run| Ok(run.active_generation().await.is_some());
    run.wait_until("a generation is opened", READY_WITHIN, is_open)
        .await?;
    let generation = run.active_generation().await.context("no generation is open")?;
    let [a, b] = clusters;
    let cluster = match ClusterName::of(generation) {
        ClusterName::A => a,
        ClusterName::B => b,
    };
    Ok((generation, cluster))
}

/// Writes the first `keys` URLs of the traffic under `generation`, without an ingestor.
///
/// # Errors
/// Redis does not take them.
pub async fn fill(cluster: &RedisCluster, generation: u64, keys: u64, hosts: u32) -> anyhow::Result<()> {
    let traffic = Traffic::new(TrafficArgs {
        hosts,
        repeats: 0.0,
        bad: 0.0,
        unwanted: 0.0,
        ..TrafficArgs::default()
    })?;
    for first in (0..keys).step_by(usize::try_from(KEYS_AT_ONCE)?) {
        let numbers = first..keys.min(first + KEYS_AT_ONCE);
        let names = numbers.filter_map(|number| match traffic.record(number, 0).truth {
            Truth::Accepted(url) => name(generation, &url),
            Truth::Stopped(_) => None,
        });
        cluster.write(names).await?;
    }
    anyhow::ensure!(cluster.keys().await? == keys, "Redis does not hold {keys} keys");
    Ok(())
}

/// The key name of a canonical https URL.
fn name(generation: u64, url: &str) -> Option<Vec<u8>> {
    let rest = url.strip_prefix("https://")?;
    let (host, path_and_query) = rest.split_at(rest.find('/')?);
    let mut name = Vec::new();
    let parts = CanonicalParts {
        https: true,
        host,
        path_and_query,
    };
    encode_name(&mut name, generation, parts, 0);
    Some(name)
}

fn peak(run: &Run) -> anyhow::Result<u64> {
    let flipper = run.of(Kind::Flipper).next().context("no flipper runs")?;
    Ok(flipper.memory()?.peak)
}

#[expect(clippy::cast_precision_loss, reason = "a count of keys is small")]
fn precise(count: u64) -> f64 {
    count as f64
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebibytes = |bytes: u64| format!("{:.1}", precise(bytes) / 1_048_576.0);
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        table.set_header([
            "keys",
            "batches",
            "seconds",
            "keys/s",
            "MiB before",
            "MiB at most",
        ]);
        for drained in &self.0 {
            table.add_row([
                drained.keys.to_string(),
                drained.batches.to_string(),
                format!("{:.1}", drained.seconds),
                format!("{:.0}", precise(drained.keys) / drained.seconds),
                mebibytes(drained.idle),
                mebibytes(drained.peak),
            ]);
        }
        let columns = table.column_iter_mut();
        columns.for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        write!(f, "{table}")
    }
}
