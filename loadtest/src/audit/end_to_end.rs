//! (G): what went in against what came out, URL by URL.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anyhow::Context;
use generations::name_hash;
use hint_schema::Zone;
use ingestor::pipeline::Pipeline;
use ingestor::transformation::Transformations;
use ingestor::zones::{ZoneTable, Zones};
use messagebus::{KafkaArgs, Record};
use rdkafka::Message;

use super::AuditArgs;
use super::batches::BatchBooks;
use super::outcomes::Outcomes;
use super::report::Report;
use crate::partners::read_log;
use crate::read_topic::read_topic;

/// URLs by their 128-bit hashes: ten million fit into half a gigabyte.
#[derive(Clone, Debug, Default)]
pub(super) struct UrlSet(HashSet<u128>);

impl UrlSet {
    pub(super) fn insert(&mut self, url: &str) {
        self.0.insert(name_hash(url.as_bytes()));
    }

    pub(super) fn contains(&self, url: u128) -> bool {
        self.0.contains(&url)
    }
}

/// The input, judged again.
#[derive(Debug, Default)]
pub(super) struct EndToEnd {
    records: u64,
    /// Accepted now: by zones that are opted in at the end.
    accepted: UrlSet,
    /// Accepted at some time: by zones that ever were.
    ever: UrlSet,
}

impl EndToEnd {
    /// Judges every record below the offsets that the ingest group has committed. Blocks.
    pub(super) fn read(kafka: &KafkaArgs, committed: &[(i32, Option<i64>)]) -> anyhow::Result<Self> {
        let (now, ever) = zones(kafka)?;
        let steps: Transformations = "opt_in|policy|canonical|host"
            .parse()
            .context("the usual steps")?;
        let mut pipeline = Pipeline::new(&steps);
        let committed: HashMap<i32, i64> = committed
            .iter()
            .filter_map(|(p, offset)| Some((*p, (*offset)?)))
            .collect();
        let mut ends = Self::default();
        read_topic(kafka, &kafka.topics().cache_misses(), |message| {
            let end = committed.get(&message.partition()).copied().unwrap_or(0);
            if message.offset() < end {
                ends.judge(&mut pipeline, message.payload().unwrap_or_default(), &now, &ever);
            }
            Ok(())
        })?;
        Ok(ends)
    }

    fn judge(&mut self, pipeline: &mut Pipeline, payload: &[u8], now: &Zones, ever: &Zones) {
        self.records += 1;
        let record = Record {
            partition: 0,
            offset: 0,
            timestamp_ms: 0,
            key: None,
            payload,
        };
        for (zones, accepted) in [(now, &mut self.accepted), (ever, &mut self.ever)] {
            pipeline.judge(std::iter::once(record), zones, |judged| {
                if let Some(url) = judged.verdict.ok().and_then(|hint| hint.url) {
                    accepted.insert(url.as_str());
                }
            });
        }
    }

    /// Compares with what each partner has accepted.
    pub(super) fn compare(
        &self,
        args: &AuditArgs,
        batches: &BatchBooks,
        outcomes: &Outcomes,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        report.records = self.records;
        report.accepted_urls = self.accepted.0.len() as u64;
        let missing = |known: &UrlSet| {
            self.accepted
                .0
                .iter()
                .filter(|url| !known.contains(**url))
                .count() as u64
        };
        report.equal(
            "G",
            "accepted URLs that stand in no batch",
            0,
            missing(&batches.known),
        );
        for partner in &args.partners {
            let mut delivered = UrlSet::default();
            read_log(&args.logs, partner, |delivery| {
                delivery.urls.iter().for_each(|url| delivered.insert(url));
            })?;
            let is_lost = |url: &&u128| !delivered.contains(**url) && !outcomes.is_given_up(partner, **url);
            let lost = self.accepted.0.iter().filter(is_lost).count() as u64;
            let invented = delivered
                .0
                .iter()
                .filter(|url| !self.ever.contains(**url))
                .count() as u64;
            report.equal("G", format!("accepted URLs that {partner} never got"), 0, lost);
            report.equal(
                "G",
                format!("URLs that {partner} got and nobody sent"),
                0,
                invented,
            );
            report.lost += lost;
            report.invented += invented;
        }
        Ok(())
    }
}

/// The zones as they stand at the end, and as if none had ever opted out.
fn zones(kafka: &KafkaArgs) -> anyhow::Result<(Arc<Zones>, Arc<Zones>)> {
    let (mut now, mut ever) = (ZoneTable::default(), ZoneTable::default());
    read_topic(kafka, &kafka.topics().zones(), |record| {
        let key = record.key().unwrap_or_default();
        now.apply(key, record.payload()).context("reading a zone")?;
        let zone = record
            .payload()
            .map(Zone::decode)
            .transpose()
            .context("reading a zone")?;
        if let Some(zone) = zone.filter(|zone| zone.enabled) {
            ever.apply(key, Some(&zone.encode())).context("reading a zone")?;
        }
        Ok(())
    })?;
    Ok((now.snapshot(), ever.snapshot()))
}
