//! Who has opted in, who ever had, and since when. Pure.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use generations::name_hash;
use hint_schema::Zone;
use ingestor::canonical::canonical_host;
use ingestor::zones::{ZoneTable, Zones};
use messagebus::Record;

use super::offsets::Offsets;

/// The topic of zones.
#[derive(Debug, Default)]
pub(crate) struct ZoneBooks {
    now: ZoneTable,
    /// As if none had ever opted out or given up a host.
    ever: ZoneTable,
    all: HashMap<u64, Zone>,
    /// When a zone changed last, Unix milliseconds of its record.
    changed_at: HashMap<u64, i64>,
    /// The hosts of each zone that has opted in.
    hosts: HashMap<u64, Vec<u128>>,
    /// How many zones that have opted in name a host.
    named: HashMap<u128, u32>,
    /// Hosts that a zone gave up at some time.
    left: HashSet<u128>,
    offsets: Offsets,
    /// Compaction removed earlier versions of some zone.
    is_compacted: bool,
    /// Records that are none of ours.
    pub(crate) unreadable: u64,
}

impl ZoneBooks {
    /// Takes the next record of the topic.
    pub(crate) fn take(&mut self, record: &Record<'_>) {
        let Some(gone) = self.offsets.read(record.partition, record.offset) else {
            return;
        };
        self.is_compacted |= gone > 0;
        let key = record.key.unwrap_or_default();
        let value = Some(record.payload).filter(|value| !value.is_empty());
        let Ok(change) = self.now.apply(key, value) else {
            self.unreadable += 1;
            return;
        };
        let zone = value.and_then(|value| Zone::decode(value).ok());
        // Compaction may have removed a version in which it had opted in.
        if let Some(zone) = zone.as_ref().filter(|zone| zone.enabled || self.is_compacted) {
            self.note_ever(key, zone);
        }
        let id = std::str::from_utf8(key).ok().and_then(|id| id.parse().ok());
        if let (Some(id), Some(_)) = (id, change) {
            self.changed_at.insert(id, record.timestamp_ms);
            self.set_hosts(id, zone.filter(|zone| zone.enabled));
        }
    }

    /// Adds a version's hosts to those that its zone ever had.
    fn note_ever(&mut self, key: &[u8], zone: &Zone) {
        let all = self.all.entry(zone.id).or_insert_with(|| Zone {
            id: zone.id,
            enabled: true,
            hosts: Vec::new(),
        });
        let before = all.hosts.len();
        for host in &zone.hosts {
            if !all.hosts.iter().any(|known| known.name == host.name) {
                all.hosts.push(host.clone());
            }
        }
        if all.hosts.len() > before {
            self.unreadable += u64::from(self.ever.apply(key, Some(&all.encode())).is_err());
        }
    }

    fn set_hosts(&mut self, id: u64, zone: Option<Zone>) {
        let names = zone.iter().flat_map(|zone| &zone.hosts);
        let hosts: Vec<u128> = names
            .filter_map(|host| Some(name_hash(canonical_host(&host.name).ok()?.as_bytes())))
            .collect();
        hosts
            .iter()
            .for_each(|host| *self.named.entry(*host).or_default() += 1);
        for host in self.hosts.insert(id, hosts).unwrap_or_default() {
            if let Some(zones) = self.named.get_mut(&host) {
                *zones -= 1;
            }
            if !self.hosts.get(&id).is_some_and(|hosts| hosts.contains(&host)) {
                self.left.insert(host);
            }
        }
    }

    /// The zones as they stand, and as if none had ever opted out.
    pub(crate) fn snapshots(&self) -> (Arc<Zones>, Arc<Zones>) {
        (self.now.snapshot(), self.ever.snapshot())
    }

    /// When a zone changed last, Unix milliseconds.
    pub(crate) fn changed_at(&self, zone: u64) -> i64 {
        self.changed_at.get(&zone).copied().unwrap_or(0)
    }

    /// Whether a host may have been found opted out by a lane: no zone names it now, or one gave it up.
    pub(crate) fn may_be_out(&self, host: u128) -> bool {
        self.named.get(&host).is_none_or(|&zones| zones == 0) || self.left.contains(&host)
    }
}
