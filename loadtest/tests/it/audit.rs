//! The audit of a running deployment: silent while all is well, and precise when it is not.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hint_schema::{BatchId, HintBatch, HostHints, Receipt};
use loadtest::audit::{AuditArgs, Auditor, Book, Report, audit};
use loadtest::ports;
use loadtest::produce::{produce_zones, producer};
use loadtest::run::{Run, RunSettings};
use loadtest::scrape::Scrape;
use messagebus::{KafkaArgs, OutRecord, now_ms, offsets};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::support::{PATIENCE, Pipeline, broker, on_shared_threads, zone_of};

/// Of a lane that a test plays.
const PARTNER: &str = "north";
const HOST: &str = "www.lane.example";

#[test]
fn while_traffic_flows_nothing_remains_and_all_that_is_in_flight_arrives() {
    on_shared_threads(async {
        let mut pipeline = Pipeline::start(RunSettings {
            ingestors: 2,
            flippers: 2,
            ..RunSettings::default()
        })
        .await;
        let mut auditor =
            Auditor::following(&pipeline.run.auditor().unwrap(), &pipeline.run.audit_args()).unwrap();
        // Longer than a zone's change keeps its records uncertain.
        let producing = pipeline.produce(21, 700, 17_500);
        let (mut looks, mut most_in_flight) = (0, 0);
        while !producing.is_finished() {
            let report = auditor.look().await.unwrap();
            assert!(report.balances(), "{report}");
            looks += 1;
            most_in_flight = most_in_flight.max(report.in_flight(Book::G));
        }
        let produced = producing.await.unwrap();
        let is_read = |report: &Report| rows(report, Book::A).0 == produced;
        look_until(&mut auditor, "all that was produced is read", is_read).await;
        let has_arrived = |report: &Report| {
            let is_at_rest = Book::ALL.iter().all(|book| report.in_flight(*book) == 0);
            is_at_rest && rows(report, Book::G).0 > 0
        };
        let report = look_until(&mut auditor, "all has arrived", has_arrived).await;
        assert!(looks > 3 && most_in_flight > 0, "{looks} looks");
        assert!(
            report.kept.batches == 0 || report.kept.urls < 2 * produced,
            "{report}"
        );
        pipeline.close().await;
    });
}

#[test]
fn a_lost_key_an_invented_url_and_a_lane_that_passed_over_batches_are_named() {
    on_shared_threads(async {
        let mut pipeline = Pipeline::start(RunSettings {
            flip_interval: Duration::from_secs(3_600),
            ..RunSettings::default()
        })
        .await;
        let kafka = pipeline.run.auditor().unwrap();
        let mut auditor = Auditor::following(&kafka, &pipeline.run.audit_args()).unwrap();
        pipeline.produce(22, 0, 4_000).await.unwrap();
        let is_read = async |run: &Run| Ok(run.input_lag().await? == 0);
        pipeline.wait_until("the input is read", is_read).await;
        assert!(auditor.look().await.unwrap().balances());

        // A key less than writers made: the generation fails, is named, and is read again.
        pipeline.clusters[0].delete_a_key().await.unwrap();
        pipeline.run.flip().await.unwrap();
        let has_failed = |report: &Report| report.generations.replays_open == 1;
        let report = look_until(&mut auditor, "generation 0 fails", has_failed).await;
        assert!(report.balances(), "{report}");
        let note = report
            .findings
            .iter()
            .find(|finding| finding.subject == "generation 0");
        let note = note.unwrap_or_else(|| panic!("{report}"));
        assert!(
            !note.is_residue && note.count == 1 && note.means.contains("shortfall"),
            "{note}"
        );
        flip_until(&mut auditor, &pipeline.run, "it is read again", |report| {
            report.generations.replays_open == 0
        })
        .await;
        let report = audit(&kafka, &pipeline.run.audit_args()).await.unwrap();
        assert!(report.balances(), "{report}");

        // A lane that is moved past a batch.
        pipeline
            .run
            .service("dispatcher-0")
            .unwrap()
            .terminate()
            .await
            .unwrap();
        let before = pipeline.run.batches().await.unwrap();
        pipeline.produce(23, 0, 2_000).await.unwrap();
        flip_until(
            &mut auditor,
            &pipeline.run,
            "there are further batches",
            |report| {
                report.partners[0].batches > u64::try_from(before).unwrap() && report.generations.open == 1
            },
        )
        .await;
        pass_over(&pipeline.run, "south").await;
        let dispatcher = pipeline.run.service("dispatcher-0").unwrap();
        dispatcher.restart().unwrap();
        dispatcher.wait_until_ready().await.unwrap();
        let has_gap = |report: &Report| !report.balances();
        let report = look_until(&mut auditor, "the gap is named", has_gap).await;
        assert_eq!(residues(&report), [Book::F], "{report}");
        let finding = report.residues().next().unwrap();
        assert!(finding.subject.starts_with("south, batches["), "{finding}");
        let north = report.partners.iter().find(|row| row.partner == "north").unwrap();
        assert_eq!(north.residue, 0);

        // A batch of somebody else's.
        invent(&pipeline.run).await;
        let report = audit(&kafka, &pipeline.run.audit_args()).await.unwrap();
        assert_eq!(residues(&report), [Book::D, Book::F, Book::G], "{report}");
        assert_eq!((report.invented, report.residue(Book::D)), (1, 1), "{report}");
        pipeline.run.stop().await.unwrap();
    });
}

