//! Who has opted in: the fold of the `zones` topic.
//!
//! [`ZoneTable`] takes the topic's records one by one; [`Zones`] is what the pipeline reads, a snapshot that
//! never changes. The table copies its map only when a snapshot of it is still in use.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use hint_schema::{Malformed, Zone as ZoneMessage};

use crate::canonical::canonical_host;

/// Every zone, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Zones {
    by_id: HashMap<u64, Arc<Zone>, RandomState>,
    enabled: usize,
}

/// A customer's site.
#[derive(Debug, PartialEq, Eq)]
pub struct Zone {
    enabled: bool,
    /// Canonical names with their spread, sorted by name.
    hosts: Box<[(Box<str>, u16)]>,
}

/// Folds the records of the topic, in the order of their offsets.
#[derive(Debug, Default)]
pub struct ZoneTable {
    zones: Arc<Zones>,
}

/// What a record changed, as a label of `crawlerhints_optin_changes_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZoneChange {
    /// A zone opted in.
    Enabled,
    /// A zone opted out.
    Disabled,
    /// A zone is gone.
    Removed,
    /// A zone's hosts are others than before.
    Hosts,
}

/// Why a record of the topic was left out; the zone stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum ZoneError {
    /// The key is the zone's id, and is what compaction goes by.
    #[error("the key is no decimal zone id")]
    Key,
    /// Key and message name different zones.
    #[error("the key says zone {key}, the message zone {message}")]
    OtherZone {
        /// Id in the key.
        key: u64,
        /// Id in the message.
        message: u64,
    },
    /// The message is no `Zone`.
    #[error("the message does not decode: {}", .0.reason())]
    Malformed(Malformed),
}

impl Zones {
    /// The zone, if it is known and has opted in.
    #[must_use]
    pub fn opted_in(&self, id: u64) -> Option<&Zone> {
        self.by_id.get(&id).map(Arc::as_ref).filter(|zone| zone.enabled)
    }

    /// How many zones have opted in.
    #[must_use]
    pub fn enabled(&self) -> usize {
        self.enabled
    }

    /// How many zones are known that have not.
    #[must_use]
    pub fn disabled(&self) -> usize {
        self.by_id.len() - self.enabled
    }

    fn set(&mut self, id: u64, zone: Option<Zone>) {
        self.enabled += usize::from(zone.as_ref().is_some_and(|zone| zone.enabled));
        let before = match zone {
            Some(zone) => self.by_id.insert(id, Arc::new(zone)),
            None => self.by_id.remove(&id),
        };
        self.enabled -= usize::from(before.is_some_and(|zone| zone.enabled));
    }
}

impl Zone {
    /// Over how many shards the host is spread; `None` when the host is not this zone's.
    #[must_use]
    pub fn spread_of(&self, host: &str) -> Option<u16> {
        let at = self
            .hosts
            .binary_search_by(|(name, _)| name.as_ref().cmp(host))
            .ok()?;
        self.hosts.get(at).map(|(_, spread)| *spread)
    }
}

impl From<ZoneMessage> for Zone {
    /// A host whose name is none is left out: no canonical URL could be of it.
    fn from(message: ZoneMessage) -> Self {
        let named = message
            .hosts
            .iter()
            .filter_map(|host| Some((canonical_host(&host.name).ok()?, host.spread)));
        let mut hosts: Vec<(Box<str>, u16)> = named.map(|(name, spread)| (name.into(), spread)).collect();
        hosts.sort_by(|(left, _), (right, _)| left.cmp(right));
        hosts.dedup_by(|(later, _), (earlier, _)| later == earlier);
        Self {
            enabled: message.enabled,
            hosts: hosts.into(),
        }
    }
}

impl ZoneTable {
    /// Takes one record; without a value the zone is removed. Tells what changed, if anything did.
    ///
    /// # Errors
    /// For a record that cannot be understood, which changes nothing.
    pub fn apply(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<Option<ZoneChange>, ZoneError> {
        let id = parse_id(key).ok_or(ZoneError::Key)?;
        let zone = value.map(|value| decode(id, value)).transpose()?;
        let change = ZoneChange::between(self.zones.by_id.get(&id).map(Arc::as_ref), zone.as_ref());
        if change.is_some() {
            Arc::make_mut(&mut self.zones).set(id, zone);
        }
        Ok(change)
    }

    /// The zones as they stand now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Zones> {
        Arc::clone(&self.zones)
    }
}

/// Reads the one spelling of an id: two spellings would be two keys to compaction.
fn parse_id(key: &[u8]) -> Option<u64> {
    let key = std::str::from_utf8(key).ok()?;
    let id: u64 = key.parse().ok()?;
    (id.to_string() == key).then_some(id)
}

fn decode(id: u64, value: &[u8]) -> Result<Zone, ZoneError> {
    let message = ZoneMessage::decode(value).map_err(ZoneError::Malformed)?;
    if message.id == id {
        Ok(message.into())
    } else {
        Err(ZoneError::OtherZone {
            key: id,
            message: message.id,
        })
    }
}

impl ZoneChange {
    /// Every change.
    pub const ALL: [Self; 4] = [Self::Enabled, Self::Disabled, Self::Removed, Self::Hosts];

    /// The word for it in metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Removed => "removed",
            Self::Hosts => "hosts",
        }
    }

    fn between(before: Option<&Zone>, after: Option<&Zone>) -> Option<Self> {
        match (before, after) {
            (None, None) => None,
            (Some(_), None) => Some(Self::Removed),
            (None, Some(new)) => Some(Self::switched(new)),
            (Some(old), Some(new)) if old.enabled != new.enabled => Some(Self::switched(new)),
            (Some(old), Some(new)) => (old.hosts != new.hosts).then_some(Self::Hosts),
        }
    }

    fn switched(new: &Zone) -> Self {
        if new.enabled {
            Self::Enabled
        } else {
            Self::Disabled
        }
    }
}

#[cfg(test)]
#[path = "zones_tests.rs"]
mod tests;
