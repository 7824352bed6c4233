//! A look at each cluster, every second: reachable, short of memory, how full.

use std::time::Duration;

use generations::Cluster;
use generations::protocol::FlipperEvent;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(1);

/// Tells the flip loop what a look at `cluster` shows, until `shutdown`. A look takes as long as the slowest
/// node, and the next begins a second after it.
pub async fn watch(cluster: Cluster, events: mpsc::Sender<FlipperEvent>, shutdown: CancellationToken) -> anyhow::Result<()> {
    loop {
        let view = cluster.survey().await.view();
        let told = events.send(FlipperEvent::Seen { cluster: cluster.name(), view }).await;
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
