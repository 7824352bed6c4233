//! Opens, drains and settles generations.

use std::time::Duration;

use flipper::config::Config;
use messagebus::trace::Traces;
use messagebus::{Service, config, telemetry};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What is in flight when the flipper is told to stop: a few batches. What was not acknowledged is still in
/// Redis.
const GRACE: Duration = Duration::from_secs(100);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = config::parse::<Config>();
    telemetry::init(&config.log)?;
    let _traces = Traces::start(&config.trace, "flipper")?;
    tracing::info!(?config, "starting");

    let mut service = Service::new(GRACE);
    flipper::start(config, &mut service)?;
    service.run().await
}
