//! The topics, as DESIGN names them and with the retention it gives them.

use std::time::Duration;

use anyhow::Context;
use messagebus::KafkaArgs;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

const HOUR_MS: u64 = 60 * 60 * 1_000;

/// Partitions of the topics that carry load.
const PARTITIONS: i32 = 6;

/// Creates the topics under the prefix of `kafka`; those that exist stay as they are.
///
/// # Errors
/// The broker does not answer or refuses.
pub async fn create_topics(kafka: &KafkaArgs) -> anyhow::Result<()> {
    let names = kafka.topics();
    let kept = |hours: u64| vec![("retention.ms", (hours * HOUR_MS).to_string())];
    let compacted = || {
        vec![
            ("cleanup.policy", "compact".to_owned()),
            ("min.compaction.lag.ms", "60000".to_owned()),
            ("delete.retention.ms", (24 * HOUR_MS).to_string()),
        ]
    };
    let topics = [
        (names.cache_misses(), PARTITIONS, kept(24)),
        (names.zones(), PARTITIONS, compacted()),
        (names.generations(), 1, compacted()),
        (names.batches(), PARTITIONS, kept(72)),
        (names.rejected(), PARTITIONS, kept(7 * 24)),
        (names.undeliverable(), PARTITIONS, kept(7 * 24)),
        (names.receipts(), PARTITIONS, kept(24)),
    ];
    let client: AdminClient<DefaultClientContext> = kafka
        .client_config()
        .create()
        .context("creating Kafka's admin client")?;
    let new: Vec<NewTopic<'_>> = topics
        .iter()
        .map(|(name, partitions, settings)| {
            let topic = NewTopic::new(name, *partitions, TopicReplication::Fixed(1));
            settings
                .iter()
                .fold(topic, |topic, (key, value)| topic.set(key, value))
        })
        .collect();
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
    for created in client
        .create_topics(&new, &options)
        .await
        .context("creating topics")?
    {
        match created {
            Ok(_) | Err((_, rdkafka::types::RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => anyhow::bail!("Kafka does not create {topic}: {code}"),
        }
    }
    Ok(())
}
