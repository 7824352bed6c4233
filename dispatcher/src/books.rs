//! How hints end with one partner: written down first, counted then.

use hint_schema::{Receipt, Undeliverable};
use hinters::{Failure, IndexerError, KeyError};
use messagebus::now_ms;
use prometheus::Histogram;

use crate::metrics::LaneMetrics;
use crate::outbox::Outbox;
use crate::retries::Verdict;
use crate::waiting::{Bounds, Load};

/// URLs of one record of `undeliverable`: what Kafka takes in a message, less the other fields.
const RECORD: Bounds = Bounds {
    urls: 10_000,
    bytes: 600_000,
};

/// The books of one partner.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) partner: String,
    pub(crate) outbox: Outbox,
    pub(crate) metrics: LaneMetrics,
    /// Age of hints when they are delivered.
    pub(crate) age: Histogram,
}

/// Why URLs are given up.
#[derive(Debug)]
pub(crate) struct Reason {
    /// Of `undeliverable`'s closed set.
    word: &'static str,
    status: u16,
    detail: String,
}

impl Books {
    /// The partner took these URLs.
    ///
    /// # Errors
    /// Kafka will not take the receipt.
    pub(crate) async fn accepted(&self, load: &Load, status: u16) -> anyhow::Result<()> {
        let at_ms = now_ms();
        let receipt = Receipt {
            partner: self.partner.clone(),
            host: load.host.name.to_string(),
            count: clamp(load.urls.len()),
            status,
            generation: load.newest.generation,
            batch_id: load.newest.batch,
            at_ms,
            merged: clamp(load.merged()),
        };
        self.outbox.receipt(&receipt).await?;
        self.metrics.accepted.inc();
        self.metrics.urls_accepted.inc_by(load.urls.len() as u64);
        self.metrics.urls_merged.inc_by(load.merged() as u64);
        #[expect(clippy::cast_precision_loss, reason = "ages are small")]
        let age = at_ms.saturating_sub(load.oldest_event_ms) as f64 / 1_000.0;
        let ages = self.age.local();
        load.urls.iter().for_each(|_| ages.observe(age));
        Ok(())
    }

    /// The host has opted out: its hints are nobody's business any more.
    pub(crate) fn opted_out(&self, load: &Load) {
        self.metrics.urls_opted_out.inc_by(load.hint_count() as u64);
    }

    /// The partner refused a submission for good.
    pub(crate) fn refused(&self, error: &IndexerError) {
        tracing::warn!(
            partner = self.partner,
            error = error as &dyn std::error::Error,
            "refused for good: see the topic undeliverable"
        );
        self.metrics.refused.inc();
    }

    /// A request failed; its hints stay.
    pub(crate) fn failed(&self, error: &IndexerError, verdict: &Verdict) {
        self.metrics.retry(error.failure);
        let (partner, cause) = (&self.partner, error as &dyn std::error::Error);
        if verdict.is_exhausted {
            self.metrics.exhausted.inc();
            tracing::warn!(
                partner,
                error = cause,
                "retries used up: the circuit opens and hints wait"
            );
        } else {
            tracing::debug!(partner, error = cause, rest = ?verdict.rest, "a request is tried again");
        }
    }

    /// A batch is whole.
    pub(crate) fn finished(&self, given_up: bool) {
        if given_up {
            self.metrics.partly.inc();
        } else {
            self.metrics.finished.inc();
        }
    }

    /// These URLs are given up, in as many records as they take; returns the URLs of each.
    ///
    /// # Errors
    /// Kafka will not take a record.
    pub(crate) async fn given_up(&self, mut load: Load, reason: &Reason) -> anyhow::Result<Vec<Load>> {
        let mut parts = Vec::new();
        while !load.urls.is_empty() {
            let (part, rest) = load.split_at(RECORD);
            self.outbox.undeliverable(&self.record(&part, reason)).await?;
            self.metrics.urls_undeliverable.inc_by(part.urls.len() as u64);
            self.metrics.urls_merged.inc_by(part.merged() as u64);
            parts.push(part);
            load = rest;
        }
        Ok(parts)
    }

