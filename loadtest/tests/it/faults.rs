//! Under faults: whatever fails, nothing is lost and nothing is invented.

use std::time::{Duration, Instant};

use generations::{SLOTS, slot_of_host};
use hint_schema::HintBatch;
use loadtest::drain::fill;
use loadtest::partners::Misbehaviour;
use loadtest::produce::producer;
use loadtest::proxy::{Weather, Whose};
use loadtest::run::{Run, RunSettings};
use loadtest::service::Kind;
use loadtest::stack::RedisCluster;
use messagebus::OutRecord;

use crate::support::{
    PATIENCE, Pipeline, batch_records, broker, on_shared_threads, produce_pages, shared_broker, zone_of,
};

/// So often the number of keys has to be the same before nothing is removed any more.
const LOOKS: usize = 20;

#[test]
fn of_two_ingestors_that_share_partitions_one_is_killed() {
    on_shared_threads(async {
        let mut pipeline = Pipeline::start(RunSettings {
            ingestors: 2,
            ..RunSettings::default()
        })
        .await;
        let producing = pipeline.produce(3, 3_000, 24_000);
        let both_work = async |run: &Run| {
            let mut at_work = 0;
            for ingestor in run.of(Kind::Ingestor) {
                at_work += u32::from(ingestor.metrics().await?.sum("ingestor_urls_total", &[]) > 0.0);
            }
            Ok(at_work == 2)
        };
        pipeline.wait_until("both ingestors write", both_work).await;
        pipeline.run.kill("ingestor-0").await.unwrap();
        producing.await.unwrap();
        let report = pipeline.close().await;
        assert_eq!(report.generations.failed, 0, "{report}");
    });
}

#[test]
fn the_flipper_is_killed_between_acknowledgement_and_removal() {
    on_shared_threads(async {
        let mut pipeline = Pipeline::start(RunSettings {
            flip_interval: Duration::from_secs(3_600),
            ..RunSettings::default()
        })
        .await;
        pipeline.produce(4, 0, 6_000).await.unwrap();
        let is_read = async |run: &Run| Ok(run.input_lag().await? == 0);
        pipeline.wait_until("the input is read", is_read).await;

        // Generation 0 stands in A: it is read, published and acknowledged, and its removal waits.
        pipeline.clusters[0].pause_writes(PATIENCE).await.unwrap();
        pipeline.run.flip().await.unwrap();
        let is_acknowledged = async |run: &Run| Ok(run.batches().await? > 0);
        pipeline
            .wait_until("a batch is acknowledged", is_acknowledged)
            .await;
        pipeline.run.kill("flipper-0").await.unwrap();
        assert!(pipeline.clusters[0].keys().await.unwrap() > 0);
        pipeline.clusters[0].resume_writes().await.unwrap();

        let flipper = pipeline.run.service("flipper-0").unwrap();
        flipper.restart().unwrap();
        flipper.wait_until_ready().await.unwrap();
        let report = pipeline.close().await;
        assert_eq!(report.generations.failed, 0, "{report}");
    });
}

#[test]
fn what_kafka_has_not_acknowledged_stays_in_redis() {
    on_shared_threads(async {
        // Several times what a drain holds.
        const KEYS: u64 = 200_000;
        let broker = shared_broker().await;
        let mut pipeline = Pipeline::start(RunSettings {
            ingestors: 0,
            dispatchers: 0,
            flip_interval: Duration::from_secs(3_600),
            settings: vec![("KAFKA_BROKERS".to_owned(), broker.proxied().to_string())],
            ..RunSettings::default()
        })
        .await;
        let is_open = async |run: &Run| Ok(run.active_generation().await == Some(0));
        pipeline.wait_until("generation 0 is open", is_open).await;
        fill(&pipeline.clusters[0], 0, KEYS, 100).await.unwrap();

        // No name goes before Kafka does: the drain stops for want of room.
        pipeline.clusters[0].pause_writes(PATIENCE).await.unwrap();
        pipeline.run.flip().await.unwrap();
        let has_begun = async |run: &Run| Ok(run.batches().await? > 0);
        pipeline.wait_until("the drain begins", has_begun).await;
        let flipper = pipeline.run.service("flipper-0").unwrap().id().unwrap();
        broker.set_weather(Weather::Refusing, Whose::Process(flipper));
        pipeline.clusters[0].resume_writes().await.unwrap();
        let left = keys_at_rest(&pipeline.clusters[0]).await;
        pipeline.run.kill("flipper-0").await.unwrap();
        broker.set_weather(Weather::Fair, Whose::All);

        let batches = batch_records(&pipeline.run.kafka).await;
        let batches = batches
            .iter()
            .map(|(_, payload)| HintBatch::decode(payload).unwrap());
        let acknowledged: usize = batches.map(|batch| batch.url_count()).sum();
        let removed = usize::try_from(KEYS - left).unwrap();
        assert!(
            left > 0 && removed <= acknowledged,
            "{removed} removed, {acknowledged} stand in batches, {left} left"
        );
    });
}

