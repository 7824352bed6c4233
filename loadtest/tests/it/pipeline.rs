//! Without faults.

use std::time::Duration;

use hint_schema::cache_miss::CacheMiss;
use loadtest::audit::Report;
use loadtest::partners::Misbehaviour;
use loadtest::produce::{produce_zones, producer};
use loadtest::run::{Run, RunSettings};
use loadtest::service::Kind;
use messagebus::{OutRecord, now_ms};

use crate::support::{Pipeline, batch_records, on_shared_threads, zone_of, zones};

#[test]
fn everything_accepted_reaches_every_partner_and_every_generation_is_audited() {
    on_shared_threads(async {
        let mut pipeline = Pipeline::start(RunSettings {
            ingestors: 2,
            flippers: 2,
            dispatchers: 2,
            ..RunSettings::default()
        })
        .await;
        let produced = pipeline.produce(1, 4_000, 24_000).await.unwrap();
        let is_timed = async |run: &Run| {
            let flip = [("step", "flip")];
            Ok(run
                .metric(Kind::Flipper, "step_duration_seconds_count", &flip)
                .await
                > 0.0)
        };
        pipeline.wait_until("the time of a flip is told", is_timed).await;
        let is_forgotten = async |run: &Run| Ok(run.oldest_generation().await > Some(0));
        pipeline
            .wait_until("the log speaks of generation 0 no more", is_forgotten)
            .await;
        let report = pipeline.close().await;
        assert_eq!(report.records, produced);
        assert_eq!(
            (report.generations.unaudited, report.generations.failed),
            (0, 0),
            "{report}"
        );
        assert!(
            report.generations.settled >= 2 && report.requests_per_host <= 1.2,
            "{report}"
        );
        assert_eq!(report.repeats, 0, "{report}");
    });
}

#[test]
fn a_host_of_many_pages_is_drained_to_exact_books() {
    on_shared_threads(async {
        let mut pipeline = Pipeline::start(RunSettings {
            settings: vec![("BATCH_MAX_URLS".to_owned(), "20".to_owned())],
            ..RunSettings::default()
        })
        .await;
        pipeline.produce(3, 4_000, 12_000).await.unwrap();
        let report = pipeline.close().await;
        assert_eq!(
            (report.generations.unaudited, report.generations.failed),
            (0, 0),
            "{report}"
        );
        assert_eq!(report.repeats, 0, "{report}");
    });
}

#[test]
fn no_batch_is_larger_than_it_may_be() {
    on_shared_threads(async {
        const MOST: usize = 4_096;
        let mut pipeline = Pipeline::start(RunSettings {
            settings: vec![("BATCH_MAX_BYTES".to_owned(), MOST.to_string())],
            ..RunSettings::default()
        })
        .await;
        pipeline.produce(14, 0, 6_000).await.unwrap();
        pipeline.close().await;
        let batches = batch_records(&pipeline.run.kafka).await;
        let largest = batches.iter().map(|(_, payload)| payload.len()).max();
        assert!(largest > Some(MOST / 2) && largest <= Some(MOST), "{largest:?}");
    });
}

#[test]
fn a_generation_of_many_urls_is_closed_before_its_interval_is_over() {
    on_shared_threads(async {
        let mut pipeline = Pipeline::start(RunSettings {
            flip_interval: Duration::from_secs(3_600),
            settings: vec![("FLIP_MAX_URLS".to_owned(), "1000".to_owned())],
            ..RunSettings::default()
        })
        .await;
        pipeline.produce(15, 0, 6_000).await.unwrap();
        let has_flipped = async |run: &Run| {
            let size = [("outcome", "size")];
            Ok(run.metric(Kind::Flipper, "flipper_flips_total", &size).await > 0.0)
        };
        pipeline
            .wait_until("the next generation is opened", has_flipped)
            .await;
        let is_read = async |run: &Run| Ok(run.input_lag().await? == 0);
        pipeline.wait_until("the input is read", is_read).await;
        // What is left may be too little to be closed by itself.
        pipeline.run.flip().await.unwrap();
        pipeline.close().await;
    });
}

#[test]
fn a_flipper_that_stands_by_does_not_do_what_it_is_asked_and_says_so() {
    on_shared_threads(async {
        let mut pipeline = Pipeline::start(RunSettings {
            ingestors: 0,
            flippers: 2,
            dispatchers: 0,
            flip_interval: Duration::from_secs(3_600),
            ..RunSettings::default()
        })
        .await;
        let is_open = async |run: &Run| Ok(run.active_generation().await.is_some());
        pipeline.wait_until("one of them works", is_open).await;
        let works = pipeline.run.elected_flipper().await;
        for flipper in pipeline.run.of(Kind::Flipper) {
            let (status, said) = pipeline.run.flip_at(flipper).await.unwrap();
            let stands_by = works.as_deref() != Some(flipper.name());
            assert_eq!(status, if stands_by { 409 } else { 202 }, "{said}");
            assert_eq!(said.contains("stands by"), stands_by, "{said}");
        }
        pipeline.run.stop().await.unwrap();
    });
}

#[test]
fn every_zone_is_there_when_ingestors_start() {
    on_shared_threads(async {
        let mut pipeline = Pipeline::start(RunSettings {
            ingestors: 2,
            ..RunSettings::default()
        })
        .await;
        // What each found in the topic when it became ready: a zone that comes later is not counted.
        let found_all = async |run: &Run| Ok(run.logged("zones read enabled=12 disabled=0") == 2);
        pipeline.wait_until("both find all zones", found_all).await;
        assert_eq!(zones().len(), 12);
    });
}

