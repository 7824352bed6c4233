//! What a lane sends its partner, and when. Only a dispatcher runs: a test writes the batches itself.

use std::time::{Duration, Instant};

use hint_schema::{BatchId, HintBatch, HostHints};
use loadtest::partners::Misbehaviour;
use loadtest::proxy::Weather;
use loadtest::run::{Run, RunSettings};
use loadtest::service::Kind;
use tokio::time::interval;

use crate::support::{PATIENCE, Pipeline, has_read, on_shared_threads, put, zone_of};

const A: &str = "www.a.example";
const B: &str = "www.b.example";
const LOOK_EVERY: Duration = Duration::from_millis(200);
const SOUTH: [(&str, &str); 1] = [("partner", "south")];

/// A dispatcher alone, with the partners north, which behaves, and south.
async fn dispatcher(south: Misbehaviour) -> Pipeline {
    let zones = [
        zone_of(1, A, "key-of-a-0123456789"),
        zone_of(2, B, "key-of-b-0123456789"),
    ];
    let settings = RunSettings {
        ingestors: 0,
        flippers: 0,
        partners: vec![
            ("north".to_owned(), Misbehaviour::default()),
            ("south".to_owned(), south),
        ],
        has_proxied_partners: true,
        ..RunSettings::default()
    };
    Pipeline::start_with(&zones, settings).await
}

/// Writes a record of `batches`; all go to one partition.
async fn write(run: &Run, payload: &[u8]) {
    put(&run.kafka, &run.kafka.topics().batches(), 0, &[payload]).await;
}

/// Writes a batch of these paths of a host.
async fn publish(run: &Run, id: u128, host: &str, paths: impl Iterator<Item = String>) {
    let batch = HintBatch {
        id: BatchId::from(id),
        generation: 1,
        created_at_ms: 1,
        hosts: vec![HostHints {
            host: host.to_owned(),
            oldest_event_ms: 1,
            urls: paths.map(|path| format!("https://{host}/{path}")).collect(),
        }],
    };
    write(run, &batch.encode()).await;
}

/// A page for each number.
fn pages(numbers: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    numbers.map(|number| number.to_string())
}

async fn wait_until_finished(pipeline: &Pipeline, partner: &str) {
    let deadline = Instant::now() + PATIENCE;
    let mut looks = interval(LOOK_EVERY);
    while pipeline.run.lane_lag(partner).await.unwrap() > 0 {
        assert!(
            Instant::now() < deadline,
            "the lane of {partner} does not finish every batch"
        );
        looks.tick().await;
    }
}

#[test]
fn a_partner_that_fails_or_asks_for_time_is_left_alone_for_as_long() {
    on_shared_threads(async {
        let mut pipeline = dispatcher(Misbehaviour::always(503)).await;
        // One host, so that one request at a time is under way.
        publish(&pipeline.run, 1, A, pages(0..1)).await;
        let is_tried_again = async |run: &Run| {
            let answers = run.partners.status("south").answers;
            Ok(answers.get(&503).is_some_and(|failures| *failures >= 2))
        };
        pipeline.wait_until("south is tried again", is_tried_again).await;
        pipeline
            .run
            .partners
            .misbehave("south", Misbehaviour::busy_for(5));
        let has_understood = async |run: &Run| {
            let until = "dispatcher_throttled_until_timestamp_seconds";
            Ok(run.metric(Kind::Dispatcher, until, &SOUTH).await > 0.0)
        };
        pipeline.wait_until("south asks for time", has_understood).await;
        pipeline.run.partners.misbehave("south", Misbehaviour::default());
        // What it asked for goes for another host as well.
        publish(&pipeline.run, 2, B, pages(0..1)).await;
        wait_until_finished(&pipeline, "south").await;
        let south = pipeline.run.partners.status("south");
        assert_eq!((south.urls, south.too_early), (2, 0), "{south:?}");
        pipeline.run.stop().await.unwrap();
    });
}

