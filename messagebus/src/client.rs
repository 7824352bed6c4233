//! librdkafka's configuration, one function a kind of client, so that each value is justified once.

use std::time::Duration;

use rdkafka::client::Client;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{ClientConfig, ClientContext};
use secrecy::ExposeSecret;

use crate::args::KafkaArgs;
use crate::trouble::log;

/// Brokers have so long to give a sign of life.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(5);

impl KafkaArgs {
    /// What every client has: brokers, encryption, authentication, quick reconnection.
    pub fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.kafka_brokers)
            .set("client.id", "crawler-hints")
            .set("security.protocol", self.kafka_security_protocol.name())
            // The default waits up to 10 s between attempts, longer than a lease of the flip protocol.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("socket.keepalive.enable", "true")
            .set("socket.nagle.disable", "true")
            // A topic that is missing is a mistake of the deployment; a broker must not hide it with defaults.
            .set("allow.auto.create.topics", "false");
        let files = [
            ("ssl.ca.location", &self.kafka_ssl_ca),
            ("ssl.certificate.location", &self.kafka_ssl_cert),
            ("ssl.key.location", &self.kafka_ssl_key),
        ];
        for (key, path) in files {
            if let Some(path) = path {
                config.set(key, path.to_string_lossy());
            }
        }
        if let Some(mechanism) = self.kafka_sasl_mechanism {
            config.set("sasl.mechanism", mechanism.name());
        }
        if let Some(user) = &self.kafka_sasl_username {
            config.set("sasl.username", user);
        }
        if let Some(password) = &self.kafka_sasl_password_file {
            config.set("sasl.password", password.current().expose_secret());
        }
        config
    }

    /// A member of a consumer group whose offsets are committed by hand.
    pub(crate) fn group_config(&self, group: &str) -> ClientConfig {
        let mut config = self.reader_config(group);
        config
            .set("partition.assignment.strategy", "cooperative-sticky")
            // The default of 45 s keeps a killed process's partitions, and the flipper's election, idle that long.
            .set("session.timeout.ms", "10000")
            .set("heartbeat.interval.ms", "3000")
            .set("max.poll.interval.ms", "300000");
        config
    }

    /// A reader of partitions; `group` names it, and is joined only by one that subscribes.
    pub(crate) fn reader_config(&self, group: &str) -> ClientConfig {
        let mut config = self.client_config();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // `latest` loses what was produced before the first start.
            .set("auto.offset.reset", "earliest")
            // Tells the end of a partition from a stall, also behind trailing control records.
            .set("enable.partition.eof", "true")
            // Of all partitions together: a megabyte of records that are much alike unpacks to many, and each takes
            // hundreds of bytes of its own, before the bound on the queue is looked at. The default of 50 MiB is more
            // than a service's memory.
            .set("fetch.max.bytes", "1048576")
            // Fetching pauses this long when the queue is full; the default of a second is a stall.
            .set("fetch.queue.backoff.ms", "10")
            .set("fetch.error.backoff.ms", "100");
        config
    }

    /// An idempotent producer that waits for every in-sync replica.
    pub(crate) fn producer_config(&self) -> ClientConfig {
        let mut config = self.client_config();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.codec", "zstd")
            // Each message set is compressed in a context of its own: a megabyte and more to clear at the usual level,
            // for records that fill a few kilobytes.
            .set("compression.level", "1")
            .set("linger.ms", "20")
            // As many bytes are worth a request: a batch of hints does not linger.
            .set("batch.size", "131072")
            .set("delivery.timeout.ms", "120000")
            .set("statistics.interval.ms", "1000");
        config
    }
}

/// Asks the brokers for a sign of life, which they give to whom they let in. Blocks, 5 s at most.
pub(crate) fn sign_of_life<C: ClientContext>(client: &Client<C>) -> KafkaResult<()> {
    client.fetch_metadata(None, ANSWER_WITHIN).map(drop)
}

/// Of a client that is asked one thing: the answer says what failed.
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            reason,
            "librdkafka reports an error"
        );
    }
}

impl ConsumerContext for Quiet {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_promised_rests_on_these_settings() {
        let kafka = KafkaArgs::plaintext("127.0.0.1:9092", "crawler-hints.");
        let (group, producer) = (kafka.group_config("group"), kafka.producer_config());
        for (config, key, value) in [
            // What is acknowledged outlives a broker, and stands once.
            (&producer, "acks", "all"),
            (&producer, "enable.idempotence", "true"),
            // Who waits for a report has it in the end.
            (&producer, "delivery.timeout.ms", "120000"),
            // A topic that is missing is not made up.
            (&producer, "allow.auto.create.topics", "false"),
            (&group, "allow.auto.create.topics", "false"),
            // A rebalance takes from a member what another gets, and nothing else.
            (&group, "partition.assignment.strategy", "cooperative-sticky"),
            // A first start skips nothing, and only what is done is committed.
            (&group, "auto.offset.reset", "earliest"),
            (&group, "enable.auto.commit", "false"),
            (&group, "enable.auto.offset.store", "false"),
            // Who is killed is replaced within ten seconds.
            (&group, "session.timeout.ms", "10000"),
        ] {
            assert_eq!(config.get(key), Some(value), "{key}");
        }
    }
}
