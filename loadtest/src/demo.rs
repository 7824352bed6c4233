//! `demo`: the whole pipeline for a minute, watched, and its books at the end.

mod books;
mod figures;
mod killing;
mod live;
mod page;
mod source;
mod targets;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use messagebus::config::duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::audit::Report;
use crate::partners::Misbehaviour;
use crate::run::{Run, RunSettings};
use crate::service::Memory;
use crate::stack::Stack;
use crate::traffic::TrafficArgs;
use books::LiveBooks;
use figures::Watch;
use killing::Killing;
use live::Live;
use page::Page;
use source::Source;

/// What the demo does.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Records a second
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: u64,
    /// How long traffic flows
    #[arg(long, default_value = "45s", value_parser = duration)]
    pub traffic_for: Duration,
    /// `FLIP_INTERVAL`
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub flip_interval: Duration,
    /// How long the pipeline may take to come to rest after the traffic
    #[arg(long, default_value = "2m", value_parser = duration)]
    pub rest_within: Duration,
    /// How the second partner misbehaves
    #[arg(long, default_value = "500:0.05,429:0.02")]
    pub misbehave: Misbehaviour,
    /// Kills the service of this name, as `flipper-0`, and starts it again after 5 s
    #[arg(long)]
    pub kill: Option<String>,
    /// How long after the traffic began it is killed; half way through the traffic if not given
    #[arg(long, value_parser = duration)]
    pub kill_after: Option<Duration>,
    /// Program that produces the traffic instead, with its arguments; it runs twice: `PRODUCE` asks it for `zones`,
    /// before the services start, and for `records`. `KAFKA_BROKERS` and `TOPIC_PREFIX` tell it where to
    #[arg(long)]
    pub producer: Option<String>,
    /// Writes the books to this file, as JSON
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Writes to this file where each process serves metrics, as Prometheus's `file_sd` reads it
    #[arg(long)]
    pub targets: Option<PathBuf>,
    /// What the traffic looks like.
    #[command(flatten)]
    pub traffic: TrafficArgs,
}

/// Runs the demo; the report says whether the books balance.
///
/// # Errors
/// Something cannot be started, or the pipeline does not come to rest.
pub async fn demo(args: DemoArgs) -> anyhow::Result<Report> {
    const PREFIX: &str = "crawler-hints.";
    say("starting Kafka and two Redis clusters of three masters");
    let stack = Stack::start(PREFIX).await?;
    let source = Source::of(&args, &stack);
    source.produce_zones().await?;
    say("starting the services and two partners");
    let settings = RunSettings {
        flip_interval: args.flip_interval,
        partners: vec![
            ("north".to_owned(), Misbehaviour::default()),
            ("south".to_owned(), args.misbehave.clone()),
        ],
        ..RunSettings::default()
    };
    let mut run = Run::start(stack.kafka(), &stack.clusters, settings).await?;
    if let Some(path) = &args.targets {
        targets::write(&run, &stack.clusters, path)?;
    }
    let mut screens = Screens::start(&run, &args).await?;
    say(&format!("watch it at http://{}/", screens.page.address));
    let stop = CancellationToken::new();
    let watched = watch_run(&mut run, &stack, &args, source, &mut screens, stop.clone()).await;
    stop.cancel();
    screens.books.end().await;
    if watched.is_err() {
        say(&format!("logs are kept in {}", run.keep().display()));
    }
    watched?;
    let report = run.audit().await?;
    screens.end(&run, &report).await?;
    let violations: Vec<_> = run
        .partner_names()
        .iter()
        .flat_map(|name| run.partners.status(name).violations)
        .collect();
    run.stop().await?;
    if let Some(path) = &args.json {
        let json = serde_json::to_vec_pretty(&report).context("writing the books")?;
        std::fs::write(path, json).with_context(|| format!("writing {}", path.display()))?;
    }
    anyhow::ensure!(
        violations.is_empty(),
        "requests broke the protocol: {violations:?}"
    );
    Ok(report)
}

async fn watch_run(
    run: &mut Run,
    stack: &Stack,
    args: &DemoArgs,
    source: Source,
    screens: &mut Screens,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let (sent, produced) = watch::channel(0);
    let mut producing = tokio::spawn(source.produce_records(sent, stop));
    let kill_after = args.kill_after.unwrap_or(args.traffic_for / 2);
    let mut killing = Killing::planned(args.kill.clone(), kill_after);
    let minute = Instant::now() + Duration::from_secs(60);
    let mut after_a_minute = Vec::new();
    let mut looks = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = looks.tick() => {
                let produced = *produced.borrow();
                screens.show(run, produced, "traffic flows").await?;
                killing.look(run).await?;
                run.check()?;
                if after_a_minute.is_empty() && minute <= Instant::now() {
                    after_a_minute = memory(run);
                }
            }
            done = &mut producing => {
                done.context("producing")??;
                break;
            }
        }
    }
    while killing.is_under_way() {
        looks.tick().await;
        run.check()?;
        killing.look(run).await?;
    }
    say("traffic has ended; waiting until every partner has everything");
    let rested = run.settle(&stack.clusters, args.rest_within).await;
    let produced = *produced.borrow();
    screens.show(run, produced, "at rest").await?;
    show_memory(&after_a_minute, &memory(run));
    rested
}

/// Where the figures are shown: in the terminal and on a page.
struct Screens {
    watch: Watch,
    live: Live,
    page: Page,
    books: LiveBooks,
    produced: u64,
}

impl Screens {
    async fn start(run: &Run, args: &DemoArgs) -> anyhow::Result<Self> {
        Ok(Self {
            watch: Watch::new(),
            live: Live::default(),
            page: Page::start().await?,
            books: LiveBooks::start(run, args.kill.is_some())?,
            produced: 0,
        })
    }

    async fn show(&mut self, run: &Run, produced: u64, phase: &'static str) -> anyhow::Result<()> {
        self.produced = produced;
        let mut figures = self.watch.look(run, produced, phase).await;
        self.live.show(&figures);
        figures.books = self.books.last();
        self.page.show(&figures)
    }

    /// Leaves the last figures and the books at rest on a page that is open.
    async fn end(&mut self, run: &Run, report: &Report) -> anyhow::Result<()> {
        let mut figures = self.watch.look(run, self.produced, "the demo has ended").await;
        figures.books = Some(report.clone());
        self.page.show(&figures)?;
        self.page.linger().await;
        Ok(())
    }
}

/// The memory of every service that runs.
fn memory(run: &Run) -> Vec<(String, Memory)> {
    let services = run.services.iter();
    services
        .filter_map(|service| Some((service.name().to_owned(), service.memory().ok()?)))
        .collect()
}

fn show_memory(after_a_minute: &[(String, Memory)], now: &[(String, Memory)]) {
    for (name, memory) in now {
        let before = after_a_minute.iter().find(|(service, _)| service == name);
        let before = before.map_or_else(String::new, |(_, before)| {
            format!("{} MiB after a minute, ", before.resident >> 20)
        });
        say(&format!(
            "memory of {name}: {before}{} MiB now, {} MiB at most",
            memory.resident >> 20,
            memory.peak >> 20
        ));
    }
}

#[expect(clippy::print_stdout, reason = "a demo speaks")]
fn say(what: &str) {
    println!("{what}");
}
