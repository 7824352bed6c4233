//! Memory is bounded, whatever there is to do.

use std::time::Duration;

use loadtest::drain::filled;
use loadtest::run::{Run, RunSettings};
use loadtest::service::Kind;
use loadtest::stack::Stack;
use tokio::time::timeout;

use crate::support::{Pipeline, on_shared_threads};

const KEYS: u64 = 500_000;
/// What a drain holds, and what reading and encoding take beside it. All keys, with a message of each batch, take
/// three times as much.
const BOUND: f64 = 32.0 * 1_048_576.0;
/// An eighth below what an ingestor's container has, on Kubernetes as under Docker.
const LIMIT: u64 = 224 << 20;
/// A third more than the buffer holds. They are much alike, so that a fetched megabyte becomes many.
const BACKLOG: u64 = 1_000_000;
/// For a debug build on a machine that has other tests to run.
const BACKLOG_WITHIN: Duration = Duration::from_secs(600);
const WITHIN: Duration = Duration::from_secs(120);
/// Looks that show the same before a service counts as at rest.
const LOOKS: usize = 20;

async fn allocated(run: &Run, kind: Kind) -> f64 {
    run.metric(kind, "memory_allocated_bytes", &[]).await
}

/// A service's memory once it moves no more.
async fn at_rest(run: &Run, kind: Kind) -> f64 {
    let (mut last, mut same) = (0.0, 0);
    let mut looks = tokio::time::interval(Duration::from_millis(200));
    while same < LOOKS {
        looks.tick().await;
        let now = allocated(run, kind).await;
        let is_same = now > 0.0 && (now - last).abs() < 262_144.0;
        same = if is_same { same + 1 } else { 0 };
        last = now;
    }
    last
}

async fn all_removed(stack: &Stack) {
    let [a, b] = &stack.clusters;
    let mut looks = tokio::time::interval(Duration::from_millis(200));
    while a.keys().await.unwrap() + b.keys().await.unwrap() > 0 {
        looks.tick().await;
    }
}

#[test]
fn a_drain_that_kafka_holds_up_stops_reading() {
    on_shared_threads(async {
        let (mut stack, mut run) = filled(KEYS, 100).await.unwrap();
        let before = allocated(&run, Kind::Flipper).await;
        run.flip().await.unwrap();
        let has_begun =
            async |run: &Run| Ok(run.metric(Kind::Flipper, "flipper_urls_drained_total", &[]).await > 0.0);
        run.wait_until("the drain begins", WITHIN, has_begun)
            .await
            .unwrap();

        stack.broker_mut().freeze(true).unwrap();
        let held = timeout(WITHIN, at_rest(&run, Kind::Flipper)).await.unwrap() - before;
        stack.broker_mut().freeze(false).unwrap();
        assert!(held < BOUND, "{held} bytes held");

        timeout(WITHIN, all_removed(&stack)).await.unwrap();
    });
}

#[test]
fn an_ingestor_before_a_long_backlog_stays_below_its_limit() {
    on_shared_threads(async {
        // A flip would take what is refused back, and what is buffered behind it: a slow machine fills no buffer
        // between two flips.
        let settings = RunSettings {
            flip_interval: Duration::from_secs(3_600),
            ..RunSettings::default()
        };
        let mut pipeline = Pipeline::start(settings).await;
        refuse_writes(&pipeline, true).await;
        let ingestor = pipeline.run.service("ingestor-0").unwrap();
        ingestor.terminate().await.unwrap();
        pipeline.produce(91, 0, BACKLOG).await.unwrap();
        let ingestor = pipeline.run.service("ingestor-0").unwrap();
        ingestor.restart().unwrap();
        // Batches that leave it for Redis once it is full make it no emptier than this.
        let is_half_full =
            async |run: &Run| Ok(run.metric(Kind::Ingestor, "buffer_bytes", &[]).await > 48.0 * 1_048_576.0);
        pipeline
            .run
            .wait_until("the buffer is half full", BACKLOG_WITHIN, is_half_full)
            .await
            .unwrap();
        let full = at_rest(&pipeline.run, Kind::Ingestor);
        timeout(BACKLOG_WITHIN, full).await.expect("reading stops");
        refuse_writes(&pipeline, false).await;
        let is_read = async |run: &Run| Ok(run.input_lag().await? == 0);
        pipeline
            .run
            .wait_until("the backlog is read", BACKLOG_WITHIN, is_read)
            .await
            .unwrap();
        let memory = pipeline.run.service("ingestor-0").unwrap().memory().unwrap();
        assert!(memory.peak < LIMIT, "{memory:?}");
        pipeline.run.flip().await.unwrap();
        pipeline.close().await;
    });
}

/// Every master of both clusters asks for a replica before it takes a write, and has none. Short of memory, it would
/// have the flipper open generation after generation.
async fn refuse_writes(pipeline: &Pipeline, refuses: bool) {
    let replicas = if refuses { "1" } else { "0" };
    for cluster in &pipeline.clusters {
        for node in cluster.numbers() {
            cluster
                .configure(node, "min-replicas-to-write", replicas)
                .await
                .unwrap();
        }
    }
}
