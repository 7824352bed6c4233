//! The whole pipeline on this machine: what it sustains, where the CPU goes, how it recovers from a burst, and that
//! its books balance.

use std::fmt::Write;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::cpu::{Meter, Usage, between};
use super::flow::{self, Flow};
use super::ground::{Ground, KAFKA, opt_in};
use super::input::HOSTS;
use super::metric::{BROKER_CPU, BURST, EVERYTHING};
use super::mix::Mix;
use super::number::float;
use super::pilot::Pilot;
use super::report::{Curve, Line, Share};
use super::sink::{self, Sink};
use super::size::Everything;
use crate::audit::{AuditArgs, audit};
use crate::run::{Run, RunSettings};
use crate::service::Kind;

const PARTNERS: [&str; 2] = ["north", "south"];
/// Half of the records are of a URL that was there before.
pub(crate) const MIX: Mix = Mix {
    hosts: HOSTS,
    repeats: 5,
};
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The counted time in so many parts, a sample each. In the last the rate is held, a little below what was found.
const PARTS: u32 = 10;
const HELD: f64 = 0.95;
/// A lag that is none, in seconds.
const CAUGHT_UP: f64 = 1.0;
/// A burst is given up as not recovered from after so long.
const RECOVERED_WITHIN: Duration = Duration::from_secs(240);

/// A generator that makes less than this part of the records it should makes no burst.
const A_BURST: f64 = 0.8;

/// One look at a running pipeline.
#[derive(Clone, Copy, Debug)]
struct Moment {
    /// Seconds since its start.
    at: f64,
    /// Records that the ingestor has judged.
    records: f64,
    /// The ingest group's largest lag, in seconds.
    lag: f64,
}

/// What runs, and what was seen of it.
struct Flight {
    run: Run,
    flow: Flow,
    topic: String,
    started: Instant,
    seen: Vec<Moment>,
}

impl Flight {
    async fn start(ground: &mut Ground, sink: &Sink, plan: &Everything) -> anyhow::Result<Self> {
        let kafka = ground.fresh().await?;
        opt_in(&kafka, MIX.hosts).await?;
        let settings = RunSettings {
            flip_interval: plan.flip_interval,
            settings: vec![sink.setting(&PARTNERS)],
            ..RunSettings::default()
        };
        let run = Run::start(&kafka, &ground.stack.clusters, settings).await?;
        Ok(Self {
            run,
            flow: Flow::start(&kafka, MIX, u64::MAX, plan.first_rate)?,
            topic: kafka.topics().cache_misses(),
            started: Instant::now(),
            seen: Vec::new(),
        })
    }

    /// Waits a second, and looks.
    async fn look(&mut self) -> anyhow::Result<Moment> {
        tokio::time::sleep(LOOK_EVERY).await;
        self.run.check()?;
        let ingestor = self.run.of(Kind::Ingestor).next().context("no ingestor runs")?;
        // A machine that is too busy to answer has not caught up.
        let scrape = ingestor.metrics().await;
        let last = self.seen.last().map_or(0.0, |moment| moment.records);
        let moment = Moment {
            at: self.started.elapsed().as_secs_f64(),
            records: scrape
                .as_ref()
                .map_or(last, |scrape| scrape.sum("ingestor_records_total", &[])),
            lag: scrape.map_or(f64::INFINITY, |scrape| {
                scrape.max("kafka_consumer_lag_seconds", &[("topic", &self.topic)])
            }),
        };
        self.seen.push(moment);
        Ok(moment)
    }

    /// Flies by the pilot for so long.
    async fn adapt(&mut self, pilot: &mut Pilot, how_long: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + how_long;
        while Instant::now() < until {
            let moment = self.look().await?;
            self.flow.set_rate(pilot.next(moment.lag));
        }
        Ok(())
    }

    /// Keeps the rate for so long.
    async fn hold(&mut self, rate: u64, how_long: Duration) -> anyhow::Result<()> {
        self.flow.set_rate(rate);
        let until = Instant::now() + how_long;
        while Instant::now() < until {
            self.look().await?;
        }
        Ok(())
    }

    /// Waits until the lag is none; says how long that took, at most `within`.
    async fn catch_up(&mut self, within: Duration) -> anyhow::Result<Duration> {
        let started = Instant::now();
        while started.elapsed() < within {
            if self.look().await?.lag < CAUGHT_UP {
                break;
            }
        }
        Ok(started.elapsed())
    }
}

/// Measures the rows of the whole pipeline.
///
/// # Errors
/// Something does not start, or does not come to rest.
pub(super) async fn measure(ground: &mut Ground) -> anyhow::Result<()> {
    let (plan, sink) = (ground.plan.everything, Sink::start().await?);
    let mut flight = Flight::start(ground, &sink, &plan).await?;
    let mut meter = ground.meter(&flight.run);
    for name in flow::THREADS {
        meter.threads("generator", name);
    }
    meter.threads("partners", sink::THREAD);
    let measured = async {
        sustain(ground, &mut flight, &plan, &meter).await?;
        burst(ground, &mut flight, &plan).await
    };
    if let Err(error) = measured.await {
        let logs = flight.run.keep();
        return Err(error.context(format!("logs are kept in {}", logs.display())));
    }
    draw(ground, &flight.seen);
    rest(ground, flight, plan.rest_within).await
}

