//! What the users of a deployment may not do. That they may do their work, every other test shows.

use loadtest::produce::producer;
use loadtest::stack::{RedisCluster, password};
use messagebus::{KafkaArgs, OutRecord, ProduceError, offsets};
use redis::{Client, RedisError, Value, cmd};

use crate::support::{broker, on_shared_threads};

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
