//! Turns cache misses into hints and writes them into the active generation.

use std::time::Duration;

use ingestor::config::Config;
use messagebus::trace::Traces;
use messagebus::{Service, config, telemetry};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What is in flight when the ingestor is told to stop: a few batches, a seal, the group's farewell.
const GRACE: Duration = Duration::from_secs(50);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = config::parse::<Config>();
    telemetry::init(&config.log)?;
    let _traces = Traces::start(&config.trace, "ingestor")?;
    tracing::info!(?config, "starting");

    let mut service = Service::new(GRACE);
    ingestor::start(config, &mut service)?;
    service.run().await
}
