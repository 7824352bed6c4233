//! What is left to be done, and waiting until nothing is.

use std::time::{Duration, Instant};

use anyhow::Context;
use messagebus::offsets;
use redis::cmd;

use super::{LOOK_EVERY, Run};
use crate::service::Kind;
use crate::stack::RedisCluster;

/// What is left takes a Kafka client a question: looking as often as elsewhere would keep the broker busy.
const LOOK_FOR_REST_EVERY: Duration = Duration::from_secs(1);

impl Run {
    /// Waits until everything that is in the input has reached every partner.
    ///
    /// # Errors
    /// It has not within `deadline`; says what is left.
    pub async fn settle(&mut self, clusters: &[RedisCluster; 2], deadline: Duration) -> anyhow::Result<()> {
        self.settle_with(clusters, &self.partner_names.clone(), deadline)
            .await
    }

    /// Waits until everything that is in the input has reached these partners.
    ///
    /// # Errors
    /// It has not within `deadline`; says what is left.
    pub async fn settle_with(
        &mut self,
        clusters: &[RedisCluster; 2],
        partners: &[String],
        deadline: Duration,
    ) -> anyhow::Result<()> {
        let until = Instant::now() + deadline;
        loop {
            self.check()?;
            let Some(left) = self.left(clusters, partners).await? else {
                return Ok(());
            };
            if Instant::now() > until {
                let partitions = self.input_partitions().await;
                let logs = self.keep();
                std::fs::write(logs.join("redis-nodes"), views(clusters).await)
                    .context("writing nodes' views")?;
                anyhow::bail!(
                    "the pipeline does not come to rest: {left}; logs are in {}; input partitions: {partitions}",
                    logs.display()
                );
            }
            tokio::time::sleep(LOOK_FOR_REST_EVERY).await;
        }
    }

    /// How each ingestor sees its partitions.
    async fn input_partitions(&self) -> String {
        let mut views = Vec::new();
        for ingestor in self.of(Kind::Ingestor) {
            let answer = self
                .client
                .get(format!("http://{}/partitions", ingestor.admin))
                .send()
                .await;
            let view = match answer {
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            views.push(format!("{}: {view}", ingestor.name()));
        }
        views.join("; ")
    }

    /// What is not done yet.
    async fn left(
        &self,
        clusters: &[RedisCluster; 2],
        partners: &[String],
    ) -> anyhow::Result<Option<String>> {
        let ingest = self.input_lag().await?;
        if ingest > 0 {
            return Ok(Some(format!("{ingest} records are not ingested")));
        }
        let [a, b] = clusters;
        let keys = a.keys().await? + b.keys().await?;
        if keys > 0 {
            return Ok(Some(format!("{keys} keys are not drained")));
        }
        if !self.is_drained().await {
            return Ok(Some(
                "a closed generation has no verdict, or a failed one is not read again".to_owned(),
            ));
        }
        for partner in partners {
            let lag = self.lane_lag(partner).await?;
            if lag > 0 {
                return Ok(Some(format!("{lag} batches are not delivered to {partner}")));
            }
        }
        Ok(None)
    }

    /// Waits until something holds.
    ///
    /// # Errors
    /// It does not within `deadline`, or a service has ended.
    pub async fn wait_until<F>(&mut self, what: &str, deadline: Duration, holds: F) -> anyhow::Result<()>
    where
        F: AsyncFn(&Self) -> anyhow::Result<bool>,
    {
        let until = Instant::now() + deadline;
        loop {
            self.check()?;
            if holds(self).await? {
                return Ok(());
            }
            if Instant::now() > until {
                anyhow::bail!(
                    "{what}: not within {deadline:?}; logs are in {}",
                    self.keep().display()
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Records of the input that are not committed.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn input_lag(&self) -> anyhow::Result<i64> {
        let topics = self.kafka.topics();
        self.lag(&topics.group("ingestor"), &topics.cache_misses()).await
    }

    /// Batches that a partner's lane has not finished.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn lane_lag(&self, partner: &str) -> anyhow::Result<i64> {
        let topics = self.kafka.topics();
        self.lag(&self.lane_group(partner), &topics.batches()).await
    }

    /// The consumer group of a partner's lane.
    #[must_use]
    pub fn lane_group(&self, partner: &str) -> String {
        self.kafka.topics().group(&format!("dispatcher-{partner}"))
    }

    /// Batches in the topic.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn batches(&self) -> anyhow::Result<i64> {
        let ends = offsets::log_end(&self.kafka, &self.kafka.topics().batches()).await?;
        Ok(ends.iter().map(|(_, end)| end).sum())
    }

    async fn lag(&self, group: &str, topic: &str) -> anyhow::Result<i64> {
        let committed = offsets::committed(&self.kafka, group, topic).await?;
        let ends = offsets::log_end(&self.kafka, topic).await?;
        let done: i64 = committed.iter().filter_map(|(_, offset)| *offset).sum();
        Ok(ends.iter().map(|(_, end)| end).sum::<i64>() - done)
    }
}

/// How every node sees its cluster: what a drain waits for, where it does not end.
async fn views(clusters: &[RedisCluster; 2]) -> String {
    let mut views = String::new();
    for cluster in clusters {
        for node in cluster.numbers() {
            let view = cluster.run::<String>(node, cmd("CLUSTER").arg("NODES")).await;
            views += &view.unwrap_or_else(|error| format!("{error:#}\n"));
            views.push('\n');
        }
    }
    views
}
