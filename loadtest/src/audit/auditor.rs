//! One look after the other at a deployment.

use std::collections::BTreeSet;

use anyhow::Context;
use messagebus::{KafkaArgs, now_ms};
use tokio::task::spawn_blocking;

use super::books::{Books, Certainty};
use super::endpoint;
use super::report::{Evidence, judge};
use super::sources::{Committed, Sources, Window};
use super::{AuditArgs, Report, logs};
use crate::scrape::Scrape;

/// Follows a deployment's topics, and asks its processes.
pub struct Auditor {
    kafka: KafkaArgs,
    args: AuditArgs,
    client: reqwest::Client,
    /// Taken while a look reads.
    state: Option<(Sources, Books)>,
    window: Window,
}

impl Auditor {
    /// An auditor that reads all that Kafka keeps, once.
    ///
    /// # Errors
    /// Kafka's clients cannot be made from their settings.
    pub fn once(kafka: &KafkaArgs, args: &AuditArgs) -> anyhow::Result<Self> {
        Self::new(kafka, args, Window::Everything)
    }

    /// An auditor that goes on from the generations that are open now, and lets go of what is settled.
    ///
    /// # Errors
    /// Kafka's clients cannot be made from their settings.
    pub fn following(kafka: &KafkaArgs, args: &AuditArgs) -> anyhow::Result<Self> {
        Self::new(kafka, args, Window::OpenGenerations)
    }

    fn new(kafka: &KafkaArgs, args: &AuditArgs, window: Window) -> anyhow::Result<Self> {
        let mut auditor = Self {
            kafka: kafka.clone(),
            args: args.clone(),
            client: endpoint::client()?,
            state: None,
            window,
        };
        auditor.state = Some(auditor.begin()?);
        Ok(auditor)
    }

    fn begin(&self) -> anyhow::Result<(Sources, Books)> {
        let certainty = if self.args.is_at_rest() {
            Certainty::AtRest
        } else {
            Certainty::Live
        };
        let args = &self.args;
        let books = Books::new(&args.partners, &args.transformations, certainty, args.max_urls);
        Ok((Sources::new(&self.kafka, self.window)?, books))
    }

    /// Looks once. Not cancel-safe: a look that was cancelled begins anew.
    ///
    /// # Errors
    /// Kafka does not answer, or a partner's log cannot be read.
    pub async fn look(&mut self) -> anyhow::Result<Report> {
        let ingestors = endpoint::scrape_often(&self.client, &self.args.ingestors).await;
        let committed = Committed::ask(&self.kafka, &self.args.partners).await?;
        let (mut sources, mut books) = match self.state.take() {
            Some(state) => state,
            None => self.begin()?,
        };
        let (sources, books, read) = spawn_blocking(move || {
            let read = sources.read(&mut books, &committed);
            (sources, books, read)
        })
        .await
        .context("reading the books")?;
        let (_, books) = self.state.insert((sources, books));
        let read = read?;
        let dispatchers = endpoint::scrape(&self.client, &self.args.dispatchers).await;
        let flippers = endpoint::scrape(&self.client, &self.args.flippers).await;
        let logs = match &self.args.logs {
            Some(dir) => logs::compare(dir, &self.args.partners, books)?,
            None => Vec::new(),
        };
        let silent = [ingestors.silent, dispatchers.silent, flippers.silent].concat();
        let working = flippers.answers.iter().map(|(_, scrape)| scrape);
        let evidence = Evidence {
            at_ms: now_ms(),
            books,
            outcomes_of_nothing: read.outcomes_of_nothing,
            ingestors: ingestors.answers,
            ingest_group: self.kafka.topics().group("ingestor"),
            left_alone: left_alone(&self.args.partners, &dispatchers.answers),
            batch_ends: read.batch_ends,
            logs,
            silent,
            working: (!self.args.flippers.is_empty()).then(|| {
                working
                    .filter(|scrape| scrape.sum("flipper_leader", &[]) > 0.0)
                    .count() as u64
            }),
        };
        let report = judge(&evidence);
        if self.window == Window::OpenGenerations {
            books.fold();
        }
        Ok(report)
    }
}

/// Partners whose circuit is open at some dispatcher.
fn left_alone(partners: &[String], dispatchers: &[(String, Scrape)]) -> BTreeSet<String> {
    let is_open = |partner: &&String| {
        let labels = [("partner", partner.as_str())];
        let mut scrapes = dispatchers.iter();
        scrapes.any(|(_, scrape)| scrape.sum("dispatcher_circuit_open", &labels) > 0.0)
    };
    partners.iter().filter(is_open).cloned().collect()
}
