//! Encrypted connections on which both ends prove who they are, and certificates that change under way.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use loadtest::produce::producer;
use loadtest::proxy::{Weather, Whose};
use loadtest::run::{Run, RunSettings};
use loadtest::service::Kind;
use loadtest::stack::{Broker, Shape, Stack};
use messagebus::consumer::{Range, read_range};
use messagebus::{BusMetrics, KafkaArgs, LogEvent, OutRecord, Producer, Registrar, follow, now_ms, offsets};
use prometheus::{IntCounter, Registry};
use tokio::sync::Mutex;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::support::{
    PATIENCE, broker, on_shared_threads, produce_until, put, read_logs, start_run, until, zones,
};

const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);
/// Of the first certificate: longer than services take to start and to turn to the next.
const FIRST: Duration = Duration::from_secs(180);
const ROTATIONS: usize = 3;

/// The broker that tests share has one set of certificates: who replaces it is alone.
static CERTIFICATES: Mutex<()> = Mutex::const_new(());

/// Waits, while every service runs, for what has its time.
struct Patience {
    what: String,
    deadline: Instant,
}

impl Patience {
    fn until(what: &str) -> Self {
        let (what, deadline) = (what.to_owned(), Instant::now() + PATIENCE);
        Self { what, deadline }
    }

