//! Traffic, partners, audits and a local stack.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use loadtest::audit::{AuditArgs, Ended, Report, WatchArgs, audit, watch as watch_books};
use loadtest::bench::{BenchArgs, bench};
use loadtest::demo::{DemoArgs, demo};
use loadtest::drain::{DrainArgs, drain};
use loadtest::faults::{FaultsArgs, FlipsArgs, SoakArgs, faults, flips, soak};
use loadtest::partners::{Misbehaviour, Partners};
use loadtest::plan::{PlanArgs, Sizing, plan};
use loadtest::produce::{ProduceArgs, produce, produce_zones};
use loadtest::profile::{ProfileArgs, profile};
use loadtest::stack;
use loadtest::traffic::Traffic;
use messagebus::{KafkaArgs, LogArgs, config, telemetry};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Traffic, partners, audits and a local stack for crawler-hints.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Kafka and two Redis clusters on loopback
    #[command(subcommand)]
    Stack(StackCommand),
    /// Creates the topics; those that exist stay as they are
    Topics(KafkaArgs),
    /// Sends zones and cache misses to Kafka
    Produce {
        #[command(flatten)]
        kafka: KafkaArgs,
        #[command(flatten)]
        args: ProduceArgs,
    },
    /// Simulates partners that check every request
    Partners(PartnersArgs),
    /// Prints the books of a deployment, running or at rest; status 0: balanced, 1: something remains, 2: settings,
    /// 3: Kafka or a log cannot be read
    Audit {
        #[command(flatten)]
        kafka: KafkaArgs,
        #[command(flatten)]
        args: AuditArgs,
        #[command(flatten)]
        watch: WatchArgs,
        /// Prints JSON: a document, with --watch a line a look
        #[arg(long)]
        json: bool,
    },
    /// The whole pipeline for a minute, and its books
    Demo(DemoArgs),
    /// Measures every goal that one machine can, with real Kafka and Redis; ends with status 1 when one is missed or
    /// could not be measured, not when the machine was too noisy to tell
    Bench(BenchArgs),
    /// What a load takes: partitions, pods, masters, memory, traffic; from the costs that `bench` measured
    Plan(PlanArgs),
    /// Flame graphs of the three services, and how often they allocate, while the whole pipeline works
    Profile(ProfileArgs),
    /// What one generation costs the flipper, by its size: memory and time
    Drain(DrainArgs),
    /// Faults against the whole pipeline, seeded; ends with status 1 when anything is lost or invented
    Faults(FaultsArgs),
    /// One stack under traffic for long and a random fault every so often; ends with its books
    Soak(SoakArgs),
    /// Many flips under traffic: what is lost, and how long writers pause
    Flips(FlipsArgs),
}

#[derive(Debug, Subcommand)]
enum StackCommand {
    /// Starts a stack, prints its settings as export lines, and leaves it running
    Up {
        /// Stays, and ends the stack with itself
        #[arg(long)]
        foreground: bool,
        /// Prefix of the topics that are created
        #[arg(long, env, default_value = "crawler-hints.")]
        topic_prefix: String,
    },
    /// Ends the stack that runs
    Down,
}

#[derive(Args, Debug)]
struct PartnersArgs {
    /// Name of a partner; may be given several times
    #[arg(long = "partner", default_values = ["north", "south"])]
    partners: Vec<String>,
    /// How partners misbehave, in the partners' order, as 500:0.02,429:0.01
    #[arg(long)]
    misbehave: Vec<Misbehaviour>,
    /// Host and port of the dispatcher's key-file server
    #[arg(long, default_value = "127.0.0.1:8084")]
    keys: String,
    /// Address to listen on; port 0 for any
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Directory of what each partner accepts
    #[arg(long, default_value = ".")]
    logs: PathBuf,
}

