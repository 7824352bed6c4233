//! No log and no metric tells a secret, a path or a query string, however much is logged and whatever fails.

use std::process::Command;

use hint_schema::cache_miss::CacheMiss;
use loadtest::partners::Misbehaviour;
use loadtest::produce::producer;
use loadtest::run::{Run, RunSettings};
use loadtest::service::Kind;
use messagebus::{OutRecord, Producer, now_ms};

use crate::settings::program;
use crate::support::{Pipeline, on_shared_threads, read_logs, zone_of};

/// What must stand in no log. Secrets of the run itself are among them: the services' passwords, the admin token and
/// the master key.
const MARKS: [&str; 9] = [
    "mark-path",
    "mark-query",
    "mark-user",
    "mark-password",
    "mark-junk",
    "mark-own-key",
    "password-of-",
    "an admin token",
    "a master key",
];

const ALL: &str =
    "debug,ingestor=trace,flipper=trace,dispatcher=trace,hinters=trace,generations=trace,messagebus=trace";

const HOST: &str = "www.marked.example";

fn urls() -> Vec<String> {
    let spoiled = [
        format!("https://mark-user:mark-password@{HOST}/mark-path"),
        format!("https://{HOST}/mark-path?access_token=mark-query"),
        format!("https://{HOST}:8443/mark-path?q=mark-query"),
        "https://elsewhere.example/mark-path?q=mark-query".to_owned(),
        format!("https://{HOST}/mark-path%00?q=mark-query"),
        "https://127.0.0.1/mark-path?q=mark-query".to_owned(),
        format!("ftp://{HOST}/mark-path?q=mark-query"),
        format!("https://{HOST}/mark-path\u{7f}?q=mark-query"),
        format!("https://{HOST}/mark-path?q={}", "mark-query".repeat(300)),
        "mark-path?mark-query".to_owned(),
    ];
    let good = (0..200).map(|n| format!("https://{HOST}/mark-path/{n}?q=mark-query&r={n}#mark-query"));
    good.chain(spoiled).collect()
}

async fn send(producer: &Producer, topic: &str, key: &[u8], payload: &[u8]) {
    let record = OutRecord {
        topic,
        partition: None,
        key,
        payload: Some(payload),
        headers: &[],
    };
    producer.send(record).await.unwrap();
}

async fn send_marked(run: &Run) {
    let (topics, producer) = (run.kafka.topics(), producer(&run.kafka).unwrap());
    send(&producer, &topics.zones(), b"8", b"mark-junk, not a zone").await;
    for url in urls() {
        let miss = CacheMiss {
            timestamp_ms: now_ms(),
            url: &url,
            zone_id: 7,
            origin_status: 200,
            content_type: "text/html",
            content_hash: b"mark-junk",
            etag: "mark-query",
            data_center: "mark-junk",
            ..CacheMiss::default()
        };
        send(&producer, &topics.cache_misses(), b"mark-junk", &miss.encode()).await;
    }
    send(
        &producer,
        &topics.cache_misses(),
        b"mark-junk",
        b"mark-junk, not a message",
    )
    .await;
    send(
        &producer,
        &topics.batches(),
        b"mark-junk",
        b"mark-junk, not a batch",
    )
    .await;
    send(
        &producer,
        &topics.generations(),
        b"mark-junk",
        b"mark-junk, not an event",
    )
    .await;
}

fn find_marks(place: &str, text: &str) {
    for line in text.lines() {
        let told = MARKS.iter().find(|mark| line.contains(*mark));
        assert!(told.is_none(), "{place} tells {told:?}: {line}");
    }
}

#[test]
fn no_log_and_no_metric_tells_a_secret_a_path_or_a_query() {
    on_shared_threads(async {
        let zone = zone_of(7, HOST, "mark-own-key-0123456789");
        let settings = RunSettings {
            partners: vec![
                ("north".to_owned(), Misbehaviour::always(422)),
                ("south".to_owned(), Misbehaviour::always(503)),
            ],
            settings: vec![("RUST_LOG".to_owned(), ALL.to_owned())],
            ..RunSettings::default()
        };
        let mut pipeline = Pipeline::start_with(&[zone], settings).await;
        send_marked(&pipeline.run).await;
        let has_failed = async |run: &Run| {
            let of = |partner| [("partner", partner)];
            let refused = [("partner", "north"), ("outcome", "undeliverable")];
            let refused = run
                .metric(Kind::Dispatcher, "dispatcher_urls_total", &refused)
                .await;
            let open = run
                .metric(Kind::Dispatcher, "dispatcher_circuit_open", &of("south"))
                .await;
            Ok(refused >= 200.0 && open > 0.0)
        };
        pipeline.wait_until("both partners have failed", has_failed).await;
        // Whoever is not let in is not told why with the token that would do.
        let flipper = pipeline.run.of(Kind::Flipper).next().unwrap().admin;
        let guess = reqwest::Client::new().post(format!("http://{flipper}/flip?token=mark-query"));
        let status = guess.bearer_auth("mark-password").send().await.unwrap().status();
        assert_eq!(status, 401);
        pipeline.clusters[0].cut(0).await.unwrap();
        for service in &pipeline.run.services {
            let url = format!("http://{}/metrics", service.admin);
            let metrics = reqwest::get(url).await.unwrap().text().await.unwrap();
            find_marks(service.name(), &metrics);
        }
        pipeline.run.partners.misbehave("south", Misbehaviour::default());
        let has_arrived = async |run: &Run| {
            let south = [("partner", "south"), ("outcome", "accepted")];
            Ok(run
                .metric(Kind::Dispatcher, "dispatcher_urls_total", &south)
                .await
                >= 200.0)
        };
        pipeline.wait_until("south has everything", has_arrived).await;
        pipeline.run.stop().await.unwrap();
        let logs = read_logs(pipeline.run.dir());
        for spoken in ["ingestor::", "dispatcher::", "flipper::", HOST] {
            assert!(
                logs.contains(spoken),
                "the logs say nothing of {spoken}: {} bytes",
                logs.len()
            );
        }
        find_marks("a log", &logs);
        // Each service did all of this with no more than its rights.
        for refusal in ["NOPERM", "uthorization failed", "AuthorizationFailed"] {
            assert!(!logs.contains(refusal), "{refusal} in the logs");
        }
    });
}

#[test]
fn a_setting_that_holds_a_password_is_refused_without_telling_it() {
    for url in [
        "redis://mark-user:mark-password@127.0.0.1:1",
        "redis://:mark-password@127.0.0.1:1",
        "redis://127.0.0.1:1/?password=mark-query",
    ] {
        let output = Command::new(program("ingestor"))
            .env_clear()
            .env("REDIS_A", url)
            .env("REDIS_B", "redis://127.0.0.1:2")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("REDIS_A"), "{said}");
        find_marks("standard error", &said);
    }
}
