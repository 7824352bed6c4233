//! Tells partners which pages changed.

use std::time::Duration;

use dispatcher::config::Config;
use messagebus::trace::Traces;
use messagebus::{Service, config, telemetry};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A request has 10 s, and what came of it must be acknowledged by Kafka.
const GRACE: Duration = Duration::from_secs(50);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = config::parse::<Config>();
    telemetry::init(&config.log)?;
    let _traces = Traces::start(&config.trace, "dispatcher")?;
    tracing::info!(?config, "starting");

    let mut service = Service::new(GRACE);
    dispatcher::start(config, &mut service)?;
    service.run().await
}
