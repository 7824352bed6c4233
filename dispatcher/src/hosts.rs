//! Whose hosts may be hinted, and with which key: the fold of the `zones` topic.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ahash::RandomState;
use hint_schema::{Malformed, Zone};
use hinters::{HostKey, KeyError, MasterKey};
use parking_lot::RwLock;
use url::Host;

/// The hosts, shared by all lanes and the key-file server.
#[derive(Clone, Debug)]
pub(crate) struct HostDirectory {
    table: Arc<RwLock<HostTable>>,
    master: Option<MasterKey>,
}

/// What is known of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No zone that has opted in names it.
    OptedOut,
    /// Its key.
    Key(HostKey),
    /// Its zone names a key that cannot be used.
    BadKey(KeyError),
    /// Its zone names no key, and there is no master key.
    NoKey,
}

/// Folds the records of the topic.
#[derive(Debug, Default)]
struct HostTable {
    /// Hosts of each zone that has opted in.
    zones: HashMap<u64, Vec<Box<str>>, RandomState>,
    /// Each host's key, by the zones that name it.
    hosts: HashMap<Box<str>, BTreeMap<u64, ZoneKey>, RandomState>,
}

/// The key that a zone names for a host; none: derived.
type ZoneKey = Result<Option<HostKey>, KeyError>;

/// Why a record of the topic was left out; the zone stays as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ZoneError {
    /// The key is the zone's id, and is what compaction goes by.
    #[error("the key is no decimal zone id")]
    Key,
    /// The message is no `Zone`.
    #[error("the message does not decode: {}", .0.reason())]
    Malformed(Malformed),
}

impl HostDirectory {
    /// Knows no host.
    pub(crate) fn new(master: Option<MasterKey>) -> Self {
        Self {
            table: Arc::default(),
            master,
        }
    }

    /// Takes one record; without a value the zone is removed.
    pub(crate) fn apply(&self, key: &[u8], value: Option<&[u8]>) -> Result<(), ZoneError> {
        let id = std::str::from_utf8(key)
            .ok()
            .and_then(|key| key.parse().ok())
            .ok_or(ZoneError::Key)?;
        let zone = value
            .map(Zone::decode)
            .transpose()
            .map_err(ZoneError::Malformed)?;
        self.table.write().set(id, zone.filter(|zone| zone.enabled));
        Ok(())
    }

    /// What is known of a host, now.
    pub(crate) fn find(&self, host: &str) -> Found {
        let table = self.table.read();
        let Some((_, key)) = table.hosts.get(host).and_then(BTreeMap::first_key_value) else {
            return Found::OptedOut;
        };
        match (key, &self.master) {
            (Ok(Some(key)), _) => Found::Key(key.clone()),
            (Ok(None), Some(master)) => Found::Key(master.derive(host)),
            (Ok(None), None) => Found::NoKey,
            (Err(error), _) => Found::BadKey(*error),
        }
    }

    /// How many hosts may be hinted.
    pub(crate) fn len(&self) -> usize {
        self.table.read().hosts.len()
    }
}

impl HostTable {
    fn set(&mut self, id: u64, zone: Option<Zone>) {
        for host in self.zones.remove(&id).unwrap_or_default() {
            if let Some(zones) = self.hosts.get_mut(&host) {
                zones.remove(&id);
                if zones.is_empty() {
                    self.hosts.remove(&host);
                }
            }
        }
        let Some(zone) = zone else { return };
        let mut names = Vec::with_capacity(zone.hosts.len());
        for host in &zone.hosts {
            let Some(name) = canonical(&host.name) else {
                continue;
            };
            let key = match host.key.as_str() {
                "" => Ok(None),
                key => HostKey::new(&name, key, &host.key_location).map(Some),
            };
            names.push(name.clone());
            self.hosts.entry(name).or_default().entry(id).or_insert(key);
        }
        self.zones.insert(id, names);
    }
}

/// The spelling that batches have: lower case, punycode, no trailing dot.
pub(crate) fn canonical(name: &str) -> Option<Box<str>> {
    match Host::parse(name.strip_suffix('.').unwrap_or(name)).ok()? {
        Host::Domain(name) => Some(name.into()),
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use hint_schema::ZoneHost;

    use super::*;

    fn put(directory: &HostDirectory, id: u64, enabled: bool, hosts: &[(&str, &str, &str)]) {
        let host = |(name, key, location): &(&str, &str, &str)| ZoneHost {
            name: (*name).to_owned(),
            key: (*key).to_owned(),
            key_location: (*location).to_owned(),
            spread: 0,
        };
        let zone = Zone {
            id,
            enabled,
            hosts: hosts.iter().map(host).collect(),
        };
        let value = zone.encode();
        directory.apply(id.to_string().as_bytes(), Some(&value)).unwrap();
    }

    #[test]
    fn a_host_is_found_while_a_zone_that_opted_in_names_it() {
        let directory = HostDirectory::new(Some(MasterKey::new("m".into())));
        put(
            &directory,
            1,
            true,
            &[("A.Example.", "", ""), ("bücher.example", "", "")],
        );
        assert!(matches!(directory.find("a.example"), Found::Key(_)));
        assert!(matches!(directory.find("xn--bcher-kva.example"), Found::Key(_)));
        put(&directory, 2, true, &[("a.example", "", "")]);
        put(&directory, 1, false, &[("a.example", "", "")]);
        assert!(matches!(directory.find("a.example"), Found::Key(_)));
        assert_eq!(directory.find("xn--bcher-kva.example"), Found::OptedOut);
        directory.apply(b"2", None).unwrap();
        assert_eq!(directory.find("a.example"), Found::OptedOut);
        assert_eq!(directory.len(), 0);
    }

    #[test]
    fn a_key_is_the_zones_or_derived_or_missing() {
        let directory = HostDirectory::new(None);
        let location = "https://c.example/k/k.txt";
        put(
            &directory,
            1,
            true,
            &[
                ("a.example", "", ""),
                ("b.example", "bad", ""),
                ("c.example", "12345678", location),
            ],
        );
        assert_eq!(directory.find("a.example"), Found::NoKey);
        assert_eq!(directory.find("b.example"), Found::BadKey(KeyError::Key));
        let Found::Key(key) = directory.find("c.example") else {
            panic!("no key")
        };
        assert_eq!((key.key(), key.location()), ("12345678", Some(location)));
    }

    #[test]
    fn a_record_that_cannot_be_read_changes_nothing() {
        let directory = HostDirectory::new(None);
        put(&directory, 1, true, &[("a.example", "", "")]);
        assert!(matches!(directory.apply(b"x", None), Err(ZoneError::Key)));
        assert!(matches!(
            directory.apply(b"1", Some(b"?")),
            Err(ZoneError::Malformed(_))
        ));
        assert_eq!(directory.find("a.example"), Found::NoKey);
    }
}
