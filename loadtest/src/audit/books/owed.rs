//! URLs of finished batches whose outcome stands with a later batch: a lane that catches up sends a host's waiting
//! URLs in one request, and its receipt names the newest of their batches. Pure.

use std::collections::HashMap;

use super::batches::Place;

/// What is owed, by host.
#[derive(Debug, Default)]
pub(super) struct Owed(HashMap<u128, Vec<(Place, u64)>>);

impl Owed {
    /// A batch has fewer outcomes of a host than URLs.
    pub(super) fn owe(&mut self, host: u128, place: Place, urls: u64) {
        self.0.entry(host).or_default().push((place, urls));
    }

    /// A batch has more outcomes of a host than URLs: they are those of earlier batches. Batches come in the order
    /// in which they stand, so that none pays for a later one. Returns what nobody was owed.
    pub(super) fn pay(&mut self, host: u128, mut urls: u64) -> u64 {
        let Some(owed) = self.0.get_mut(&host) else {
            return urls;
        };
        for (_, missing) in owed.iter_mut().rev() {
            let paid = urls.min(*missing);
            *missing -= paid;
            urls -= paid;
        }
        owed.retain(|(_, missing)| *missing > 0);
        if owed.is_empty() {
            self.0.remove(&host);
        }
        urls
    }

    /// A batch is gone before it was compared: nobody knows what it would have paid. Returns that.
    pub(super) fn forgive(&mut self, (partition, offset): Place) -> u64 {
        let mut forgiven = 0;
        self.0.retain(|_, owed| {
            owed.retain(|((of, before), missing)| {
                let is_forgiven = *of == partition && *before < offset;
                forgiven += if is_forgiven { *missing } else { 0 };
                !is_forgiven
            });
            !owed.is_empty()
        });
        forgiven
    }

    /// What is owed beyond the outcomes of batches that are not finished, and where it is owed first.
    pub(super) fn left(&self, under_way: &HashMap<u128, u64>) -> (u64, Vec<Place>) {
        let (mut left, mut places) = (0, Vec::new());
        for (host, owed) in &self.0 {
            let urls: u64 = owed.iter().map(|(_, missing)| missing).sum();
            let urls = urls.saturating_sub(under_way.get(host).copied().unwrap_or(0));
            left += urls;
            if urls > 0 {
                places.extend(owed.first().map(|(place, _)| *place));
            }
        }
        places.sort_unstable();
        places.dedup();
        (left, places)
    }
}
