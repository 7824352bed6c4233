//! One stack under traffic for long, a random fault every so often, and the books at the end.

use std::time::Duration;

use clap::Args;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;

use super::attempt::{Outcome, Scene, SceneSettings};
use super::fault::Fault;
use super::plan::Step;
use super::report::{FaultReport, Row};
use crate::progress::Progress;

const FLIP_INTERVAL: Duration = Duration::from_secs(10);

/// How long, and how often something fails.
#[derive(Args, Clone, Debug)]
pub struct SoakArgs {
    /// How long there is traffic and faults
    #[arg(long = "for", default_value = "1h", value_parser = humantime::parse_duration)]
    pub lasting: Duration,
    /// A fault begins this often, or when the one before is over
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    pub fault_every: Duration,
    /// Seed: the same one makes the same faults in the same order
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Records a second
    #[arg(long, default_value_t = 1_000)]
    pub rate: u64,
}

/// Runs it.
pub async fn soak(args: SoakArgs) -> FaultReport {
    let settings = SceneSettings {
        seed: args.seed,
        rate: args.rate,
        flip_interval: FLIP_INTERVAL,
        has_replicas: true,
        is_encrypted: true,
        // Keys are lost without a sign beside takeovers and crashes.
        books: "strict",
    };
    let mut outcome = Outcome::default();
    let mut struck = 0;
    match Scene::start(settings).await {
        Ok(scene) => {
            struck = fail_every_now_and_then(&scene, &args, &mut outcome).await;
            scene.finish(&mut outcome).await;
        }
        Err(error) => outcome.error = Some(format!("{error:#}")),
    }
    let lasting = humantime::format_duration(args.lasting);
    let every = humantime::format_duration(args.fault_every)
        .to_string()
        .replace(' ', "");
    let again = format!("soak --seed {} --fault-every {every}", args.seed);
    let row = Row::new(args.seed, format!("{struck} faults in {lasting}"), again, outcome);
    FaultReport { rows: vec![row] }
}

/// Returns how many faults there were; ends early where one cannot be brought back.
async fn fail_every_now_and_then(scene: &Scene, args: &SoakArgs, outcome: &mut Outcome) -> usize {
    let mut random = StdRng::seed_from_u64(args.seed);
    let end = Instant::now() + args.lasting;
    let (mut next, mut struck) = (Instant::now() + args.fault_every, 0);
    let progress = Progress::new(args.lasting.as_secs() / args.fault_every.as_secs().max(1));
    while next < end {
        tokio::time::sleep_until(next).await;
        next += args.fault_every;
        let Some(fault) = Fault::ALL.choose(&mut random).copied() else {
            return struck;
        };
        let step = Step {
            fault,
            at: Duration::ZERO,
            victim: random.random_range(0..6),
        };
        struck += 1;
        match scene.strike(step, false).await {
            Ok(evidence) => {
                let word = evidence.map_or_else(String::new, |evidence| format!(" ({})", evidence.what));
                progress.step(&format!("{struck}: {}{word}", fault.label()));
                scene.revive(outcome).await;
            }
            Err(error) => {
                outcome.error = Some(format!("{error:#}"));
                return struck;
            }
        }
    }
    tokio::time::sleep_until(end).await;
    struck
}
