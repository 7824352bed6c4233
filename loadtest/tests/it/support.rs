//! One broker for all tests; topics, Redis clusters and services of their own for each.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hint_schema::cache_miss::CacheMiss;
use hint_schema::{Zone, ZoneHost};
use loadtest::audit::Report;
use loadtest::partners::read_log;
use loadtest::produce::{ProduceArgs, produce, produce_zones, producer};
use loadtest::run::{Run, RunSettings};
use loadtest::scrape::Scrape;
use loadtest::service::Kind;
use loadtest::stack::{Broker, RedisCluster};
use loadtest::traffic::{Traffic, TrafficArgs};
use messagebus::{KafkaArgs, OutRecord, now_ms, offsets};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::OwnedMessage;
use rdkafka::{Message, Offset, TopicPartitionList};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::{OnceCell, watch};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

/// Longest time for anything that is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Outlives every test: a child ends with the thread that started it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static BROKER: OnceCell<(Broker, TempDir)> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Runs a test on the threads that all tests share.
pub(crate) fn on_shared_threads<F>(test: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    RUNTIME.block_on(RUNTIME.spawn(test)).unwrap();
}

fn traffic(seed: u64) -> TrafficArgs {
    TrafficArgs {
        seed,
        hosts: 60,
        ..TrafficArgs::default()
    }
}

/// The zones of the traffic, whatever its seed.
pub(crate) fn zones() -> Vec<Zone> {
    Traffic::new(traffic(0)).unwrap().zones()
}

/// The broker that all tests share.
pub(crate) async fn shared_broker() -> &'static Broker {
    let start = async || {
        let dir = tempfile::tempdir().unwrap();
        (Broker::start(dir.path()).await.unwrap(), dir)
    };
    let (broker, _) = BROKER.get_or_init(start).await;
    broker
}

/// The broker, and topics of a test's own there.
pub(crate) async fn broker() -> (&'static Broker, KafkaArgs) {
    let broker = shared_broker().await;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    (broker, broker.prepare(&format!("t{number}.")).await.unwrap())
}

/// Starts services that know these zones when they are ready: no record comes before its zone.
pub(crate) async fn start_run(
    kafka: &KafkaArgs,
    clusters: &[RedisCluster; 2],
    zones: &[Zone],
    settings: RunSettings,
) -> Run {
    produce_zones(kafka, zones).await.unwrap();
    Run::start(kafka, clusters, settings).await.unwrap()
}

/// Produces `count` records at `rate`, from the beginning of the traffic of `seed`; returns at once.
pub(crate) fn produce_to(
    kafka: &KafkaArgs,
    seed: u64,
    rate: u64,
    count: u64,
) -> tokio::task::JoinHandle<u64> {
    produce_until(CancellationToken::new(), kafka, seed, rate, count)
}

/// The same, and ends at `stop`.
pub(crate) fn produce_until(
    stop: CancellationToken,
    kafka: &KafkaArgs,
    seed: u64,
    rate: u64,
    count: u64,
) -> tokio::task::JoinHandle<u64> {
    let args = ProduceArgs {
        rate,
        count,
        traffic: traffic(seed),
    };
    let (sent, _) = watch::channel(0);
    let kafka = kafka.clone();
    tokio::spawn(async move { produce(&kafka, &args, sent, stop).await.unwrap() })
}

/// Produces cache misses of so many pages of a host of zone 7; returns when Kafka has all of them.
pub(crate) async fn produce_pages(kafka: &KafkaArgs, host: &str, pages: u32) {
    let (producer, topic) = (&producer(kafka).unwrap(), &kafka.topics().cache_misses());
    let send = |page: u32| async move {
        let miss = CacheMiss {
            timestamp_ms: now_ms(),
            url: &format!("https://{host}/{page}"),
            zone_id: 7,
            origin_status: 200,
            content_type: "text/html",
            ..CacheMiss::default()
        };
        let record = OutRecord {
            topic,
            partition: None,
            key: host.as_bytes(),
            payload: Some(&miss.encode()),
            headers: &[],
        };
        producer.send(record).await.unwrap();
    };
    join_all((0..pages).map(send)).await;
}