/// Exit status of an audit that could not read the books.
const UNSEEN: u8 = 3;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let cli = config::parse::<Cli>();
    telemetry::init(&cli.log)?;
    match cli.command {
        Command::Stack(StackCommand::Up {
            foreground,
            topic_prefix,
        }) => {
            if foreground {
                stack::foreground(&topic_prefix).await?;
            } else {
                stack::up(&topic_prefix).await?;
            }
        }
        Command::Stack(StackCommand::Down) => stack::down().await?,
        Command::Topics(kafka) => stack::create_topics(&kafka).await?,
        Command::Produce { kafka, args } => {
            let zones = Traffic::new(args.traffic.clone())?.zones();
            produce_zones(&kafka, &zones).await?;
            let (sent, _) = watch::channel(0);
            let produced = produce(&kafka, &args, sent, CancellationToken::new()).await?;
            say(&format!("{produced} records"));
        }
        Command::Partners(args) => partners(args).await?,
        Command::Audit {
            kafka,
            args,
            watch,
            json,
        } => return Ok(books(&kafka, &args, &watch, json).await),
        Command::Bench(args) => {
            let report = Box::pin(bench(&args)).await?;
            say(&report.to_string());
            return Ok(exit(report.is_good()));
        }
        Command::Profile(args) => say(&Box::pin(profile(&args)).await?.to_string()),
        Command::Plan(args) => show_plan(&plan(&args)?, args.json)?,
        Command::Drain(args) => say(&drain(&args).await?.to_string()),
        Command::Faults(args) => {
            let report = faults(args).await?;
            say(&report.to_string());
            return Ok(exit(report.is_good()));
        }
        Command::Soak(args) => {
            let report = Box::pin(soak(args)).await;
            say(&report.to_string());
            return Ok(exit(report.is_good()));
        }
        Command::Flips(args) => {
            let report = flips(args).await?;
            say(&report.to_string());
            return Ok(exit(report.is_good()));
        }
        Command::Demo(args) => {
            let report = tokio::select! {
                report = demo(args) => report?,
                interrupted = tokio::signal::ctrl_c() => {
                    interrupted?;
                    return Ok(ExitCode::from(130));
                }
            };
            return show(&report, false);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn partners(args: PartnersArgs) -> anyhow::Result<()> {
    let misbehave = args
        .misbehave
        .into_iter()
        .chain(std::iter::repeat(Misbehaviour::default()));
    let named: Vec<_> = args.partners.into_iter().zip(misbehave).collect();
    let partners = Partners::start(&named, &args.logs, &args.keys, args.listen).await?;
    say(&format!("export PARTNERS={}", partners.setting()));
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    for (name, _) in &named {
        let status = partners.status(name);
        say(&format!(
            "{name}: {} URLs, answers {:?}",
            status.urls, status.answers
        ));
    }
    Ok(())
}

/// Ends with a status of its own where the books cannot be read: nobody knows then whether they balance.
async fn books(kafka: &KafkaArgs, args: &AuditArgs, how: &WatchArgs, json: bool) -> ExitCode {
    let ended = match how.watch {
        Some(every) => watch_books(kafka, args, every, how.admin_addr, json).await,
        None => look(kafka, args, json).await,
    };
    match ended {
        Ok(Ended::Balanced) => ExitCode::SUCCESS,
        Ok(Ended::Residue) => ExitCode::FAILURE,
        Ok(Ended::Unseen) => ExitCode::from(UNSEEN),
        Err(error) => {
            tracing::error!("the books cannot be read: {error:#}");
            ExitCode::from(UNSEEN)
        }
    }
}

async fn look(kafka: &KafkaArgs, args: &AuditArgs, json: bool) -> anyhow::Result<Ended> {
    let report = audit(kafka, args).await?;
    show(&report, json)?;
    Ok(if report.balances() {
        Ended::Balanced
    } else {
        Ended::Residue
    })
}

fn show(report: &Report, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        say(&serde_json::to_string_pretty(report)?);
    } else {
        say(&report.to_string());
    }
    Ok(exit(report.balances()))
}

fn show_plan(sizing: &Sizing, json: bool) -> anyhow::Result<()> {
    if json {
        say(&serde_json::to_string_pretty(sizing)?);
    } else {
        say(&sizing.to_string());
    }
    Ok(())
}

fn exit(good: bool) -> ExitCode {
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[expect(
    clippy::print_stdout,
    reason = "what a command is for goes to standard output"
)]
fn say(what: &str) {
    println!("{what}");
}
