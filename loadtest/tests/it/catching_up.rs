//! A partner was down while several generations held the same URLs, and comes back.

use std::pin::Pin;
use std::time::{Duration, Instant};

use loadtest::partners::Misbehaviour;
use loadtest::proxy::Weather;
use loadtest::run::{Run, RunSettings};
use loadtest::service::Kind;

use crate::support::{PATIENCE, Pipeline, has_read, on_shared_threads};

const SOUTH: [(&str, &str); 1] = [("partner", "south")];
const SOUTH_MERGED: [(&str, &str); 2] = [("partner", "south"), ("outcome", "merged")];

/// A pipeline with `generations` of the same URLs, which north has got and which wait for south, which is down.
fn with_south_down(
    dispatchers: usize,
    seed: u64,
    generations: u32,
) -> Pin<Box<dyn Future<Output = Pipeline> + Send>> {
    Box::pin(async move {
        let mut pipeline = Pipeline::start(RunSettings {
            dispatchers,
            flip_interval: Duration::from_secs(1),
            partners: vec![
                ("north".to_owned(), Misbehaviour::default()),
                ("south".to_owned(), Misbehaviour::always(503)),
            ],
            has_proxied_partners: true,
            ..RunSettings::default()
        })
        .await;
        pipeline.fill_generation(seed).await;
        pipeline.wait_until("the circuit opens", is_open).await;
        for _ in 1..generations {
            pipeline.fill_generation(seed).await;
        }
        let north = ["north".to_owned()];
        let settled = pipeline.run.settle_with(&pipeline.clusters, &north, PATIENCE);
        settled.await.unwrap();
        pipeline
            .wait_until("everything waits for south", waits_for_south)
            .await;
        assert_eq!(pipeline.run.partners.status("south").urls, 0);
        pipeline
    })
}

async fn is_open(run: &Run) -> anyhow::Result<bool> {
    let circuit = run.metric(Kind::Dispatcher, "dispatcher_circuit_open", &SOUTH);
    Ok(circuit.await > 0.0)
}

/// Whether the lane of south has read everything, and its circuit is open.
async fn waits_for_south(run: &Run) -> anyhow::Result<bool> {
    Ok(is_open(run).await? && has_read(run, "south").await?)
}

#[test]
fn a_url_that_stands_in_several_waiting_batches_is_sent_once() {
    on_shared_threads(async {
        let mut pipeline = with_south_down(1, 21, 4).await;
        pipeline.run.partners.misbehave("south", Misbehaviour::default());
        let report = pipeline.close().await;
        assert_eq!(report.repeats, 0, "{report}");

        let (south, north) = (pipeline.accepted_by("south"), pipeline.accepted_by("north"));
        assert!(south.values().all(|times| *times == 1));
        assert!(south.keys().all(|url| north.contains_key(url)) && south.len() == north.len());
        assert!(pipeline.last_metric("dispatcher_urls_total", &SOUTH_MERGED) > 0.0);
        // A request a host, however many batches waited.
        let requests = pipeline.last_metric(
            "dispatcher_requests_total",
            &[("partner", "south"), ("code", "200")],
        );
        assert_eq!(requests, f64::from(pipeline.hosts_told("south")));
    });
}

#[test]
fn the_dispatcher_is_killed_while_a_partner_catches_up() {
    on_shared_threads(async {
        let mut pipeline = with_south_down(1, 22, 3).await;
        // Catching up takes a fraction of a second otherwise, and whoever looks more rarely misses it.
        pipeline.run.set_partner_weather("south", Weather::Mute);
        pipeline.run.partners.misbehave("south", Misbehaviour::default());
        let has_begun = async |run: &Run| Ok(run.partners.status("south").urls > 0);
        pipeline.wait_until("south catches up", has_begun).await;
        pipeline.run.kill("dispatcher-0").await.unwrap();
        assert!(pipeline.run.lane_lag("south").await.unwrap() > 0);
        pipeline.run.set_partner_weather("south", Weather::Fair);
        pipeline.run.service("dispatcher-0").unwrap().restart().unwrap();
        pipeline.close().await;
    });
}

#[test]
fn a_lane_that_cannot_send_lets_its_partitions_go_at_once() {
    on_shared_threads(async {
        let mut pipeline = with_south_down(2, 23, 2).await;
        let second = pipeline.run.service("dispatcher-1").unwrap();
        second.terminate().await.unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !waits_for_south(&pipeline.run).await.unwrap() {
            assert!(Instant::now() < deadline, "not everything waits in one lane");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let second = pipeline.run.service("dispatcher-1").unwrap();
        second.restart().unwrap();
        second.wait_until_ready().await.unwrap();
        let has_moved = async |run: &Run| {
            let mut lanes = 0;
            for dispatcher in run.of(Kind::Dispatcher) {
                let group = run.lane_group("south");
                let scrape = dispatcher.metrics().await?;
                let partitions = scrape.sum("kafka_consumer_assigned_partitions", &[("group", &group)]);
                lanes += u32::from(partitions > 0.0);
            }
            Ok(lanes == 2)
        };
        pipeline.wait_until("partitions have moved", has_moved).await;
        let log = std::fs::read_to_string(pipeline.run.dir().join("dispatcher-0.log")).unwrap();
        assert!(log.contains("partitions revoked"));
        assert!(!log.contains("work in flight did not end in time"));

        pipeline.run.partners.misbehave("south", Misbehaviour::default());
        pipeline.run.forget_counters();
        pipeline.close().await;
    });
}
