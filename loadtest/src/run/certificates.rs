//! Which certificates the services of a run show.

use super::Run;
use crate::service::Kind;

impl Run {
    /// Whether every service shows nobody a certificate but one that ends at `end`, in Unix seconds.
    pub async fn shows_certificates_of(&self, end: i64) -> bool {
        for service in &self.services {
            let Ok(metrics) = service.metrics().await else {
                return false;
            };
            let peers: &[&str] = match service.kind() {
                Kind::Ingestor | Kind::Flipper => &["kafka", "redis"],
                Kind::Dispatcher => &["kafka"],
            };
            #[expect(clippy::cast_possible_truncation, reason = "whole seconds")]
            let shown = |peer| metrics.sum("tls_cert_not_after_seconds", &[("peer", peer)]) as i64;
            if peers.iter().any(|peer| shown(*peer) != end) {
                return false;
            }
        }
        true
    }
}
