//! A look at each cluster, every second: whether it answers, and how full its fullest master is.

use std::time::Duration;

use generations::Cluster;
use messagebus::{Health, metrics::Check};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(1);

/// Shows the share of its maxmemory that the cluster's fullest master uses, until `shutdown`.
///
/// # Errors
/// None; the signature is that of a service's task.
pub(crate) async fn watch(
    cluster: Cluster,
    share: watch::Sender<f64>,
    health: Health,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        let survey = cluster.survey().await;
        if survey.is_reachable {
            health.alive(Check::Redis);
        }
        share.send_replace(survey.memory_share());
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
