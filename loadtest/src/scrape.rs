//! A service's metrics, read as Prometheus reads them.

use std::net::SocketAddr;

use anyhow::Context;
use prometheus_parse::{Sample, Value};

/// One look at `/metrics`.
#[derive(Clone, Debug, Default)]
pub struct Scrape(Vec<Sample>);

impl Scrape {
    /// Asks a service's admin port.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn of(client: &reqwest::Client, admin: SocketAddr) -> anyhow::Result<Self> {
        let url = format!("http://{admin}/metrics");
        let text = client
            .get(&url)
            .send()
            .await
            .with_context(|| format!("asking {url}"))?;
        let text = text.text().await.with_context(|| format!("reading {url}"))?;
        Self::parse(&text).with_context(|| format!("parsing {url}"))
    }

    /// Reads what a service exports.
    ///
    /// # Errors
    /// It is not the text format.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let lines = text.lines().map(|line| Ok(line.to_owned()));
        Ok(Self(prometheus_parse::Scrape::parse(lines)?.samples))
    }

    /// The sum of all counters or gauges of that name, without `crawlerhints_`, that have these labels.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        // A sum of nothing is -0.0 otherwise.
        self.values(name, labels).fold(0.0, |sum, value| sum + value)
    }

    /// The largest of them, 0 where there is none.
    #[must_use]
    pub fn max(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.values(name, labels).fold(0.0, f64::max)
    }

    fn values(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = f64> {
        self.0
            .iter()
            .filter(move |sample| {
                sample.metric.strip_prefix("crawlerhints_") == Some(name)
                    && labels
                        .iter()
                        .all(|(label, value)| sample.labels.get(label) == Some(value))
            })
            .map(|sample| match sample.value {
                Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => value,
                Value::Histogram(_) | Value::Summary(_) => 0.0,
            })
    }
}