    async fn again(&self, run: &mut Run) {
        run.check().unwrap();
        let in_time = Instant::now() < self.deadline;
        assert!(
            in_time,
            "not in time: {}; logs are in {}",
            self.what,
            run.keep().display()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Says as well when the services' first certificate ends.
async fn start() -> (Stack, Run, i64) {
    let shape = Shape {
        masters: 3,
        has_replicas: false,
        is_proxied: true,
    };
    let stack = Stack::start_as("crawler-hints.", shape, true).await.unwrap();
    let first = stack.broker().issue_certificates(FIRST).unwrap();
    let end = first.end().unwrap();
    let settings = RunSettings {
        ingestors: 2,
        flippers: 2,
        tls: Some(first),
        ..RunSettings::default()
    };
    let run = start_run(stack.kafka(), &stack.clusters, &zones(), settings).await;
    (stack, run, end)
}

/// Replaces every service's certificate, and waits until nobody shows another. Returns when it ends.
async fn rotate(stack: &Stack, run: &mut Run, life: Duration) -> i64 {
    let end = stack.broker().issue_certificates(life).unwrap().end().unwrap();
    let mut patience = Patience::until("every client shows the new certificate");
    loop {
        let others = run.who_shows_another(end).await;
        if others.is_empty() {
            return end;
        }
        patience.what = others.join("; ");
        patience.again(run).await;
    }
}

async fn wait_for_end(run: &mut Run, end: i64) {
    let patience = Patience::until("a certificate ends");
    while i64::try_from(now_ms() / 1_000).unwrap() <= end {
        patience.again(run).await;
    }
}

/// What services say beside the load of other tests, and mend themselves.
const HARMLESS: [&str; 5] = [
    // Brokers let a client in too late: it tries again, and `rotate` waits for it.
    "new credentials cannot be used, the old ones stay: Meta data fetch error",
    // The broker has only just started, or is known by its own name since a moment: the client asks again.
    "Failed to acquire idempotence PID",
    // Two members turn at once: who leaves while the group waits for the other is answered too late, and the group
    // finds out by itself. A line for each request names it, a second one counts them.
    "Timed out LeaveGroupRequest in flight",
    "Timed out 1 in-flight",
    // The same, of one whose last commit fell into the rebalance, where nobody answers: its records are read again.
    "the group could not be left in time",
];

/// Everything that a service counts as an error, and every line that is none of a quiet day.
async fn errors(run: &Run) -> Vec<String> {
    let counters = ["kafka_consumer_errors", "kafka_producer_failed", "redis_errors"]
        .map(|name| format!("crawlerhints_{name}_total{{"));
    let mut found = Vec::new();
    for service in &run.services {
        let answer = reqwest::get(format!("http://{}/metrics", service.admin)).await;
        let metrics = answer.unwrap().text().await.unwrap();
        let is_counter = |line: &&str| counters.iter().any(|name| line.starts_with(name));
        let counted = metrics
            .lines()
            .filter(is_counter)
            .filter(|line| !line.ends_with(" 0"));
        found.extend(counted.map(|line| format!("{} {line}", service.name())));
    }
    let logs = read_logs(run.dir());
    let is_loud = |line: &str| {
        [" ERROR ", " WARN ", "Timed out "]
            .iter()
            .any(|words| line.contains(words))
    };
    let is_harmless = |line: &str| HARMLESS.iter().any(|words| line.contains(words));
    let is_bad = |line: &&str| is_loud(line) && !is_harmless(line);
    found.extend(logs.lines().filter(is_bad).map(str::to_owned));
    found
}

/// Ends every connection: only who shows a certificate that is good now gets another.
async fn cut_everything(stack: &Stack, run: &mut Run) {
    let set_weather = |weather| {
        stack.broker().set_weather(weather, Whose::All);
        for cluster in &stack.clusters {
            cluster.set_weather(weather, Whose::All);
        }
    };
    set_weather(Weather::Refusing);
    let patience = Patience::until("ingestors are cut off");
    for name in ["kafka_consumer_errors_total", "redis_errors_total"] {
        while run.metric(Kind::Ingestor, name, &[]).await == 0.0 {
            patience.again(run).await;
        }
    }
    set_weather(Weather::Fair);
}

#[test]
fn certificates_are_rotated_under_load_and_nothing_is_lost() {
    on_shared_threads(async {
        let (stack, mut run, first) = start().await;
        let stop = CancellationToken::new();
        let producing = produce_until(stop.clone(), &run.kafka, 24, 500, u64::MAX);
        let mut before = None;
        for _ in 0..ROTATIONS {
            let end = rotate(&stack, &mut run, MINUTE).await;
            // Each is taken up while the one two before it has ended.
            if let Some(before) = before.replace(end) {
                wait_for_end(&mut run, before).await;
            }
        }
        rotate(&stack, &mut run, HOUR).await;
        wait_for_end(&mut run, before.unwrap()).await;
        // Who kept it, whatever it says, is not let in again.
        wait_for_end(&mut run, first).await;
        let errors = errors(&run).await;
        assert!(errors.is_empty(), "{errors:#?}\nlogs: {}", run.keep().display());

        cut_everything(&stack, &mut run).await;
        let told = run.partners.status("north").urls;
        let patience = Patience::until("hints go on");
        while run.partners.status("north").urls < told + 2_000 {
            patience.again(&mut run).await;
        }
        stop.cancel();
        producing.await.unwrap();
        run.settle(&stack.clusters, PATIENCE).await.unwrap();
        let report = run.audit().await.unwrap();
        assert!(report.balances(), "{report}\nlogs: {}", run.keep().display());
        assert_eq!(report.generations.failed, 0, "{report}");
        run.stop().await.unwrap();
    });
}

#[expect(clippy::cast_possible_truncation, reason = "whole seconds")]
fn shown(registry: &Registry) -> i64 {
    let families = registry.gather();
    let name = "crawlerhints_tls_cert_not_after_seconds";
    let ends = families.iter().find(|family| family.name() == name).unwrap();
    ends.get_metric().first().unwrap().get_gauge().get_value() as i64
}

#[test]
fn a_producer_turns_to_a_new_certificate_and_sends_everything_once() {
    on_shared_threads(async {
        let dir = tempfile::tempdir().unwrap();
        let broker = Broker::start(dir.path()).await.unwrap();
        let kafka = broker.prepare("crawler-hints.").await.unwrap();
        // Reports come later than ending a client takes: what is in flight then must have been waited for.
        broker.set_weather(Weather::Slow(Duration::from_millis(300)), Whose::All);
        let (registry, topic) = (Registry::new(), kafka.topics().batches());
        let bus = BusMetrics::register(&Registrar::new(&registry, "flipper")).unwrap();
        let tls = broker.issue_certificates(HOUR).unwrap();
        let producer = Producer::new(&tls.show(Kind::Flipper, kafka.clone()), bus).unwrap();
        let end = broker.issue_certificates(2 * HOUR).unwrap().end().unwrap();
        let (mut in_flight, mut sent) = (VecDeque::new(), 0);
        let (deadline, mut left) = (Instant::now() + PATIENCE, 200);
        // Some are in flight all the while, and for long enough behind the moment at which the new one is taken up.
        while left > 0 {
            assert!(Instant::now() < deadline, "the new certificate is not taken up");
            let record = OutRecord {
                topic: &topic,
                partition: None,
                key: b"key",
                payload: Some(b"payload"),
                headers: &[],
            };
            in_flight.push_back(producer.enqueue(record).await.unwrap());
            sent += 1;
            if in_flight.len() > 50 {
                in_flight.pop_front().unwrap().await.unwrap();
            }
            left -= i32::from(shown(&registry) == end);
        }
        for report in in_flight {
            report.await.unwrap();
        }
        let ends = offsets::log_end(&kafka, &topic).await.unwrap();
        assert_eq!(ends.iter().map(|(_, end)| end).sum::<i64>(), sent);
    });
}

#[test]
fn a_range_that_is_read_again_is_read_to_its_end_through_a_new_certificate() {
    on_shared_threads(async {
        // A hundred batches: at one a second it takes longer than `TURNED_WITHIN` to read them.
        const RECORDS: i64 = 200_000;
        let dir = tempfile::tempdir().unwrap();
        let broker = Broker::start(dir.path()).await.unwrap();
        let kafka = broker.prepare("crawler-hints.").await.unwrap();
        let topic = kafka.topics().cache_misses();
        put(&kafka, &topic, 0, &vec![b"payload".as_slice(); 200_000]).await;
        let (registry, gone) = (Registry::new(), IntCounter::new("gone", "help").unwrap());
        let bus = BusMetrics::register(&Registrar::new(&registry, "ingestor")).unwrap();
        let range = Range {
            topic,
            partition: 0,
            from: 0,
            to: RECORDS,
        };
        let tls = broker.issue_certificates(HOUR).unwrap();
        let kafka = tls.show(Kind::Ingestor, kafka);
        let (_reading, mut batches) = read_range(&kafka, range, gone, &bus).unwrap();
        let (mut next, mut new, mut is_taken_up) = (0, None, false);
        let mut pace = interval(Duration::from_secs(1));
        while let Some(batch) = timeout(PATIENCE, batches.recv()).await.unwrap() {
            for record in batch.records() {
                assert_eq!(record.offset, next);
                next += 1;
            }
            let end = *new.get_or_insert_with(|| {
                let new = broker.issue_certificates(2 * HOUR).unwrap();
                new.end().unwrap()
            });
            if !is_taken_up {
                pace.tick().await;
                is_taken_up = shown(&registry) == end;
            }
        }
        assert!(is_taken_up && next == RECORDS, "{next} records");
    });
}

fn has_counted_errors(registry: &Registry) -> bool {
    let families = registry.gather();
    let name = "crawlerhints_kafka_consumer_errors_total";
    let errors = families.iter().find(|family| family.name() == name);
    errors.is_some_and(|errors| {
        let counters = errors.get_metric().iter();
        counters
            .map(|counter| counter.get_counter().get_value())
            .sum::<f64>()
            > 0.0
    })
}

#[test]
fn a_reader_that_was_never_let_in_turns_to_a_new_certificate() {
    on_shared_threads(async {
        let _alone = CERTIFICATES.lock().await;
        let (broker, kafka) = broker().await;
        let (registry, topic) = (Registry::new(), kafka.topics().zones());
        let bus = BusMetrics::register(&Registrar::new(&registry, "dispatcher")).unwrap();
        let ended = broker.issue_certificates(Duration::ZERO).unwrap();
        let end = ended.end().unwrap();
        until("the certificate has ended", || {
            now_ms() / 1_000 > end.unsigned_abs()
        })
        .await;
        let (_reading, mut events) = follow(&ended.show(Kind::Dispatcher, kafka), &topic, bus).unwrap();
        until("the reader is refused", || has_counted_errors(&registry)).await;
        broker.issue_certificates(HOUR).unwrap();
        let event = timeout(PATIENCE, events.recv()).await;
        assert_eq!(event.expect("it is let in"), Some(LogEvent::CaughtUp));
    });
}

#[test]
fn a_certificate_is_asked_for_and_names_the_user() {
    on_shared_threads(async {
        let _alone = CERTIFICATES.lock().await;
        let (broker, kafka) = broker().await;
        let tls = broker.issue_certificates(HOUR).unwrap();
        let topics = kafka.topics();
        let dispatcher = tls.show(Kind::Dispatcher, kafka);
        offsets::log_end(&dispatcher, &topics.batches()).await.unwrap();
        let foreign = offsets::log_end(&dispatcher, &topics.cache_misses()).await;
        assert!(foreign.is_err(), "no right of a dispatcher's");
        let nobody = KafkaArgs {
            kafka_ssl_cert: None,
            kafka_ssl_key: None,
            ..dispatcher.clone()
        };
        assert!(offsets::log_end(&nobody, &topics.batches()).await.is_err());
        let torn = KafkaArgs {
            kafka_ssl_key: tls.show(Kind::Flipper, dispatcher.clone()).kafka_ssl_key,
            ..dispatcher
        };
        let refused = producer(&torn);
        assert!(
            refused.is_err(),
            "a key that is another certificate's is refused at once"
        );
    });
}