/// The rate that is sustained, and where the CPU goes meanwhile.
async fn sustain(
    ground: &mut Ground,
    flight: &mut Flight,
    plan: &Everything,
    meter: &Meter,
) -> anyhow::Result<()> {
    let mut pilot = Pilot::new(plan.first_rate);
    flight.adapt(&mut pilot, plan.warm_up).await?;
    ground.look()?;
    let (usage, from) = (meter.read()?, flight.look().await?);
    let part = plan.counted / PARTS;
    let (mut samples, mut last) = (Vec::new(), from);
    for number in 1..=PARTS {
        if number == PARTS {
            let found = super::statistics::median(&samples).unwrap_or_default();
            flight.hold(super::number::whole(HELD * found), part).await?;
        } else {
            flight.adapt(&mut pilot, part).await?;
        }
        let now = flight.seen.last().copied().unwrap_or(last);
        samples.push((now.records - last.records) / (now.at - last.at).max(f64::MIN_POSITIVE));
        last = now;
    }
    let cpu = between(&usage, &meter.read()?);
    let disturbance = ground.disturbance()?;
    ground.progress.step(&format!(
        "everything: {:.0} records/s, lag {:.1} s at the end",
        super::statistics::median(&samples).unwrap_or_default(),
        last.lag
    ));
    share(ground, &cpu, last.records - from.records, last.at - from.at);
    let broker = cpu.get(KAFKA).copied().unwrap_or_default() * 1e6;
    let records = (last.records - from.records).max(1.0);
    ground
        .report
        .add(&BROKER_CPU, vec![broker / records], disturbance);
    // A rate that was not held to the end was not sustained.
    if last.lag >= CAUGHT_UP {
        samples.fill(0.0);
    }
    ground.report.add(&EVERYTHING, samples, disturbance);
    Ok(())
}

fn share(ground: &mut Ground, cpu: &Usage, records: f64, seconds: f64) {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = |(part, used): (&&'static str, &f64)| Share {
        part: (*part).to_owned(),
        micros: 1e6 * used / records.max(1.0),
        share: used / seconds / float(cores as u64),
    };
    ground.report.cpu = cpu.iter().map(share).collect();
    ground
        .report
        .cpu
        .sort_by(|left, right| right.micros.total_cmp(&left.micros));
}

/// How soon the lag of a burst is gone.
async fn burst(ground: &mut Ground, flight: &mut Flight, plan: &Everything) -> anyhow::Result<()> {
    let [base, peak] = plan.burst;
    flight.flow.set_rate(base);
    flight.catch_up(RECOVERED_WITHIN).await?;
    ground.look()?;
    flight.hold(base, plan.burst_for / 2).await?;
    let before = flight.flow.acknowledged();
    flight.hold(peak, plan.burst_for).await?;
    let made = float(flight.flow.acknowledged() - before) / plan.burst_for.as_secs_f64();
    flight.flow.set_rate(base);
    let recovered = flight.catch_up(RECOVERED_WITHIN).await?.as_secs_f64();
    let mut disturbance = ground.disturbance()?;
    let mut done = format!("burst of {peak} records/s: recovered after {recovered:.0} s");
    // What was no burst says nothing of how one is recovered from.
    if made < A_BURST * float(peak) {
        disturbance = 1.0;
        write!(done, ", but the generator made only {made:.0} records/s")?;
    }
    ground.progress.step(&done);
    ground.report.add(&BURST, vec![recovered], disturbance);
    Ok(())
}

/// Waits until everything has reached the partners, and closes the books.
async fn rest(ground: &mut Ground, flight: Flight, within: Duration) -> anyhow::Result<()> {
    let Flight { mut run, flow, .. } = flight;
    let produced = flow.end().await?;
    run.settle(&ground.stack.clusters, within).await?;
    let args = AuditArgs {
        at_rest: true,
        ..run.audit_args()
    };
    let books = audit(&run.auditor()?, &args).await?;
    let stands = if books.balances() {
        "balance"
    } else {
        "DO NOT BALANCE"
    };
    ground.progress.step(&format!(
        "{produced} records have reached both partners; the books {stands}"
    ));
    if !books.balances() {
        let logs = run.keep();
        anyhow::bail!(
            "the books do not balance; logs are kept in {}\n{books}",
            logs.display()
        );
    }
    run.stop().await
}

fn draw(ground: &mut Ground, seen: &[Moment]) {
    let rates = seen.windows(2).filter_map(|pair| match pair {
        [before, after] => {
            let seconds = (after.at - before.at).max(f64::MIN_POSITIVE);
            Some((after.at, (after.records - before.records) / seconds))
        }
        _ => None,
    });
    let lags = seen.iter().filter(|moment| moment.lag.is_finite());
    let curve = |name: &str, y: &str, points: Vec<(f64, f64)>| Curve {
        name: name.to_owned(),
        x: "seconds".to_owned(),
        y: y.to_owned(),
        lines: vec![Line {
            name: "ingestor".to_owned(),
            points,
        }],
    };
    let curves = [
        curve("everything rate", "records/s", rates.collect()),
        curve(
            "everything lag",
            "s",
            lags.map(|moment| (moment.at, moment.lag)).collect(),
        ),
    ];
    ground.report.curves.extend(curves);
}
