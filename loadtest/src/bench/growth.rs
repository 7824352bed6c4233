//! What grows with the input: time a record, memory, requests.

use super::drains::{Trial, drain};
use super::ground::{Ground, PATIENCE, opt_in};
use super::ingest::write_keys;
use super::input::{HOSTS, Input};
use super::metric::{DISPATCHER_RSS, FLIPPER_RSS, GROWTH_MEMORY, GROWTH_TIME, INGESTOR_RSS};
use super::mix::Mix;
use super::number::{float, mebibytes};
use super::report::{Curve, Line};
use super::sink::Sink;
use super::statistics::median;
use crate::drain::{active, only_flips_when_asked};
use crate::run::{Run, RunSettings};
use crate::service::Kind;

const PARTNER: &str = "north";

/// Points of one size: time an item, and memory.
#[derive(Clone, Debug, Default)]
struct Grown {
    micros: Vec<f64>,
    memory: Vec<f64>,
}

/// Measures the rows of growth.
///
/// # Errors
/// Something does not start, or does not come to its end.
pub(super) async fn measure(ground: &mut Ground) -> anyhow::Result<()> {
    let records = Box::pin(ingest(ground)).await?;
    let keys = Box::pin(drains(ground)).await?;
    let requests = Box::pin(spread(ground)).await?;
    let plan = ground.plan;
    let line = |name: &str, sizes: [u64; 2], of: fn(&Grown) -> &Vec<f64>, grown: &[Grown; 2]| Line {
        name: name.to_owned(),
        points: sizes
            .into_iter()
            .zip(grown)
            .filter_map(|(size, grown)| Some((float(size), median(of(grown))?)))
            .collect(),
    };
    let lines = |of: fn(&Grown) -> &Vec<f64>| {
        vec![
            line("ingestor", plan.growth_records, of, &records),
            line("flipper", plan.growth_keys, of, &keys),
        ]
    };
    let curve = |name: &str, x: &str, y: &str, lines: Vec<Line>| Curve {
        name: name.to_owned(),
        x: x.to_owned(),
        y: y.to_owned(),
        lines,
    };
    let curves = [
        curve(
            "time a record",
            "records or keys",
            "µs",
            lines(|grown| &grown.micros),
        ),
        curve(
            "resident memory",
            "records or keys",
            "MiB",
            lines(|grown| &grown.memory),
        ),
        curve("requests a partner", "hosts", "requests", vec![requests]),
    ];
    ground.report.curves.extend(curves);
    Ok(())
}

/// An input and one ten times as large, in turn.
async fn ingest(ground: &mut Ground) -> anyhow::Result<[Grown; 2]> {
    let mut inputs = Vec::new();
    for records in ground.plan.growth_records {
        inputs.push(Input::prepare(ground, Mix::unique(HOSTS), records).await?);
    }
    ground.look()?;
    let mut grown = [Grown::default(), Grown::default()];
    for _ in 0..ground.plan.growth_rounds {
        for (input, grown) in inputs.iter_mut().zip(&mut grown) {
            let (pace, memory) = input.ingest(ground).await?;
            grown.micros.push(1e6 / pace.rate);
            grown.memory.push(mebibytes(memory.peak));
        }
        ground.progress.step(&said("input", &grown));
    }
    let disturbance = ground.disturbance()?;
    for input in inputs {
        input.end().await?;
    }
    let [small, large] = &grown;
    ground
        .report
        .add(&GROWTH_TIME, ratios(&large.micros, &small.micros), disturbance);
    ground
        .report
        .add(&INGESTOR_RSS, large.memory.clone(), disturbance);
    Ok(grown)
}

/// A generation and one twenty times as large, in turn.
async fn drains(ground: &mut Ground) -> anyhow::Result<[Grown; 2]> {
    ground.look()?;
    let mut grown = [Grown::default(), Grown::default()];
    for _ in 0..ground.plan.growth_rounds {
        for (keys, grown) in ground.plan.growth_keys.into_iter().zip(&mut grown) {
            let Trial { drained, .. } = drain(ground, keys).await?;
            grown.micros.push(1e6 * drained.seconds / float(keys));
            grown.memory.push(mebibytes(drained.peak));
        }
        ground.progress.step(&said("generation", &grown));
    }
    let disturbance = ground.disturbance()?;
    let [small, large] = &grown;
    ground
        .report
        .add(&GROWTH_MEMORY, ratios(&large.memory, &small.memory), disturbance);
    ground.report.add(&FLIPPER_RSS, large.memory.clone(), disturbance);
    Ok(grown)
}

/// The same keys of more and more hosts: how many requests a partner gets.
async fn spread(ground: &mut Ground) -> anyhow::Result<Line> {
    let (mut points, mut memory) = (Vec::new(), Vec::new());
    ground.look()?;
    for hosts in ground.plan.spread_hosts {
        let (requests, resident) = requests(ground, hosts).await?;
        ground
            .progress
            .step(&format!("{hosts} hosts: {requests:.0} requests"));
        points.push((f64::from(hosts), requests));
        memory = vec![resident];
    }
    ground.report.add(&DISPATCHER_RSS, memory, ground.disturbance()?);
    Ok(Line {
        name: format!("{} URLs", ground.plan.spread_keys),
        points,
    })
}

/// Requests for one generation of so many hosts, and the dispatcher's largest memory in MiB.
async fn requests(ground: &mut Ground, hosts: u32) -> anyhow::Result<(f64, f64)> {
    let (kafka, keys) = (ground.fresh().await?, ground.plan.spread_keys);
    opt_in(&kafka, hosts).await?;
    let sink = Sink::start().await?;
    let usual = only_flips_when_asked();
    let settings = RunSettings {
        ingestors: 0,
        partners: vec![(PARTNER.to_owned(), crate::partners::Misbehaviour::default())],
        settings: [usual.settings.clone(), vec![sink.setting(&[PARTNER])]].concat(),
        ..usual
    };
    let mut run = Run::start(&kafka, &ground.stack.clusters, settings).await?;
    let (generation, cluster) = active(&mut run, &ground.stack.clusters).await?;
    write_keys(cluster, Mix::unique(hosts), generation, keys).await?;
    crate::drain::drain_now(&mut run, keys, PATIENCE).await?;
    run.wait_until("every batch is delivered", PATIENCE, async |run| {
        Ok(run.lane_lag(PARTNER).await? == 0)
    })
    .await?;
    let dispatcher = run.of(Kind::Dispatcher).next();
    let memory = dispatcher.map_or(Ok(0), |service| service.memory().map(|memory| memory.peak))?;
    run.stop().await?;
    Ok((float(sink.requests()), mebibytes(memory)))
}

/// The last trial of each size, in words.
fn said(what: &str, [small, large]: &[Grown; 2]) -> String {
    let last = |samples: &[f64]| samples.last().copied().unwrap_or_default();
    format!(
        "growth of the {what}: {:.2} and {:.2} µs each, {:.0} and {:.0} MiB",
        last(&small.micros),
        last(&large.micros),
        last(&small.memory),
        last(&large.memory)
    )
}

/// How often the one is the other, trial by trial.
fn ratios(large: &[f64], small: &[f64]) -> Vec<f64> {
    large
        .iter()
        .zip(small)
        .map(|(large, small)| large / small)
        .collect()
}
