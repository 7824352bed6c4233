//! Dependencies that stay away: what goes on, what waits, that nobody is restarted for it, and that who is asked to end does.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use loadtest::audit::Auditor;
use loadtest::proxy::{Weather, Whose};
use loadtest::run::{Run, RunSettings};
use loadtest::service::Kind;
use loadtest::stack::{Shape, Stack};

use crate::support::{Pipeline, on_shared_threads, produce_to, start_run, zones};

/// Longer than a cluster takes to be given up, twice.
const DEGRADED_WITHIN: Duration = Duration::from_secs(240);
const LAPSE: &str = "no lease: input pauses";
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How a run stands.
struct Sight {
    /// URLs that the first partner has.
    told: u64,
    /// Sum over the ingestors.
    generations: f64,
    records: f64,
    lag: i64,
    /// How often ingestors said that they have no lease.
    lapses: usize,
}

impl Sight {
    async fn of(run: &Run) -> Self {
        Self {
            told: run.partners.status("north").urls,
            generations: run
                .metric(Kind::Ingestor, "ingestor_active_generation", &[])
                .await,
            records: run.metric(Kind::Ingestor, "ingestor_records_total", &[]).await,
            lag: run.input_lag().await.unwrap_or(0),
            lapses: run.logged(LAPSE),
        }
    }
}