#[test]
fn a_batch_that_was_sent_again_is_submitted_once() {
    on_shared_threads(async {
        let mut pipeline = Pipeline::start(RunSettings::default()).await;
        pipeline.produce(12, 0, 3_000).await.unwrap();
        pipeline.run.settle(&pipeline.clusters, PATIENCE).await.unwrap();
        let (partition, payload) = batch_records(&pipeline.run.kafka).await.remove(0);
        let key = partition.to_string();
        let record = OutRecord {
            topic: &pipeline.run.kafka.topics().batches(),
            partition: Some(partition),
            key: key.as_bytes(),
            payload: Some(&payload),
            headers: &[],
        };
        let producer = producer(&pipeline.run.kafka).unwrap();
        producer.send(record).await.unwrap();
        let report = pipeline.close().await;
        assert_eq!(report.repeats, 0, "{report}");
        // By each lane.
        assert_eq!(pipeline.run.logged("a batch that was sent again is dropped"), 2);
    });
}

#[test]
fn the_dispatcher_is_killed_while_it_delivers() {
    on_shared_threads(async {
        let mut pipeline = Pipeline::start(RunSettings::default()).await;
        let producing = pipeline.produce(5, 3_000, 18_000);
        let delivers = async |run: &Run| Ok(run.partners.status("north").urls > 500);
        pipeline.wait_until("north is told", delivers).await;
        pipeline.run.kill("dispatcher-0").await.unwrap();
        pipeline.run.service("dispatcher-0").unwrap().restart().unwrap();
        producing.await.unwrap();
        let report = pipeline.close().await;
        assert_eq!(
            (report.generations.unaudited, report.generations.failed),
            (0, 0),
            "{report}"
        );
    });
}

#[test]
fn a_partner_is_down_for_a_while() {
    on_shared_threads(async {
        let mut pipeline = Pipeline::start(RunSettings {
            partners: vec![
                ("north".to_owned(), Misbehaviour::default()),
                ("south".to_owned(), Misbehaviour::always(503)),
            ],
            ..RunSettings::default()
        })
        .await;
        pipeline.produce(6, 0, 6_000).await.unwrap();
        pipeline
            .wait_until("the circuit of south is open", south_alone_is_open)
            .await;
        let before = pipeline.run.partners.status("north").urls;
        pipeline.produce(13, 0, 6_000).await.unwrap();
        let goes_on = async move |run: &Run| {
            let told = run.partners.status("north").urls - before;
            Ok(south_alone_is_open(run).await? && told > 1_000)
        };
        pipeline
            .wait_until("north goes on while the circuit of south is open", goes_on)
            .await;
        assert_eq!(pipeline.run.partners.status("south").urls, 0);
        pipeline.run.partners.misbehave("south", Misbehaviour::default());
        let report = pipeline.close().await;
        assert_eq!(report.repeats, 0, "{report}");
    });
}

#[test]
fn a_partner_refuses_what_it_will_never_take() {
    on_shared_threads(async {
        let mut pipeline = Pipeline::start(RunSettings {
            partners: vec![
                ("north".to_owned(), Misbehaviour::default()),
                ("south".to_owned(), "403:0.1,422:0.1,400:0.05".parse().unwrap()),
            ],
            ..RunSettings::default()
        })
        .await;
        pipeline.produce(7, 3_000, 9_000).await.unwrap();
        pipeline.run.settle(&pipeline.clusters, PATIENCE).await.unwrap();
        let undeliverable = |partner: &'static str| [("partner", partner), ("outcome", "undeliverable")];
        let refused = async |partner| {
            let run = &pipeline.run;
            run.metric(Kind::Dispatcher, "dispatcher_urls_total", &undeliverable(partner))
                .await
        };
        assert!(refused("south").await > 0.0);
        assert_eq!(refused("north").await, 0.0);
        pipeline.close().await;
    });
}

