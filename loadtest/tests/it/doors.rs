//! What the users of a deployment may not do. That they may do their work, every other test shows.

use std::time::{Duration, Instant};

use loadtest::produce::producer;
use loadtest::stack::{RedisCluster, password};
use messagebus::{KafkaArgs, OutRecord, ProduceError, offsets};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use redis::{Client, RedisError, Value, cmd};
use tokio::task::spawn_blocking;

use crate::support::{PATIENCE, broker, on_shared_threads};

async fn ask(cluster: &RedisCluster, user: Option<&str>, command: &str) -> Result<Value, RedisError> {
    let seeds = cluster.seeds();
    let node = seeds.split(',').next().unwrap().strip_prefix("redis://").unwrap();
    let login = user.map(|user| format!("{user}:{}@", password(user)));
    let client = Client::open(format!("redis://{}{node}", login.unwrap_or_default())).unwrap();
    let mut words = command.split(' ');
    let mut asked = cmd(words.next().unwrap());
    asked.arg(words.collect::<Vec<_>>());
    let mut connection = client.get_multiplexed_async_connection().await?;
    asked.query_async(&mut connection).await
}

#[test]
fn no_service_can_flush_search_configure_or_script_redis() {
    on_shared_threads(async {
        let dir = tempfile::tempdir().unwrap();
        let cluster = RedisCluster::start(dir.path(), 1, &[]).await.unwrap();
        for user in ["ingestor", "flipper", "probe"] {
            assert!(ask(&cluster, Some(user), "PING").await.is_ok(), "{user}");
            for command in [
                "FLUSHALL",
                "FLUSHDB",
                "KEYS *",
                "SCAN 0",
                "CONFIG GET maxmemory",
                "EVAL return 0",
                "DEL {h}x",
                "ACL LIST",
                "SHUTDOWN",
            ] {
                let refused = ask(&cluster, Some(user), command).await.unwrap_err();
                assert_eq!(refused.code(), Some("NOPERM"), "{user}: {command}: {refused}");
            }
        }
        let refused = ask(&cluster, Some("ingestor"), "UNLINK {h}x").await.unwrap_err();
        assert_eq!(refused.code(), Some("NOPERM"), "{refused}");
        let refused = ask(&cluster, Some("flipper"), "SET {h}x 1").await.unwrap_err();
        assert_eq!(refused.code(), Some("NOPERM"), "{refused}");
        for command in ["GET {h}x", "SET {h}x 1", "UNLINK {h}x"] {
            let refused = ask(&cluster, Some("probe"), command).await.unwrap_err();
            assert_eq!(refused.code(), Some("NOPERM"), "{command}: {refused}");
        }
        let refused = ask(&cluster, None, "PING").await.unwrap_err();
        assert_eq!(refused.code(), Some("NOAUTH"), "{refused}");
    });
}

async fn write(kafka: &KafkaArgs, topic: &str) -> Result<(), ProduceError> {
    let record = OutRecord {
        topic,
        partition: None,
        key: b"key",
        payload: Some(b"value"),
        headers: &[],
    };
    producer(kafka).unwrap().send(record).await.map(drop)
}

#[test]
fn a_topic_that_is_not_a_services_to_write_refuses_it_by_name() {
    on_shared_threads(async {
        let (broker, kafka) = broker().await;
        let topics = kafka.topics();
        for (user, own) in [
            ("ingestor", vec![topics.generations(), topics.rejected()]),
            ("flipper", vec![topics.generations(), topics.batches()]),
            ("dispatcher", vec![topics.receipts(), topics.undeliverable()]),
        ] {
            let kafka = broker.log_in(user, kafka.clone()).unwrap();
            for topic in [
                topics.cache_misses(),
                topics.zones(),
                topics.batches(),
                topics.receipts(),
                topics.generations(),
                topics.rejected(),
                topics.undeliverable(),
            ] {
                let written = write(&kafka, &topic).await;
                if own.contains(&topic) {
                    written.unwrap_or_else(|error| panic!("{user} to {topic}: {error:?}"));
                    continue;
                }
                let error = written.unwrap_err();
                assert!(
                    matches!(error, ProduceError::Refused { .. }),
                    "{user} to {topic}: {error}"
                );
                let said = error.to_string();
                assert!(
                    said.contains(&topic) && said.contains(&format!("User:{user}")),
                    "{said}"
                );
            }
        }
    });
}

#[test]
fn a_topic_that_is_not_a_services_to_read_tells_it_nothing() {
    on_shared_threads(async {
        let (broker, kafka) = broker().await;
        let topics = kafka.topics();
        for (user, hidden) in [
            ("ingestor", [topics.batches(), topics.receipts()]),
            ("flipper", [topics.zones(), topics.rejected()]),
            ("dispatcher", [topics.cache_misses(), topics.generations()]),
        ] {
            let kafka = broker.log_in(user, kafka.clone()).unwrap();
            for topic in hidden {
                assert!(
                    offsets::log_end(&kafka, &topic).await.is_err(),
                    "{user} reads {topic}"
                );
            }
        }
    });
}