/// Waits until something holds. All the while nobody asks to be restarted.
async fn until(run: &mut Run, what: &str, holds: impl Fn(&Sight) -> bool) {
    let deadline = Instant::now() + DEGRADED_WITHIN;
    loop {
        run.check().unwrap();
        for service in &run.services {
            assert!(service.is_live().await, "{} asks to be restarted", service.name());
        }
        if holds(&Sight::of(run).await) {
            return;
        }
        let is_late = Instant::now() > deadline;
        assert!(
            !is_late,
            "{what}: not in time; logs are in {}",
            run.keep().display()
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[test]
fn one_redis_cluster_is_gone_and_hints_go_on_through_the_other() {
    on_shared_threads(async {
        let mut pipeline = Pipeline::start(RunSettings {
            ingestors: 2,
            flippers: 2,
            ..RunSettings::default()
        })
        .await;
        let producing = pipeline.produce(20, 300, 45_000);
        until(&mut pipeline.run, "partners are told", |now| now.told > 500).await;
        for node in 0..3 {
            pipeline.clusters[1].kill(node).await.unwrap();
        }
        // Twice more the turn comes to the cluster that is gone, is cut short, and hints go on through the other.
        for _ in 0..2 {
            let Sight {
                told, generations, ..
            } = Sight::of(&pipeline.run).await;
            let ingestors = 2.0;
            let what = "the turn of the cluster that is gone is over, and hints go on";
            let goes_on =
                move |now: &Sight| now.generations >= generations + 2.0 * ingestors && now.told > told + 500;
            until(&mut pipeline.run, what, goes_on).await;
        }
        for node in 0..3 {
            pipeline.clusters[1].restart(node).await.unwrap();
        }
        producing.await.unwrap();
        let report = pipeline.close().await;
        assert!(report.generations.failed >= 1, "{report}");
    });
}

#[test]
fn both_redis_clusters_are_gone_and_kafka_holds_the_input() {
    on_shared_threads(async {
        let mut pipeline = Pipeline::start(RunSettings::default()).await;
        let producing = pipeline.produce(21, 500, 30_000);
        until(&mut pipeline.run, "partners are told", |now| now.told > 500).await;
        for node in 0..6 {
            pipeline.clusters[node % 2].kill(node / 2).await.unwrap();
        }
        until(&mut pipeline.run, "Kafka holds the input", |now| now.lag > 10_000).await;
        for node in 0..6 {
            pipeline.clusters[node % 2].restart(node / 2).await.unwrap();
        }
        producing.await.unwrap();
        let report = pipeline.close().await;
        assert!(
            report.generations.failed >= 1,
            "what both clusters held is lost: {report}"
        );
    });
}

#[test]
fn kafka_is_gone_leases_lapse_and_all_go_on_when_it_is_back() {
    on_shared_threads(async {
        let (mut stack, mut run) = start().await;
        let producing = produce_to(&run.kafka, 22, 500, 20_000);
        until(&mut run, "partners are told", |now| now.told > 500).await;
        let mut auditor = Auditor::following(&run.auditor().unwrap(), &run.audit_args()).unwrap();
        assert!(auditor.look().await.unwrap().balances());
        let lapses = run.logged(LAPSE);
        stack.broker_mut().kill().await.unwrap();
        wait_for_lapse(&mut run, lapses).await;
        stack.broker_mut().restart().await.unwrap();
        producing.await.unwrap();
        assert!(auditor.look().await.unwrap().balances());
        close(&stack, run).await;
    });
}

#[test]
fn services_that_start_while_kafka_is_gone_wait_for_it() {
    on_shared_threads(async {
        let (stack, mut run) = start().await;
        stack.broker().set_weather(Weather::Refusing, Whose::All);
        let names: Vec<String> = run.services.iter().map(|each| each.name().to_owned()).collect();
        for name in &names {
            run.kill(name).await.unwrap();
            run.service(name).unwrap().restart().unwrap();
        }
        run.wait_until("Kafka is asked in vain", DEGRADED_WITHIN, async |run: &Run| {
            Ok(run.logged("no broker says how many partitions there are") > 1)
        })
        .await
        .unwrap();
        until(&mut run, "nobody asks to be restarted", |_| true).await;
        stack.broker().set_weather(Weather::Fair, Whose::All);
        for service in &mut run.services {
            service.wait_until_ready().await.unwrap();
        }
        produce_to(&run.kafka, 25, 500, 4_000).await.unwrap();
        close(&stack, run).await;
    });
}

#[test]
fn the_control_topic_is_out_of_reach_and_writers_stop_though_the_input_is_readable() {
    on_shared_threads(async {
        let (stack, mut run) = start().await;
        let producing = produce_to(&run.kafka, 23, 500, 20_000);
        until(&mut run, "partners are told", |now| now.told > 500).await;
        let lapses = run.logged(LAPSE);
        // Connections that ask for that topic get no answers any more; those that read the input do.
        stack
            .broker()
            .set_weather(Weather::Mute, Whose::Saying("generations"));
        wait_for_lapse(&mut run, lapses).await;
        // What was in flight has come to its end: nothing is written without a lease.
        let before = Sight::of(&run).await.records;
        until(&mut run, "Kafka holds the input", |now| now.lag > 4_000).await;
        assert_eq!(Sight::of(&run).await.records, before);
        let held = run
            .metric(Kind::Ingestor, "kafka_consumer_assigned_partitions", &[])
            .await;
        assert!(held > 0.0, "the input's consumer keeps its partitions");
        stack.broker().set_weather(Weather::Fair, Whose::All);
        producing.await.unwrap();
        close(&stack, run).await;
    });
}

#[test]
fn a_flipper_that_kafka_keeps_from_ending_is_given_up_with_its_drain_and_the_next_one_finishes_it() {
    on_shared_threads(async {
        let (stack, mut run) = start_with(Duration::from_secs(3_600)).await;
        produce_to(&run.kafka, 26, 0, 4_000).await.unwrap();
        let is_read = async |run: &Run| Ok(run.input_lag().await? == 0);
        run.wait_until("the input is read", DEGRADED_WITHIN, is_read)
            .await
            .unwrap();
        stack
            .broker()
            .set_weather(Weather::Mute, Whose::Saying("batches"));
        run.flip().await.unwrap();
        // Kafka has them, and the flipper does not know.
        let is_sent = async |run: &Run| Ok(run.batches().await? > 0);
        run.wait_until("batches stand in Kafka", DEGRADED_WITHIN, is_sent)
            .await
            .unwrap();
        run.service("flipper-0").unwrap().ask_to_end().unwrap();
        stack.broker().set_weather(Weather::Mute, Whose::All);
        let status = ended(&mut run, "flipper-0").await;
        assert_eq!(status.code(), Some(1), "it was cut short");

        stack.broker().set_weather(Weather::Fair, Whose::All);
        run.forget_counters();
        run.service("flipper-0").unwrap().restart().unwrap();
        run.service("flipper-0")
            .unwrap()
            .wait_until_ready()
            .await
            .unwrap();
        close(&stack, run).await;
    });
}

/// How a service ends that was asked to.
async fn ended(run: &mut Run, name: &str) -> ExitStatus {
    let deadline = Instant::now() + DEGRADED_WITHIN;
    loop {
        if let Some(status) = run.service(name).unwrap().ended().unwrap() {
            return status;
        }
        assert!(
            Instant::now() < deadline,
            "{name} does not end; logs are in {}",
            run.keep().display()
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn start() -> (Stack, Run) {
    start_with(RunSettings::default().flip_interval).await
}

async fn start_with(flip_interval: Duration) -> (Stack, Run) {
    let shape = Shape {
        masters: 3,
        has_replicas: false,
        is_proxied: false,
    };
    let stack = Stack::start_as("crawler-hints.", shape, false).await.unwrap();
    let proxied = stack.broker().proxied().to_string();
    let settings = RunSettings {
        ingestors: 2,
        flip_interval,
        settings: vec![("KAFKA_BROKERS".to_owned(), proxied)],
        ..RunSettings::default()
    };
    let run = start_run(stack.kafka(), &stack.clusters, &zones(), settings).await;
    (stack, run)
}

/// Every ingestor says once more that it has no lease.
async fn wait_for_lapse(run: &mut Run, before: usize) {
    let ingestors = run.of(Kind::Ingestor).count();
    until(run, "leases lapse", move |now| now.lapses >= before + ingestors).await;
}

async fn close(stack: &Stack, mut run: Run) {
    run.settle(&stack.clusters, DEGRADED_WITHIN).await.unwrap();
    let report = run.audit().await.unwrap();
    assert!(report.balances(), "{report}\nlogs: {}", run.keep().display());
    run.stop().await.unwrap();
}
