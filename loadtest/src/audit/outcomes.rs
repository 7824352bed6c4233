//! (F): what became of each lane's URLs, from the topics that lanes write.

use std::collections::BTreeMap;

use anyhow::Context;
use hint_schema::generation_event::Generation;
use hint_schema::{Receipt, Undeliverable};
use messagebus::KafkaArgs;
use rdkafka::Message;

use super::batches::BatchBooks;
use super::end_to_end::UrlSet;
use super::report::Report;
use crate::read_topic::read_topic;

/// Receipts and what is undeliverable, by partner.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcomes(BTreeMap<String, Lane>);

#[derive(Clone, Debug, Default)]
struct Lane {
    delivered: u64,
    requests: BTreeMap<Generation, u64>,
    undeliverable: u64,
    /// Hints that ended with the same URL of another batch, delivered or undeliverable.
    merged: u64,
    given_up: UrlSet,
}

impl Outcomes {
    /// Reads both topics. Blocks.
    pub(super) fn read(kafka: &KafkaArgs) -> anyhow::Result<Self> {
        let mut outcomes = Self::default();
        let topics = kafka.topics();
        read_topic(kafka, &topics.receipts(), |record| {
            let receipt =
                Receipt::decode(record.payload().unwrap_or_default()).context("reading a receipt")?;
            let lane = outcomes.0.entry(receipt.partner).or_default();
            lane.delivered += u64::from(receipt.count);
            lane.merged += u64::from(receipt.merged);
            *lane.requests.entry(receipt.generation).or_default() += 1;
            Ok(())
        })?;
        read_topic(kafka, &topics.undeliverable(), |record| {
            let given_up = Undeliverable::decode(record.payload().unwrap_or_default());
            let given_up = given_up.context("reading what is undeliverable")?;
            let lane = outcomes.0.entry(given_up.partner).or_default();
            lane.undeliverable += given_up.urls.len() as u64;
            lane.merged += u64::from(given_up.merged);
            given_up.urls.iter().for_each(|url| lane.given_up.insert(url));
            Ok(())
        })?;
        Ok(outcomes)
    }

    /// (F) of one lane. A crash repeats at most what its lane had not committed, so it may leave more here.
    pub(super) fn lane(&self, partner: &str, batches: &BatchBooks, opted_out: u64, report: &mut Report) {
        let lane = self.0.get(partner).cloned().unwrap_or_default();
        let done = lane.delivered + lane.undeliverable + opted_out + lane.merged;
        let statement =
            format!("URLs of batches ≤ delivered + undeliverable + opted out + merged, {partner}");
        report.at_most("F", statement, batches.urls, done);
        report.repeats += done.saturating_sub(batches.urls);
        for (generation, requests) in &lane.requests {
            #[expect(clippy::cast_precision_loss, reason = "a ratio of small counts")]
            let ratio = *requests as f64 / batches.hosts_of(*generation).max(1) as f64;
            report.requests_per_host = report.requests_per_host.max(ratio);
        }
    }

    /// Whether a URL was given up for this partner.
    pub(super) fn is_given_up(&self, partner: &str, url: u128) -> bool {
        self.0
            .get(partner)
            .is_some_and(|lane| lane.given_up.contains(url))
    }
}
