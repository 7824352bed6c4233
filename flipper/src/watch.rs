//! A look at each cluster, every second: reachable, short of memory, how full.

use std::time::Duration;

use generations::Cluster;
use generations::protocol::FlipperEvent;
use messagebus::{Health, metrics::Check};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(1);

/// Tells the flip loop what a look at `cluster` shows, until `shutdown`. A look takes as long as the slowest
/// node, and the next begins a second after it.
///
/// # Errors
/// None; the signature is that of a service's task.
pub(crate) async fn watch(
    cluster: Cluster,
    events: mpsc::Sender<FlipperEvent>,
    health: Health,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        let survey = cluster.survey().await;
        if survey.is_reachable {
            health.alive(Check::Redis);
        }
        let view = survey.view();
        let told = events
            .send(FlipperEvent::Seen {
                cluster: cluster.name(),
                view,
            })
            .await;
        if told.is_err() {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
