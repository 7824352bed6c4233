//! The books, end to end, from what stands in Kafka, what living processes say, and the partners' own logs where
//! they are simulated.
//!
//! Nothing here trusts a process's own counters where a topic says the same: a killed process takes no figure
//! with it. What is accepted is judged again, from the input topic, by the product's own pipeline, whose verdicts
//! the traffic's tests check against what the traffic knows.
//!
//! `books` counts, purely; `sources` reads, in the order that makes the counts comparable; `report` says what
//! remains. A look at a deployment at rest is the same look, with nothing excused as in flight.

mod auditor;
mod books;
mod endpoint;
mod logs;
mod metrics;
mod report;
mod sources;
mod topic;
mod watch;

use std::path::PathBuf;

use clap::Args;
use ingestor::transformation::Transformations;
use messagebus::KafkaArgs;

pub use auditor::Auditor;
pub use books::State;
pub use endpoint::Endpoint;
pub use report::{Book, Finding, GenerationRow, Generations, Kept, PartnerRow, Report, Row};
pub(crate) use topic::TopicReader;
pub use watch::{Ended, WatchArgs, watch};

/// The ingestors' steps unless the setting says otherwise.
const STEPS: &str = "opt_in|policy|canonical|host";
/// One to two gigabytes.
const MAX_URLS: usize = 20_000_000;

/// What to audit.
#[derive(Args, Clone, Debug)]
pub struct AuditArgs {
    /// Partners, by name, comma-separated; `name=url`, as the dispatcher takes it, will do
    #[arg(long, env, value_delimiter = ',', value_parser = partner_name, default_value = "bing,yandex")]
    pub partners: Vec<String>,
    /// Admin port of an ingestor, as `http://ingestor:8081`; several times, or a name that stands for many
    #[arg(long = "ingestor", value_name = "URL")]
    pub ingestors: Vec<Endpoint>,
    /// Admin port of a flipper
    #[arg(long = "flipper", value_name = "URL")]
    pub flippers: Vec<Endpoint>,
    /// Admin port of a dispatcher
    #[arg(long = "dispatcher", value_name = "URL")]
    pub dispatchers: Vec<Endpoint>,
    /// The ingestors' steps
    #[arg(long, env, default_value = STEPS)]
    pub transformations: Transformations,
    /// URLs held in memory at most, some 50 bytes each; beyond that they are not compared one by one. 0: never
    #[arg(long, default_value_t = MAX_URLS)]
    pub max_urls: usize,
    /// Nothing moves any more: what is in flight remains
    #[arg(long)]
    pub at_rest: bool,
    /// Directory of the simulated partners' logs; implies --at-rest
    #[arg(long)]
    pub logs: Option<PathBuf>,
}

impl Default for AuditArgs {
    fn default() -> Self {
        Self {
            partners: Vec::new(),
            ingestors: Vec::new(),
            flippers: Vec::new(),
            dispatchers: Vec::new(),
            transformations: STEPS.parse().expect("the usual steps are registered"),
            max_urls: MAX_URLS,
            at_rest: false,
            logs: None,
        }
    }
}

impl AuditArgs {
    /// Whether nothing is excused as in flight.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.at_rest || self.logs.is_some()
    }
}

/// Looks once.
///
/// # Errors
/// Kafka does not answer, or a partner's log cannot be read.
pub async fn audit(kafka: &KafkaArgs, args: &AuditArgs) -> anyhow::Result<Report> {
    Auditor::once(kafka, args)?.look().await
}

#[expect(clippy::unnecessary_wraps, reason = "what clap expects")]
fn partner_name(setting: &str) -> Result<String, String> {
    Ok(setting.split('=').next().unwrap_or(setting).trim().to_owned())
}