#[test]
fn the_auditor_writes_to_no_topic() {
    on_shared_threads(async {
        let (broker, kafka) = broker().await;
        let topics = kafka.topics();
        let auditor = broker.log_in("auditor", kafka.clone()).unwrap();
        // One that is not idempotent: it asks for no right but that to the topic.
        let producer: FutureProducer = auditor.client_config().create().unwrap();
        for topic in [
            topics.cache_misses(),
            topics.zones(),
            topics.batches(),
            topics.receipts(),
            topics.generations(),
            topics.rejected(),
            topics.undeliverable(),
        ] {
            let record = FutureRecord::to(&topic).key("key").payload("value");
            let (error, _) = producer.send(record, PATIENCE).await.unwrap_err();
            let code = error.rdkafka_error_code();
            assert_eq!(code, Some(RDKafkaErrorCode::TopicAuthorizationFailed), "{topic}");
        }
    });
}

/// What comes first of what a consumer is told: an error, or that it may read.
async fn poll(
    config: ClientConfig,
    begin: impl FnOnce(&BaseConsumer) -> Result<(), KafkaError> + Send + 'static,
) -> Result<(), KafkaError> {
    let read = move || {
        let client: BaseConsumer = config.create()?;
        begin(&client)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match client.poll(Duration::from_millis(100)) {
                Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => return Ok(()),
                Some(Err(error)) => return Err(error),
                None => assert!(Instant::now() < deadline, "nothing is said"),
            }
        }
    };
    spawn_blocking(read).await.unwrap()
}

/// Reads the first partition of a topic.
async fn read(kafka: &KafkaArgs, topic: String) -> Result<(), KafkaError> {
    let mut config = kafka.client_config();
    // A group that every service may name.
    config.set("group.id", kafka.topics().group("log"));
    config.set("enable.partition.eof", "true");
    let begin = move |client: &BaseConsumer| {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topic, 0, Offset::Beginning)?;
        client.assign(&list)
    };
    poll(config, begin).await
}

/// Joins a group, to read a topic that the user may read.
async fn join(kafka: &KafkaArgs, group: &str, topic: String) -> Result<(), KafkaError> {
    let mut config = kafka.client_config();
    config.set("group.id", kafka.topics().group(group));
    config.set("auto.offset.reset", "earliest");
    config.set("enable.auto.commit", "false");
    config.set("enable.partition.eof", "true");
    poll(config, move |client| client.subscribe(&[topic.as_str()])).await
}

#[test]
fn what_a_service_only_writes_or_counts_it_cannot_read() {
    on_shared_threads(async {
        let (broker, kafka) = broker().await;
        let topics = kafka.topics();
        for (user, topic) in [
            ("ingestor", topics.rejected()),
            ("flipper", topics.cache_misses()),
            ("flipper", topics.batches()),
            ("dispatcher", topics.receipts()),
            ("dispatcher", topics.undeliverable()),
        ] {
            let kafka = broker.log_in(user, kafka.clone()).unwrap();
            let error = read(&kafka, topic.clone()).await.unwrap_err();
            assert_eq!(
                error.rdkafka_error_code(),
                Some(RDKafkaErrorCode::TopicAuthorizationFailed),
                "{user} from {topic}: {error}"
            );
        }
        let own = broker.log_in("dispatcher", kafka.clone()).unwrap();
        read(&own, topics.batches()).await.unwrap();
    });
}

#[test]
fn nobody_joins_a_group_that_is_another_services() {
    on_shared_threads(async {
        let (broker, kafka) = broker().await;
        let topics = kafka.topics();
        for (user, group, topic) in [
            ("ingestor", "flipper", topics.generations()),
            ("ingestor", "dispatcher-north", topics.zones()),
            ("flipper", "ingestor", topics.generations()),
            ("flipper", "dispatcher-north", topics.generations()),
            ("dispatcher", "ingestor", topics.zones()),
            ("dispatcher", "flipper", topics.zones()),
            ("auditor", "ingestor", topics.cache_misses()),
            ("auditor", "dispatcher-north", topics.batches()),
        ] {
            let kafka = broker.log_in(user, kafka.clone()).unwrap();
            let error = join(&kafka, group, topic).await.unwrap_err();
            assert_eq!(
                error.rdkafka_error_code(),
                Some(RDKafkaErrorCode::GroupAuthorizationFailed),
                "{user} in {group}: {error}"
            );
        }
        let own = broker.log_in("dispatcher", kafka.clone()).unwrap();
        join(&own, "dispatcher-north", topics.batches()).await.unwrap();
    });
}