#[test]
fn a_redis_master_runs_out_of_memory() {
    on_shared_threads(async {
        let mut pipeline = Pipeline::start(RunSettings {
            flip_interval: Duration::from_secs(3_600),
            ..RunSettings::default()
        })
        .await;
        // One master of each cluster is full, so that turning to the other one does not help.
        set_maxmemory(&pipeline, "1").await;
        let producing = pipeline.produce(8, 2_000, 12_000);
        let is_refused = async |run: &Run| {
            let out_of_memory = [("kind", "oom")];
            Ok(run
                .metric(Kind::Ingestor, "redis_errors_total", &out_of_memory)
                .await
                > 0.0)
        };
        pipeline.wait_until("a SET is refused", is_refused).await;
        let has_flipped = async |run: &Run| {
            let memory = [("outcome", "memory")];
            Ok(run.metric(Kind::Flipper, "flipper_flips_total", &memory).await > 0.0)
        };
        pipeline
            .wait_until("the next generation is opened", has_flipped)
            .await;
        set_maxmemory(&pipeline, "0").await;
        producing.await.unwrap();
        let has_turned = async |run: &Run| {
            let lag = run.input_lag().await?;
            if lag == 0 {
                run.flip().await?;
            }
            Ok(lag == 0)
        };
        pipeline.wait_until("the input is read", has_turned).await;
        let report = pipeline.close().await;
        assert_eq!(report.generations.failed, 0, "{report}");
    });
}

#[test]
fn a_redis_master_loses_what_it_held_and_its_input_is_read_again() {
    on_shared_threads(async {
        let mut pipeline = Pipeline::start(RunSettings {
            ingestors: 2,
            flip_interval: Duration::from_secs(5),
            ..RunSettings::default()
        })
        .await;
        let producing = pipeline.produce(10, 2_000, 20_000);
        let is_written =
            async |run: &Run| Ok(run.metric(Kind::Ingestor, "ingestor_urls_total", &[]).await > 5_000.0);
        pipeline.wait_until("the input is read", is_written).await;
        for cluster in &pipeline.clusters {
            cluster.lose(0).await.unwrap();
        }
        let is_open =
            async |run: &Run| Ok(run.metric(Kind::Flipper, "flipper_replays_open", &[]).await > 0.0);
        pipeline.wait_until("the generation fails", is_open).await;
        producing.await.unwrap();
        let report = pipeline.close().await;
        assert!(report.generations.failed >= 1, "{report}");
        assert!(pipeline.reread() > 0.0, "{report}");
    });
}

#[test]
fn a_redis_master_is_started_again_and_its_generation_fails_though_no_key_is_missing() {
    on_shared_threads(async {
        const HOST: &str = "www.elsewhere.example";
        let zone = zone_of(7, HOST, "a-key-of-its-own-0123456789");
        let settings = RunSettings {
            flip_interval: Duration::from_secs(3_600),
            ..RunSettings::default()
        };
        let mut pipeline = Pipeline::start_with(&[zone], settings).await;
        produce_pages(&pipeline.run.kafka, HOST, 200).await;
        let is_read = async |run: &Run| Ok(run.input_lag().await? == 0);
        pipeline.wait_until("the input is read", is_read).await;

        // Generation 0 stands in A, and every key of the host at one of the three masters.
        let owner = usize::from(slot_of_host(HOST) / SLOTS.div_ceil(3));
        let other = (owner + 1) % 3;
        let cluster = &mut pipeline.clusters[0];
        let before = cluster.keys().await.unwrap();
        cluster.kill(other).await.unwrap();
        cluster.restart(other).await.unwrap();
        assert_eq!((before, cluster.keys().await.unwrap()), (200, 200));
        pipeline.run.flip().await.unwrap();
        let has_failed = async |run: &Run| {
            let failed = [("verdict", "failed")];
            let failed = run.metric(Kind::Flipper, "flipper_generations_total", &failed);
            Ok(failed.await > 0.0)
        };
        pipeline.wait_until("generation 0 fails", has_failed).await;

        // Its input counts as read again once the generation that it went into is settled.
        let is_recovered = async |run: &Run| {
            run.flip().await?;
            let recovered = run.metric(Kind::Flipper, "flipper_generations_recovered_total", &[]);
            Ok(recovered.await > 0.0)
        };
        pipeline.wait_until("its input is read again", is_recovered).await;
        let report = pipeline.close().await;
        assert_eq!(report.generations.failed, 1, "{report}");
        assert!(pipeline.reread() >= 200.0, "{report}");
    });
}

