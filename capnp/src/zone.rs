//! `Zone`: a customer's choice, and the hosts it holds for.

use capnp::message::Builder;

use crate::generated::zone_capnp as wire;
use crate::{Malformed, message};

/// The most bytes that are parsed: a zone of some ten thousand hosts.
const MAX_PAYLOAD_BYTES: usize = 1_000_000;

/// One customer's zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Zone {
    /// Its number, also the Kafka key, in decimal.
    pub id: u64,
    /// Opted in.
    pub enabled: bool,
    /// Every host that the zone may hint.
    pub hosts: Vec<ZoneHost>,
}

/// One host of a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ZoneHost {
    /// Host name.
    pub name: String,
    /// Its IndexNow key; empty: derived from the master key.
    pub key: String,
    /// URL of its key file; empty: `https://<name>/<key>.txt`.
    pub key_location: String,
    /// Over how many shards its keys spread; 0 counts as 1.
    pub spread: u16,
}

impl Zone {
    /// The zone as one Kafka value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut message = Builder::new_default();
        let mut zone = message.init_root::<wire::zone::Builder<'_>>();
        zone.set_id(self.id);
        zone.set_enabled(self.enabled);
        let mut hosts = zone.init_hosts(message::list_len(self.hosts.len()));
        for (index, host) in (0..).zip(&self.hosts) {
            let mut entry = hosts.reborrow().get(index);
            entry.set_name(host.name.as_str());
            entry.set_key(host.key.as_str());
            entry.set_key_location(host.key_location.as_str());
            entry.set_spread(host.spread);
        }
        message::close(&message)
    }

    /// Decodes a payload.
    ///
    /// # Errors
    /// The payload is no zone; see [`Malformed`].
    pub fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let message = message::open(payload, MAX_PAYLOAD_BYTES)?;
        let zone = message.get_root::<wire::zone::Reader<'_>>()?;
        let hosts = zone
            .get_hosts()?
            .iter()
            .map(|host| -> Result<ZoneHost, Malformed> {
                Ok(ZoneHost {
                    name: host.get_name()?.to_string()?,
                    key: host.get_key()?.to_string()?,
                    key_location: host.get_key_location()?.to_string()?,
                    spread: host.get_spread(),
                })
            });
        Ok(Self {
            id: zone.get_id(),
            enabled: zone.get_enabled(),
            hosts: hosts.collect::<Result<_, _>>()?,
        })
    }
}