/// Every record of a topic.
pub(crate) async fn records_of(kafka: &KafkaArgs, topic: String) -> Vec<OwnedMessage> {
    let mut config = kafka.client_config();
    let ends = offsets::log_end(kafka, &topic).await.unwrap();
    config.set("group.id", kafka.topics().group("reader"));
    let read = move || {
        let client: BaseConsumer = config.create().unwrap();
        let mut list = TopicPartitionList::new();
        let mut open: HashMap<i32, i64> = ends.into_iter().filter(|(_, end)| *end > 0).collect();
        for partition in open.keys() {
            list.add_partition_offset(&topic, *partition, Offset::Beginning)
                .unwrap();
        }
        client.assign(&list).unwrap();
        let (mut records, deadline) = (Vec::new(), Instant::now() + PATIENCE);
        while !open.is_empty() {
            assert!(Instant::now() < deadline, "not read to their ends: {open:?}");
            let Some(message) = client.poll(Duration::from_millis(100)) else {
                continue;
            };
            let message = message.unwrap().detach();
            let Some(end) = open.get(&message.partition()) else {
                continue;
            };
            if message.offset() + 1 >= *end {
                open.remove(&message.partition());
            }
            records.push(message);
        }
        records
    };
    spawn_blocking(read).await.unwrap()
}

/// What stands in the topic of batches: the partition of each record, and its message.
pub(crate) async fn batch_records(kafka: &KafkaArgs) -> Vec<(i32, Vec<u8>)> {
    let records = records_of(kafka, kafka.topics().batches()).await;
    let payload = |record: &OwnedMessage| record.payload().unwrap().to_vec();
    records
        .iter()
        .map(|record| (record.partition(), payload(record)))
        .collect()
}