#[test]
fn keys_that_an_empty_log_knows_nothing_of_are_refused() {
    on_shared_threads(async {
        let (_, kafka) = broker().await;
        let dir = tempfile::tempdir().unwrap();
        let clusters = [
            RedisCluster::start(&dir.path().join("a"), 1, &[]).await.unwrap(),
            RedisCluster::start(&dir.path().join("b"), 1, &[]).await.unwrap(),
        ];
        let name = b"7:{www.a.example}s/".to_vec();
        clusters[1].write(std::iter::once(name)).await.unwrap();
        let settings = RunSettings {
            ingestors: 0,
            dispatchers: 0,
            // Its log is to end with what it says.
            settings: vec![("RUST_BACKTRACE".to_owned(), "0".to_owned())],
            ..RunSettings::default()
        };
        // It may be ready before it looks at the keys.
        let ended = match Run::start(&kafka, &clusters, settings).await {
            Err(error) => error,
            Ok(mut run) => {
                let never = async |_: &Run| Ok(false);
                run.wait_until("the flipper ends", PATIENCE, never)
                    .await
                    .unwrap_err()
            }
        };
        let said = format!("{ended:#}");
        assert!(
            said.contains("hold 1 keys") && said.contains("empty both clusters by hand"),
            "{said}"
        );
        assert_eq!(clusters[1].keys().await.unwrap(), 1);
    });
}

#[test]
fn on_call_asks_to_read_a_generation_again() {
    on_shared_threads(async {
        let mut pipeline = Pipeline::start(RunSettings::default()).await;
        pipeline.produce(11, 3_000, 9_000).await.unwrap();
        let has_turned =
            async |run: &Run| Ok(run.metric(Kind::Flipper, "flipper_flips_total", &[]).await > 2.0);
        pipeline.wait_until("generation 0 is behind us", has_turned).await;
        let refusal = pipeline.run.replay(1_000_000).await.unwrap_err().to_string();
        assert!(refusal.contains("no verdict yet"), "{refusal}");
        pipeline.run.replay(0).await.unwrap();
        let is_read = async |run: &Run| {
            Ok(run
                .metric(Kind::Ingestor, "ingestor_reread_records_total", &[])
                .await
                > 0.0)
        };
        pipeline.wait_until("it is read again", is_read).await;
        pipeline.close().await;
    });
}

/// Whether the circuit of south is open; that of north never is. A dispatcher too busy to answer is asked again.
async fn south_alone_is_open(run: &Run) -> anyhow::Result<bool> {
    let standings = run.standings().await.unwrap_or_default();
    let is_open = |partner: &str| {
        standings
            .iter()
            .any(|standing| standing.name == partner && standing.circuit_open)
    };
    assert!(!is_open("north"), "{standings:?}");
    Ok(is_open("south"))
}

/// The keys of a cluster once none is removed any more.
async fn keys_at_rest(cluster: &RedisCluster) -> u64 {
    let (mut last, mut same, deadline) = (u64::MAX, 0, Instant::now() + PATIENCE);
    let mut looks = tokio::time::interval(Duration::from_millis(200));
    while same < LOOKS {
        looks.tick().await;
        assert!(Instant::now() < deadline, "keys are removed for ever");
        let now = cluster.keys().await.unwrap();
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
    last
}

async fn set_maxmemory(pipeline: &Pipeline, bytes: &str) {
    for cluster in &pipeline.clusters {
        cluster.configure(0, "maxmemory", bytes).await.unwrap();
    }
}