#[test]
fn the_command_says_by_its_status_its_lines_and_its_metrics_whether_anything_remains() {
    on_shared_threads(async {
        let mut pipeline = Pipeline::start(RunSettings::default()).await;
        pipeline.produce(24, 0, 2_000).await.unwrap();
        pipeline.run.settle(&pipeline.clusters, PATIENCE).await.unwrap();
        let run = &pipeline.run;
        let (status, said) = audited(run).await;
        let report: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!((status, &report["balanced"]), (Some(0), &true.into()), "{said}");

        let admin = ports::free().unwrap();
        let mut exporter = command(run);
        exporter.args(["--json", "--watch", "200ms", "--admin-addr", &admin.to_string()]);
        let exporter = exporter
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        shown(admin, "audit_looks_total", &[("outcome", "balanced")]).await;
        invent(run).await;
        shown(admin, "audit_residue", &[("book", "D")]).await;
        let id = Pid::from_raw(exporter.id().unwrap().try_into().unwrap()).unwrap();
        kill_process(id, Signal::TERM).unwrap();
        let ended = exporter.wait_with_output().await.unwrap();
        let lines = String::from_utf8(ended.stdout).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{lines}");
        let last: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        assert_eq!(last["balanced"], false, "{last}");

        let (status, said) = audited(run).await;
        assert_eq!(status, Some(1), "{said}");
        pipeline.run.stop().await.unwrap();
    });
}

#[test]
fn without_kafka_nobody_knows_and_the_status_says_so() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command
        .env_clear()
        .env("KAFKA_BROKERS", "127.0.0.1:1")
        .arg("audit");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
}

/// Between any two writes of a lane a look may come; read in another order, some look finds what is finished before what
/// became of it.
#[test]
fn nothing_is_missing_however_fast_a_lane_works() {
    on_shared_threads(async {
        let (_, kafka) = broker().await;
        let zone = zone_of(7, HOST, "a-key-of-the-host");
        produce_zones(&kafka, &[zone]).await.unwrap();
        let args = AuditArgs {
            partners: vec![PARTNER.to_owned()],
            ..AuditArgs::default()
        };
        let mut auditor = Auditor::once(&kafka, &args).unwrap();
        let stop = CancellationToken::new();
        let writing = tokio::spawn(work_as_a_lane(kafka, stop.clone()));
        let mut finished = HashSet::new();
        while finished.len() < 30 {
            let report = auditor.look().await.unwrap();
            let remains = report.residue(Book::E) + report.residue(Book::F);
            assert_eq!(remains, 0, "{report}");
            finished.insert(report.partners[0].finished);
        }
        stop.cancel();
        let written = writing.await.unwrap();
        let all_finished = |report: &Report| report.partners[0].finished == written;
        let report = look_until(&mut auditor, "the lane has finished all", all_finished).await;
        assert_eq!(report.partners[0].delivered, written, "{report}");
    });
}

/// Batches of one URL, each with its receipt and then its offset, until `stop`; how many.
async fn work_as_a_lane(kafka: KafkaArgs, stop: CancellationToken) -> u64 {
    let (topics, producer) = (kafka.topics(), producer(&kafka).unwrap());
    let send = async |topic: &str, payload: Vec<u8>| {
        let record = OutRecord {
            topic,
            partition: Some(0),
            key: HOST.as_bytes(),
            payload: Some(&payload),
            headers: &[],
        };
        producer.send(record).await.unwrap().offset
    };
    let mut config = kafka.client_config();
    config.set("group.id", topics.group(&format!("dispatcher-{PARTNER}")));
    let client: Arc<BaseConsumer> = Arc::new(config.create().unwrap());
    let mut written = 0;
    while !stop.is_cancelled() {
        let batch = batch_of(u128::from(written), 0, HOST, &written.to_string());
        let offset = send(&topics.batches(), batch.encode()).await;
        let receipt = Receipt {
            partner: PARTNER.to_owned(),
            host: HOST.to_owned(),
            count: 1,
            status: 200,
            generation: 0,
            batch_id: batch.id,
            at_ms: now_ms(),
            merged: 0,
        };
        send(&topics.receipts(), receipt.encode()).await;
        let mut done = TopicPartitionList::new();
        done.add_partition_offset(&topics.batches(), 0, Offset::Offset(offset + 1))
            .unwrap();
        let client = Arc::clone(&client);
        spawn_blocking(move || client.commit(&done, CommitMode::Sync))
            .await
            .unwrap()
            .unwrap();
        written += 1;
    }
    written
}

