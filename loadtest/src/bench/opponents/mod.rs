//! What the product is compared with: each as good as its kind allows, each on the same machine, input and stores.

pub(super) mod bare_drain;
pub(super) mod bare_reqwest;
pub(super) mod naive;
pub(super) mod ordinary;
pub(super) mod redis_benchmark;

use std::collections::{HashMap, HashSet};

use anyhow::Context;
use hint_schema::Zone;
use messagebus::KafkaArgs;
use rdkafka::consumer::{Consumer, StreamConsumer};
use url::Url;

/// Whose hosts are whose, as any service would keep them.
#[derive(Clone, Debug, Default)]
pub(super) struct Directory(HashMap<u64, HashSet<String>>);

impl Directory {
    pub(super) fn new(zones: &[Zone]) -> Self {
        let hosts = |zone: &Zone| zone.hosts.iter().map(|host| host.name.clone()).collect();
        Self(zones.iter().map(|zone| (zone.id, hosts(zone))).collect())
    }

    /// The key name of a record's URL under generation 0, if its zone has opted in and the host is the zone's.
    fn name(&self, payload: &[u8]) -> Option<Vec<u8>> {
        let miss = hint_schema::cache_miss::read(payload).ok()?;
        let hosts = self.0.get(&miss.zone_id)?;
        let url = Url::parse(miss.url).ok()?;
        let host = url.host_str().filter(|host| hosts.contains(*host))?;
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let scheme = if url.scheme() == "https" { 's' } else { 'p' };
        Some(format!("0:{{{host}}}{scheme}{}{query}", url.path()).into_bytes())
    }
}

/// A consumer of the input in a group of its own, from the beginning. `commits` offsets by itself, every 5 s.
fn consumer(kafka: &KafkaArgs, group: &str, commits: bool) -> anyhow::Result<StreamConsumer> {
    let topics = kafka.topics();
    let consumer: StreamConsumer = kafka
        .client_config()
        .set("group.id", topics.group(group))
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", commits.to_string())
        .set("fetch.queue.backoff.ms", "10")
        .create()
        .with_context(|| format!("creating the Kafka client of {group}"))?;
    let topic = topics.cache_misses();
    consumer
        .subscribe(&[&topic])
        .with_context(|| format!("subscribing to {topic}"))?;
    Ok(consumer)
}

#[cfg(test)]
mod tests {
    use super::super::mix::Mix;
    use super::*;
    use crate::traffic::{Traffic, TrafficArgs};

    #[test]
    fn an_opponent_writes_the_names_that_the_product_writes() {
        let traffic = Traffic::new(TrafficArgs::default()).unwrap();
        let directory = Directory::new(&traffic.zones());
        let mix = Mix::unique(500);
        for n in 0..100 {
            let (_, payload) = mix.record(n, 1);
            assert_eq!(directory.name(&payload), Some(mix.page(n).name(0)));
        }
        assert_eq!(Directory::default().name(&mix.record(1, 1).1), None);
    }
}