/// Puts records into a partition of a topic; returns when Kafka has all of them.
pub(crate) async fn put(kafka: &KafkaArgs, topic: &str, partition: i32, payloads: &[&[u8]]) {
    let (producer, mut reports) = (producer(kafka).unwrap(), Vec::new());
    for payload in payloads {
        let record = OutRecord {
            topic,
            partition: Some(partition),
            key: b"key",
            payload: Some(payload),
            headers: &[],
        };
        reports.push(producer.enqueue(record).await.unwrap());
    }
    for report in reports {
        report.await.unwrap();
    }
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether a partner's lane has read every batch.
pub(crate) async fn has_read(run: &Run, partner: &str) -> anyhow::Result<bool> {
    let group = run.lane_group(partner);
    let of_group = [("group", group.as_str())];
    let read = run.metric(Kind::Dispatcher, "kafka_consumer_messages_total", &of_group);
    #[expect(clippy::cast_precision_loss, reason = "few batches")]
    let all = run.batches().await? as f64;
    Ok(read.await >= all)
}

/// What all services of a run have logged.
pub(crate) fn read_logs(dir: &Path) -> String {
    let logs = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let logs = logs.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// A pipeline and what it stands on.
pub(crate) struct Pipeline {
    pub(crate) run: Run,
    pub(crate) clusters: [RedisCluster; 2],
    /// The dispatchers' metrics, as they stood when the books were closed.
    dispatchers: Vec<Scrape>,
    /// The ingestors' metrics, likewise.
    ingestors: Vec<Scrape>,
    _dir: TempDir,
}

impl Pipeline {
    /// One that knows the zones of the traffic.
    pub(crate) async fn start(settings: RunSettings) -> Self {
        Self::start_with(&zones(), settings).await
    }

    /// One that knows zones of a test's own.
    pub(crate) async fn start_with(zones: &[Zone], settings: RunSettings) -> Self {
        let (_, kafka) = broker().await;
        let dir = tempfile::tempdir().unwrap();
        let clusters = [
            RedisCluster::start(&dir.path().join("a"), 3, &[]).await.unwrap(),
            RedisCluster::start(&dir.path().join("b"), 3, &[]).await.unwrap(),
        ];
        let run = start_run(&kafka, &clusters, zones, settings).await;
        Self {
            run,
            clusters,
            dispatchers: Vec::new(),
            ingestors: Vec::new(),
            _dir: dir,
        }
    }

    /// Produces `count` records at `rate`, from the beginning of the traffic of `seed`; returns at once.
    pub(crate) fn produce(&self, seed: u64, rate: u64, count: u64) -> tokio::task::JoinHandle<u64> {
        produce_to(&self.run.kafka, seed, rate, count)
    }

    pub(crate) async fn wait_until(&mut self, what: &str, holds: impl AsyncFn(&Run) -> anyhow::Result<bool>) {
        self.run.wait_until(what, PATIENCE, holds).await.unwrap();
    }

    /// Produces the beginning of the traffic of `seed`, and waits until what is accepted from now on stands in a
    /// later generation.
    pub(crate) async fn fill_generation(&mut self, seed: u64) {
        self.produce(seed, 0, 3_000).await.unwrap();
        self.wait_until("the input is read", async |run| Ok(run.input_lag().await? == 0))
            .await;
        let before = self.flips().await;
        let deadline = Instant::now() + PATIENCE;
        while self.flips().await <= before {
            assert!(Instant::now() < deadline, "the flipper opens no generation");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn flips(&self) -> f64 {
        self.run.metric(Kind::Flipper, "flipper_flips_total", &[]).await
    }

    /// Waits for rest, closes the books, and ends every service.
    pub(crate) async fn close(&mut self) -> Report {
        self.run.settle(&self.clusters, PATIENCE).await.unwrap();
        let report = self.run.audit().await.unwrap();
        let kept = if report.balances() {
            None
        } else {
            Some(self.run.keep())
        };
        assert!(report.balances(), "{report}\nlogs: {kept:?}");
        for name in self.run.partner_names() {
            let violations = self.run.partners.status(name).violations;
            assert!(violations.is_empty(), "{violations:?}");
        }
        for dispatcher in self.run.of(Kind::Dispatcher) {
            self.dispatchers.extend(dispatcher.metrics().await);
        }
        for ingestor in self.run.of(Kind::Ingestor) {
            self.ingestors.extend(ingestor.metrics().await);
        }
        self.run.stop().await.unwrap();
        report
    }

    /// The sum of a metric over all dispatchers, when the books were closed.
    pub(crate) fn last_metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.dispatchers
            .iter()
            .map(|scrape| scrape.sum(name, labels))
            .sum()
    }

    /// Records that were read again, until the books were closed.
    pub(crate) fn reread(&self) -> f64 {
        let all = self.ingestors.iter();
        all.map(|scrape| scrape.sum("ingestor_reread_records_total", &[]))
            .sum()
    }

    /// Whether a partner has ever accepted a URL of the host.
    pub(crate) fn has_got(&self, partner: &str, host: &str) -> bool {
        let mut found = false;
        read_log(self.run.dir(), partner, |delivery| found |= delivery.host == host).unwrap();
        found
    }

    /// How often a partner has accepted each URL.
    pub(crate) fn accepted_by(&self, partner: &str) -> HashMap<String, u32> {
        let mut times = HashMap::new();
        read_log(self.run.dir(), partner, |delivery| {
            delivery
                .urls
                .into_iter()
                .for_each(|url| *times.entry(url).or_default() += 1);
        })
        .unwrap();
        times
    }

    /// How many hosts a partner has accepted URLs of.
    pub(crate) fn hosts_told(&self, partner: &str) -> u32 {
        let mut hosts = HashSet::new();
        read_log(self.run.dir(), partner, |delivery| {
            hosts.insert(delivery.host);
        })
        .unwrap();
        u32::try_from(hosts.len()).unwrap()
    }

    /// Lets a zone opt out whose first host has a key of its own, and waits until the dispatcher has read it.
    pub(crate) async fn opt_out(&mut self, zone: u64) {
        let mut zone = zones().into_iter().find(|found| found.id == zone).unwrap();
        zone.enabled = false;
        produce_zones(&self.run.kafka, std::slice::from_ref(&zone))
            .await
            .unwrap();
        // The key file of a host that opted out is gone.
        self.wait_for_key_file(zone.hosts.first().unwrap(), 404).await;
    }

    /// Waits until the dispatcher answers so for the file of a host's own key.
    pub(crate) async fn wait_for_key_file(&self, host: &ZoneHost, status: u16) {
        let url = format!("http://{}/{}.txt", self.run.keys, host.key);
        let deadline = Instant::now() + PATIENCE;
        let ask = || reqwest::Client::new().get(&url).header("host", &host.name).send();
        while ask().await.unwrap().status() != status {
            assert!(Instant::now() < deadline, "the zone's change is not read");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A zone that has opted in, of one host with a key of its own.
pub(crate) fn zone_of(id: u64, host: &str, key: &str) -> Zone {
    Zone {
        id,
        enabled: true,
        hosts: vec![ZoneHost {
            name: host.to_owned(),
            key: key.to_owned(),
            ..ZoneHost::default()
        }],
    }
}
