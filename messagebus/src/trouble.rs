//! What a client says of its trouble with the brokers: when it begins and each minute that it goes on, not each time.
//!
//! While brokers are away every client hears so several times a second, and a log of nothing else hides the rest.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext,
    client::DefaultClientContext,
    config::RDKafkaLogLevel,
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode},
};

/// Time between two lines of the same trouble.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// What was said of a client's errors, each kind by itself. Every context of a client that lives has one, or is one:
/// whoever polls a consumer gets the same errors once more, counts them and need not say them.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// What the client is for, as the lines name it.
    client: String,
    said: Mutex<Vec<Said>>,
}

#[derive(Debug)]
struct Said {
    kind: Option<RDKafkaErrorCode>,
    at: Instant,
    /// How often the same was not said since.
    unsaid: u64,
}

impl Trouble {
    /// No trouble yet of the client that is for `client`.
    pub(crate) fn of(client: &str) -> Self {
        Self {
            client: client.to_owned(),
            said: Mutex::default(),
        }
    }

    /// Notes an error of that kind. Where it is to be said now: how often the same was not said since it last was.
    fn due(&self, kind: Option<RDKafkaErrorCode>, now: Instant) -> Option<u64> {
        let mut all = self.said.lock();
        let Some(said) = all.iter_mut().find(|said| said.kind == kind) else {
            all.push(Said {
                kind,
                at: now,
                unsaid: 0,
            });
            return Some(0);
        };
        if now.duration_since(said.at) < SAID_EVERY {
            said.unsaid += 1;
            return None;
        }
        said.at = now;
        Some(std::mem::take(&mut said.unsaid))
    }
}

impl ClientContext for Trouble {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let kind = error.rdkafka_error_code();
        if kind == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        let (client, error) = (&self.client, &error as &dyn std::error::Error);
        match self.due(kind, Instant::now()) {
            Some(unsaid) => tracing::warn!(client, error, reason, unsaid, "a Kafka client has trouble"),
            None => tracing::debug!(client, error, reason, "a Kafka client has trouble"),
        }
    }
}

impl ConsumerContext for Trouble {}

/// Passes a line of librdkafka's on: those that say what contexts are told as well, for whoever looks closely.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    let level = match facility {
        "FAIL" | "COMMITFAIL" => RDKafkaLogLevel::Debug,
        _ => level,
    };
    DefaultClientContext.log(level, facility, message);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_trouble_is_said_once_a_minute_and_how_often_it_came() {
        let (trouble, start) = (Trouble::of("topic"), Instant::now());
        let due = |kind, seconds| trouble.due(Some(kind), start + Duration::from_secs(seconds));
        let (down, broken) = (
            RDKafkaErrorCode::AllBrokersDown,
            RDKafkaErrorCode::BrokerTransportFailure,
        );
        assert_eq!(due(down, 0), Some(0));
        assert_eq!(due(down, 1), None);
        assert_eq!(due(broken, 1), Some(0), "another kind");
        assert_eq!(due(down, 59), None);
        assert_eq!(due(down, 60), Some(2));
        assert_eq!(due(down, 61), None);
        assert_eq!(due(down, 600), Some(1));
    }
}