    fn record(&self, load: &Load, reason: &Reason) -> Undeliverable {
        Undeliverable {
            partner: self.partner.clone(),
            host: load.host.name.to_string(),
            urls: load.urls.clone(),
            reason: reason.word.to_owned(),
            status: reason.status,
            detail: reason.detail.clone(),
            generation: load.newest.generation,
            batch_id: load.newest.batch,
            at_ms: now_ms(),
            merged: clamp(load.merged()),
        }
    }
}

impl Reason {
    pub(crate) fn no_key() -> Self {
        Self::ours(
            "no_key",
            "its zone names no key and INDEXNOW_MASTER_KEY_FILE is not set".to_owned(),
        )
    }

    pub(crate) fn bad_key(error: KeyError) -> Self {
        Self::ours("bad_key", error.to_string())
    }

    pub(crate) fn key_scope() -> Self {
        Self::ours(
            "key_scope",
            "outside the directory of the host's key file".to_owned(),
        )
    }

    /// The partner's answer, in its words.
    pub(crate) fn refusal(error: IndexerError) -> Self {
        Self {
            word: refusal(error.failure),
            status: error.failure.status(),
            detail: error.detail,
        }
    }

    fn ours(word: &'static str, detail: String) -> Self {
        let status = 0;
        Self { word, status, detail }
    }
}

/// The word for a refusal in `undeliverable`.
fn refusal(failure: Failure) -> &'static str {
    match failure.status() {
        400 => "bad_request",
        403 => "key_refused",
        405 => "method_not_allowed",
        422 => "unprocessable",
        300..=399 => "redirect",
        _ => "refused",
    }
}

fn clamp(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use hint_schema::{BatchId, HintBatch, HostHints};
    use messagebus::metrics::Stage;
    use messagebus::{BusMetrics, KafkaArgs, Producer, Registrar};
    use prometheus::Registry;

    use super::*;
    use crate::metrics::Metrics;
    use crate::waiting::{Assignment, Waiting};

    /// What Kafka takes in a message.
    const MESSAGE_BYTES: usize = 1_000_000;

    /// Books whose records nobody acknowledges.
    fn cut_off() -> Books {
        let nobody = KafkaArgs::plaintext("127.0.0.1:1", "test.");
        let registrar = Registrar::new(&Registry::new(), "dispatcher");
        let bus = BusMetrics::register(&registrar).unwrap();
        let producer = Producer::new(&nobody, bus.clone()).unwrap();
        Books {
            partner: "bing".to_owned(),
            outbox: Outbox::new(producer, &nobody.topics(), &bus),
            metrics: Metrics::register(&registrar).unwrap().lane("bing"),
            age: bus.hint_age(Stage::Delivered, "bing"),
        }
    }

    /// So many URLs of a host.
    fn load(urls: Vec<String>) -> Load {
        let host = HostHints {
            host: "a.example".to_owned(),
            oldest_event_ms: 0,
            urls,
        };
        let batch = HintBatch {
            id: BatchId::default(),
            generation: 1,
            created_at_ms: 0,
            hosts: vec![host],
        };
        let (urls, bytes) = (usize::MAX, usize::MAX);
        let mut waiting = Waiting::new(Bounds { urls, bytes });
        let assignment = Assignment {
            partition: 0,
            epoch: 1,
        };
        waiting.admit((), assignment, batch);
        waiting.take().unwrap()
    }

    #[tokio::test]
    async fn what_is_not_written_down_yet_has_not_ended() {
        let (books, load) = (cut_off(), load(vec!["https://a.example/".to_owned()]));
        assert!(books.accepted(&load, 200).now_or_never().is_none());
        let no_key = Reason::no_key();
        assert!(books.given_up(load, &no_key).now_or_never().is_none());
    }

    #[test]
    fn a_large_request_that_is_refused_fits_into_records() {
        for (count, length) in [(10_000, 30), (10_000, 57), (10_000, 512), (2_500, 2_048)] {
            let url = |page| format!("https://a.example/{page:0width$}", width = length - 18);
            let (mut load, mut in_records) = (load((0..count).map(url).collect()), 0);
            while !load.urls.is_empty() {
                let (part, rest) = load.split_at(RECORD);
                in_records += part.hint_count();
                let record = Undeliverable {
                    host: "h".repeat(253),
                    detail: "d".repeat(1_024),
                    urls: part.urls,
                    ..Undeliverable::default()
                };
                assert!(record.encode().len() < MESSAGE_BYTES);
                load = rest;
            }
            assert_eq!(in_records, count);
        }
    }
}
