//! Which certificates the services of a run show.

use super::Run;
use crate::scrape::Scrape;
use crate::service::Kind;

impl Run {
    /// Who shows another certificate than one that ends at `end`, in Unix seconds, and to whom; nobody once all have
    /// turned to it. Of a service's clients the one counts whose certificate ends first.
    pub async fn who_shows_another(&self, end: i64) -> Vec<String> {
        let mut others = Vec::new();
        for service in &self.services {
            let name = service.name();
            match service.metrics().await {
                Ok(metrics) => {
                    let shown = shown_others(service.kind(), &metrics, end);
                    others.extend(shown.map(|shown| format!("{name} shows {shown}")));
                }
                Err(error) => others.push(format!("{name} does not say what it shows: {error:#}")),
            }
        }
        others
    }
}

/// Each peer that is shown another certificate, and how far its end is off.
fn shown_others(kind: Kind, metrics: &Scrape, end: i64) -> impl Iterator<Item = String> {
    let peers: &[&str] = match kind {
        Kind::Ingestor | Kind::Flipper => &["kafka", "redis"],
        Kind::Dispatcher => &["kafka"],
    };
    peers.iter().filter_map(move |peer| {
        #[expect(clippy::cast_possible_truncation, reason = "whole seconds")]
        let shown = metrics.sum("tls_cert_not_after_seconds", &[("peer", *peer)]) as i64;
        match shown - end {
            0 => None,
            _ if shown == 0 => Some(format!("{peer} none")),
            off => Some(format!("{peer} one whose end is {off:+} s off")),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_shown_another_certificate_is_named_with_its_end() {
        let shown = |kind, text: &str| -> Vec<_> {
            let metrics = Scrape::parse(text).unwrap();
            shown_others(kind, &metrics, 1_000).collect()
        };
        let kafka = "crawlerhints_tls_cert_not_after_seconds{peer=\"kafka\"} 1000\n";
        let redis = "crawlerhints_tls_cert_not_after_seconds{peer=\"redis\"} 940\n";
        let both = format!("{kafka}{redis}");
        assert_eq!(shown(Kind::Flipper, &both), ["redis one whose end is -60 s off"]);
        assert_eq!(shown(Kind::Ingestor, kafka), ["redis none"]);
        assert!(shown(Kind::Dispatcher, kafka).is_empty(), "it knows no Redis");
        assert_eq!(shown(Kind::Dispatcher, ""), ["kafka none"]);
    }
}