/// A batch of one page.
fn batch_of(id: u128, generation: u64, host: &str, page: &str) -> HintBatch {
    HintBatch {
        id: BatchId::from(id),
        generation,
        created_at_ms: 1,
        hosts: vec![HostHints {
            host: host.to_owned(),
            oldest_event_ms: 1,
            urls: vec![format!("https://{host}/{page}")],
        }],
    }
}

/// `loadtest audit` against a run.
fn command(run: &Run) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command
        .env_clear()
        .envs(run.auditor_settings())
        .env("PARTNERS", "north=http://127.0.0.1:1/,south")
        .args(["--rust-log", "warn", "audit"]);
    for service in &run.services {
        let kind = format!("--{}", service.kind().program());
        command.args([kind, format!("http://{}/", service.admin)]);
    }
    command
}

/// Looks once; how the command ended, and the document that it printed.
async fn audited(run: &Run) -> (Option<i32>, String) {
    let output = command(run).arg("--json").output().await.unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// Waits until a metric is above 0.
async fn shown(admin: SocketAddr, name: &str, labels: &[(&str, &str)]) {
    let (client, deadline) = (reqwest::Client::new(), Instant::now() + PATIENCE);
    loop {
        let scrape = Scrape::of(&client, admin).await.unwrap_or_default();
        if scrape.sum(name, labels) > 0.0 {
            return;
        }
        assert!(Instant::now() < deadline, "{name}{labels:?} stays 0");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn rows(report: &Report, book: Book) -> (u64, u64) {
    let rows = report.rows.iter().filter(|row| row.book == book);
    rows.fold((0, 0), |(left, right), row| (left + row.left, right + row.right))
}

/// The books of which something remains.
fn residues(report: &Report) -> Vec<Book> {
    let remains = |book: &Book| report.residue(*book) > 0;
    Book::ALL.into_iter().filter(remains).collect()
}

/// Looks until something holds; returns that look.
async fn look_until(auditor: &mut Auditor, what: &str, holds: impl Fn(&Report) -> bool) -> Report {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let report = auditor.look().await.unwrap();
        if holds(&report) {
            return report;
        }
        assert!(
            Instant::now() < deadline,
            "{what}: not within {PATIENCE:?}\n{report}"
        );
    }
}

/// Lets generations turn until something holds.
async fn flip_until(auditor: &mut Auditor, run: &Run, what: &str, holds: impl Fn(&Report) -> bool) -> Report {
    let deadline = Instant::now() + PATIENCE;
    loop {
        run.flip().await.unwrap();
        let report = auditor.look().await.unwrap();
        assert!(report.balances(), "{report}");
        if holds(&report) {
            return report;
        }
        assert!(
            Instant::now() < deadline,
            "{what}: not within {PATIENCE:?}\n{report}"
        );
    }
}

/// Moves a lane behind everything that is in the topic, as somebody may who resets a group's offsets by hand.
async fn pass_over(run: &Run, partner: &str) {
    let topics = run.kafka.topics();
    let ends = offsets::log_end(&run.kafka, &topics.batches()).await.unwrap();
    let mut config = run.kafka.client_config();
    config.set("group.id", topics.group(&format!("dispatcher-{partner}")));
    let client: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    for (partition, end) in ends {
        list.add_partition_offset(&topics.batches(), partition, Offset::Offset(end))
            .unwrap();
    }
    client.commit(&list, CommitMode::Sync).unwrap();
}

/// Writes a batch of a page that nobody asked for.
async fn invent(run: &Run) {
    // Of a settled generation: of a failed one more may stand in the topic than was found.
    let batch = batch_of(7, 1, "www.site-0.example", "nobody-asked");
    let topic = run.kafka.topics().batches();
    let record = OutRecord {
        topic: &topic,
        partition: Some(0),
        key: b"0",
        payload: Some(&batch.encode()),
        headers: &[],
    };
    producer(&run.kafka).unwrap().send(record).await.unwrap();
}