/// Asks services to end, one after the other in the midst of traffic, and starts each again.
async fn asked_to_end(names: &[&str]) -> Report {
    let mut pipeline = Pipeline::start(RunSettings {
        ingestors: 2,
        ..RunSettings::default()
    })
    .await;
    let producing = pipeline.produce(2, 3_000, 18_000);
    let has_begun =
        async |run: &Run| Ok(run.metric(Kind::Ingestor, "ingestor_urls_total", &[]).await > 3_000.0);
    pipeline.wait_until("ingesting begins", has_begun).await;
    for name in names {
        let service = pipeline.run.service(name).unwrap();
        service.terminate().await.unwrap();
        service.restart().unwrap();
        service.wait_until_ready().await.unwrap();
    }
    pipeline.run.forget_counters();
    producing.await.unwrap();
    pipeline.close().await
}

#[test]
fn an_ingestor_and_a_dispatcher_that_are_asked_to_end_leave_exact_books() {
    on_shared_threads(async {
        let report = asked_to_end(&["ingestor-0", "dispatcher-0"]).await;
        let inexact = (report.generations.unaudited, report.generations.failed);
        assert_eq!(inexact, (0, 0), "{report}");
    });
}

#[test]
fn a_flipper_that_is_asked_to_end_leaves_no_more_than_its_own_drain_unaudited() {
    on_shared_threads(async {
        let report = asked_to_end(&["flipper-0"]).await;
        let generations = &report.generations;
        assert!(generations.failed == 0 && generations.unaudited <= 1, "{report}");
    });
}

#[test]
fn a_host_that_opts_out_while_its_hints_wait_is_not_sent() {
    on_shared_threads(async {
        let mut pipeline = Pipeline::start(RunSettings {
            partners: vec![
                ("north".to_owned(), Misbehaviour::default()),
                ("south".to_owned(), Misbehaviour::always(503)),
            ],
            ..RunSettings::default()
        })
        .await;
        pipeline.produce(9, 0, 4_000).await.unwrap();
        let south_waits = async |run: &Run| {
            let south = [("partner", "south")];
            Ok(run
                .metric(Kind::Dispatcher, "dispatcher_circuit_open", &south)
                .await
                > 0.0)
        };
        pipeline
            .wait_until("the circuit of south is open", south_waits)
            .await;
        pipeline.opt_out(1).await;
        pipeline.run.partners.misbehave("south", Misbehaviour::default());
        pipeline.close().await;
        let opted_out = [("partner", "south"), ("outcome", "opted_out")];
        assert!(pipeline.last_metric("dispatcher_urls_total", &opted_out) > 0.0);
        assert!(!pipeline.has_got("south", "www.site-0.example"));
        assert!(pipeline.has_got("north", "www.site-0.example"));
    });
}

/// The zone of [`a_zone_that_opts_in_or_out_while_ingestors_run_is_heard_of`].
const LATE: u64 = 900;

async fn zones_known(run: &Run, state: &str) -> f64 {
    run.metric(Kind::Ingestor, "optin_zones", &[("state", state)])
        .await
}

/// Sends a record of that zone.
async fn send_late(run: &Run, url: &str) {
    let miss = CacheMiss {
        timestamp_ms: now_ms(),
        url,
        zone_id: LATE,
        origin_status: 200,
        content_type: "text/html",
        ..CacheMiss::default()
    };
    let (topic, payload) = (run.kafka.topics().cache_misses(), miss.encode());
    let record = OutRecord {
        topic: &topic,
        partition: None,
        key: b"www.late.example",
        payload: Some(&payload),
        headers: &[],
    };
    producer(&run.kafka).unwrap().send(record).await.unwrap();
}

#[test]
fn a_zone_that_opts_in_or_out_while_ingestors_run_is_heard_of() {
    on_shared_threads(async {
        let mut pipeline = Pipeline::start(RunSettings::default()).await;
        let mut zone = zone_of(LATE, "www.late.example", "own-key-of-the-late-zone");
        produce_zones(&pipeline.run.kafka, std::slice::from_ref(&zone))
            .await
            .unwrap();
        let has_opted_in = async |run: &Run| Ok(zones_known(run, "enabled").await == 13.0);
        pipeline
            .wait_until("the ingestor hears of it", has_opted_in)
            .await;
        pipeline.wait_for_key_file(&zone.hosts[0], 200).await;
        send_late(&pipeline.run, "https://www.late.example/in").await;
        let are_told = async |run: &Run| {
            let mut names = run.partner_names().iter();
            Ok(names.all(|name| run.partners.status(name).urls == 1))
        };
        pipeline.wait_until("partners are told", are_told).await;

        zone.enabled = false;
        produce_zones(&pipeline.run.kafka, std::slice::from_ref(&zone))
            .await
            .unwrap();
        let has_opted_out = async |run: &Run| Ok(zones_known(run, "disabled").await == 1.0);
        pipeline
            .wait_until("the ingestor hears of it", has_opted_out)
            .await;
        send_late(&pipeline.run, "https://www.late.example/out").await;
        let is_filtered = async |run: &Run| {
            let filtered = [("outcome", "filtered"), ("reason", "not_opted_in")];
            let filtered = run.metric(Kind::Ingestor, "ingestor_records_total", &filtered);
            Ok(filtered.await == 1.0)
        };
        pipeline.wait_until("its record is filtered", is_filtered).await;
        let report = pipeline.close().await;
        assert_eq!(report.records, 2, "{report}");
        let told = pipeline.accepted_by("north").into_keys();
        assert!(told.eq(["https://www.late.example/in"]));
    });
}