#[test]
fn on_call_pauses_a_partner_and_lets_it_go_on() {
    on_shared_threads(async {
        let mut pipeline = dispatcher(Misbehaviour::default()).await;
        pipeline.run.set_paused("south", true).await.unwrap();
        publish(&pipeline.run, 1, A, pages(0..10)).await;
        wait_until_finished(&pipeline, "north").await;
        let has_read = async |run: &Run| has_read(run, "south").await;
        pipeline
            .wait_until("the lane of south has read it", has_read)
            .await;
        let got = |partner| pipeline.run.partners.status(partner).urls;
        assert_eq!((got("north"), got("south")), (10, 0));

        pipeline.run.set_paused("south", false).await.unwrap();
        wait_until_finished(&pipeline, "south").await;
        assert_eq!(pipeline.run.partners.status("south").urls, 10);
        pipeline.run.stop().await.unwrap();
    });
}

#[test]
fn a_request_has_no_more_than_ten_thousand_urls_and_five_mebibytes() {
    on_shared_threads(async {
        let mut pipeline = dispatcher(Misbehaviour::default()).await;
        // What waits goes together as far as there is room for it.
        pipeline.run.set_paused("south", true).await.unwrap();
        for number in 0..2 {
            let paths = pages(number * 6_000..(number + 1) * 6_000);
            publish(&pipeline.run, number.into(), A, paths).await;
        }
        for number in 2..9 {
            let paths = pages(number * 400..(number + 1) * 400);
            let long = paths.map(|path| format!("{path}{}", "x".repeat(1_950)));
            publish(&pipeline.run, number.into(), B, long).await;
        }
        let has_read = async |run: &Run| has_read(run, "south").await;
        pipeline.wait_until("all of it waits", has_read).await;
        pipeline.run.set_paused("south", false).await.unwrap();
        wait_until_finished(&pipeline, "south").await;

        let south = pipeline.run.partners.status("south");
        assert!(south.violations.is_empty(), "{:?}", south.violations);
        assert_eq!(south.urls, 2 * 6_000 + 7 * 400, "{:?}", south.answers);
        // Two of each host: one is full, the other has the rest.
        assert_eq!(south.answers, [(200, 4)].into());
        pipeline.run.stop().await.unwrap();
    });
}

#[test]
fn a_partner_that_does_not_answer_in_time_is_counted_and_tried_again() {
    on_shared_threads(async {
        let mut pipeline = dispatcher(Misbehaviour::default()).await;
        pipeline.run.set_partner_weather("south", Weather::Silent);
        publish(&pipeline.run, 1, A, pages(0..10)).await;
        let is_counted = async |run: &Run| {
            let timeout = [("partner", "south"), ("code", "timeout")];
            let requests = run.metric(Kind::Dispatcher, "dispatcher_requests_total", &timeout);
            Ok(requests.await > 0.0)
        };
        pipeline.wait_until("no answer in time", is_counted).await;
        pipeline.run.set_partner_weather("south", Weather::Fair);
        wait_until_finished(&pipeline, "south").await;
        let accepted = pipeline.accepted_by("south");
        assert_eq!(accepted.len(), 10);
        pipeline.run.stop().await.unwrap();
    });
}

#[test]
fn a_batch_that_cannot_be_read_is_passed_over_and_counted() {
    on_shared_threads(async {
        let mut pipeline = dispatcher(Misbehaviour::default()).await;
        publish(&pipeline.run, 1, A, pages(0..10)).await;
        write(&pipeline.run, b"no batch").await;
        publish(&pipeline.run, 2, B, pages(0..10)).await;
        for partner in ["north", "south"] {
            wait_until_finished(&pipeline, partner).await;
            assert_eq!(pipeline.run.partners.status(partner).urls, 20);
            let group = pipeline.run.lane_group(partner);
            let unread = [("group", group.as_str()), ("reason", "decode")];
            let counted = pipeline
                .run
                .metric(Kind::Dispatcher, "kafka_consumer_errors_total", &unread);
            assert_eq!(counted.await, 1.0, "{partner}");
        }
        pipeline.run.stop().await.unwrap();
    });
}
