//! `profile`: what each service does with its CPU and how often it allocates, while the whole pipeline works.
//!
//! CPU is sampled by `perf` and drawn as a flame graph. Allocations are counted by the services' own allocator,
//! jemalloc, which says at a process's end how many there were: librdkafka's are among them.

mod allocations;
mod flames;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use futures_util::future::try_join_all;
use messagebus::config::duration;

use crate::bench::everything::MIX;
use crate::bench::flow::Flow;
use crate::bench::ground::opt_in;
use crate::bench::number::{float, whole};
use crate::bench::sink::Sink;
use crate::progress::Progress;
use crate::run::{Run, RunSettings};
use crate::service::{Kind, Service};
use crate::stack::Stack;

const PREFIX: &str = "profile.";
const PARTNERS: [&str; 2] = ["north", "south"];
/// Until everything is warm: connections stand, buffers have grown.
const WARM_UP: Duration = Duration::from_secs(5);
const REST_WITHIN: Duration = Duration::from_secs(300);

/// What to profile.
#[derive(Args, Clone, Debug)]
pub struct ProfileArgs {
    /// Records a second
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: u64,
    /// How long samples are taken
    #[arg(long, default_value = "20s", value_parser = duration)]
    pub sample_for: Duration,
    /// `FLIP_INTERVAL`: several flips fit in
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub flip_interval: Duration,
    /// Directory of the flame graphs
    #[arg(long, default_value = "target/profile")]
    pub dir: PathBuf,
}

/// One service.
#[derive(Clone, Debug)]
struct Profiled {
    service: &'static str,
    picture: PathBuf,
    /// Allocations in all, and what they were for: records, URLs or requests.
    allocations: u64,
    items: u64,
    unit: &'static str,
}

/// All three.
#[derive(Clone, Debug, Default)]
pub struct Profile(Vec<Profiled>);

/// Runs the pipeline and profiles its services.
///
/// # Errors
/// Something does not start, `perf` is missing or may not look at processes, or a service does not say how often it
/// allocated.
pub async fn profile(args: &ProfileArgs) -> anyhow::Result<Profile> {
    let dir = &args.dir;
    std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    let progress = Progress::new(4);
    let stack = Stack::start(PREFIX).await?;
    let sink = Sink::start().await?;
    opt_in(stack.kafka(), MIX.hosts).await?;
    let settings = RunSettings {
        flip_interval: args.flip_interval,
        settings: vec![sink.setting(&PARTNERS), allocations::setting()],
        ..RunSettings::default()
    };
    let mut run = Run::start(stack.kafka(), &stack.clusters, settings).await?;
    let flow = Flow::start(stack.kafka(), MIX, u64::MAX, args.rate)?;
    progress.step("the pipeline runs");
    tokio::time::sleep(WARM_UP).await;
    let sampled = try_join_all(
        run.services
            .iter()
            .map(|service| flames::sample(service, args.sample_for, dir)),
    );
    sampled.await?;
    progress.step("samples are taken");
    flow.end().await?;
    run.settle(&stack.clusters, REST_WITHIN).await?;
    let items = items(&run, &sink).await;
    run.stop().await?;
    let mut profile = Profile::default();
    for (service, (items, unit)) in run.services.iter().zip(items) {
        profile.0.push(profiled(service, dir, items, unit).await?);
    }
    progress.step("flame graphs are drawn");
    Ok(profile)
}

/// What each service has worked on, in the services' order.
async fn items(run: &Run, sink: &Sink) -> Vec<(u64, &'static str)> {
    let mut items = Vec::new();
    for service in &run.services {
        let counted = async |name: &str| whole(run.metric(service.kind(), name, &[]).await);
        items.push(match service.kind() {
            Kind::Ingestor => (counted("ingestor_records_total").await, "record"),
            Kind::Flipper => (counted("flipper_urls_drained_total").await, "URL"),
            Kind::Dispatcher => (sink.requests(), "request"),
        });
    }
    items
}

async fn profiled(service: &Service, dir: &Path, items: u64, unit: &'static str) -> anyhow::Result<Profiled> {
    Ok(Profiled {
        service: service.kind().program(),
        picture: flames::draw(service, dir).await?,
        allocations: allocations::counted(service)?,
        items,
        unit,
    })
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        table.set_header(["service", "allocations", "of them", "flame graph"]);
        for profiled in &self.0 {
            let each = float(profiled.allocations) / float(profiled.items.max(1));
            table.add_row([
                profiled.service.to_owned(),
                profiled.allocations.to_string(),
                format!("{each:.2} a {} ({})", profiled.unit, profiled.items),
                profiled.picture.display().to_string(),
            ]);
        }
        write!(f, "{table}")
    }
}
