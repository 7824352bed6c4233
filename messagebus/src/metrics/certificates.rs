//! When the certificates end that a process shows.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{GaugeFamily, Peer};

/// The ends of all certificates in use, several clients' towards each peer.
#[derive(Clone, Debug)]
pub(super) struct Certificates {
    gauge: GaugeFamily<1>,
    in_use: Arc<Mutex<Vec<(Peer, i64)>>>,
}

impl Certificates {
    pub(super) fn new(gauge: GaugeFamily<1>) -> Self {
        Self {
            gauge,
            in_use: Arc::default(),
        }
    }

    pub(super) fn end(&self, peer: Peer) -> CertificateEnd {
        CertificateEnd {
            all: self.clone(),
            peer,
            end: None,
        }
    }

    /// Exports the soonest end towards `peer`: that is the client which needs a new certificate first.
    fn change(&self, peer: Peer, old: Option<i64>, new: Option<i64>) {
        let mut in_use = self.in_use.lock();
        if let Some(place) = in_use
            .iter()
            .position(|&used| Some(used) == old.map(|end| (peer, end)))
        {
            in_use.swap_remove(place);
        }
        in_use.extend(new.map(|end| (peer, end)));
        let ends = in_use.iter().filter(|(whose, _)| *whose == peer);
        match ends.map(|(_, end)| *end).min() {
            #[expect(clippy::cast_precision_loss, reason = "seconds, exact up to 2^52")]
            Some(end) => self.gauge.with([peer.label()]).set(end as f64),
            None => self.gauge.remove([peer.label()]),
        }
    }
}

/// When the certificate of one client ends. It counts until this is dropped.
#[derive(Debug)]
pub struct CertificateEnd {
    all: Certificates,
    peer: Peer,
    end: Option<i64>,
}

impl CertificateEnd {
    /// Whom it is shown to.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// Notes the end, in Unix seconds.
    pub fn set(&mut self, end: i64) {
        let old = self.end.replace(end);
        self.all.change(self.peer, old, self.end);
    }
}

impl Drop for CertificateEnd {
    fn drop(&mut self) {
        self.all.change(self.peer, self.end, None);
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;
    use crate::metrics::Registrar;

    #[test]
    fn the_soonest_end_of_all_clients_is_exported() {
        let registry = Registry::new();
        let gauge = Registrar::new(&registry, "test")
            .gauge("end", "end", ["peer"])
            .unwrap();
        let all = Certificates::new(gauge.clone());
        let (mut first, mut second, mut other) =
            (all.end(Peer::Kafka), all.end(Peer::Kafka), all.end(Peer::Redis));
        first.set(10);
        second.set(10);
        other.set(5);
        let shown = |peer: Peer| gauge.with([peer.label()]).get();
        second.set(20);
        assert_eq!(
            (shown(Peer::Kafka), shown(Peer::Redis)),
            (10.0, 5.0),
            "one is left behind"
        );
        first.set(20);
        assert_eq!(shown(Peer::Kafka), 20.0);
        drop((first, second));
        assert_eq!(registry.gather()[0].get_metric().len(), 1, "only Redis is left");
    }
}
