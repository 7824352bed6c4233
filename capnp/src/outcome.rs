//! `Undeliverable` and `Receipt`: what became of a host's hints at one partner.

use capnp::message::Builder;

use crate::generated::hint_batch_capnp as wire;
use crate::hint_batch::read_texts;
use crate::{BatchId, Malformed, message};

/// The most bytes that are parsed: Kafka's own limit on a message.
const MAX_PAYLOAD_BYTES: usize = 1_048_576;

/// URLs that a partner finally refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Undeliverable {
    /// The partner's name.
    pub partner: String,
    /// Bare host name.
    pub host: String,
    /// Canonical URLs.
    pub urls: Vec<String>,
    /// One of the dispatcher's closed set.
    pub reason: String,
    /// HTTP status, 0 where there was no answer.
    pub status: u16,
    /// The partner's words, at most 1 KiB.
    pub detail: String,
    /// The newest generation they came from.
    pub generation: u64,
    /// The newest batch they came in.
    pub batch_id: BatchId,
    /// When it was given up, Unix milliseconds.
    pub at_ms: u64,
    /// Further hints of these URLs, of batches that waited as well, that ended with them.
    pub merged: u32,
}

impl Undeliverable {
    /// The record as one Kafka value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut message = Builder::new_default();
        let mut record = message.init_root::<wire::undeliverable::Builder<'_>>();
        record.set_partner(self.partner.as_str());
        record.set_host(self.host.as_str());
        record.set_reason(self.reason.as_str());
        record.set_status(self.status);
        record.set_detail(self.detail.as_str());
        record.set_generation(self.generation);
        record.set_batch_id(&self.batch_id.0);
        record.set_at_ms(self.at_ms);
        record.set_merged(self.merged);
        let mut urls = record.init_urls(message::list_len(self.urls.len()));
        for (index, url) in (0..).zip(&self.urls) {
            urls.set(index, url.as_str());
        }
        message::close(&message)
    }

    /// Decodes a payload.
    ///
    /// # Errors
    /// The payload is no such record; see [`Malformed`].
    pub fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let message = message::open(payload, MAX_PAYLOAD_BYTES)?;
        let record = message.get_root::<wire::undeliverable::Reader<'_>>()?;
        Ok(Self {
            partner: record.get_partner()?.to_string()?,
            host: record.get_host()?.to_string()?,
            urls: read_texts(record.get_urls()?)?,
            reason: record.get_reason()?.to_string()?,
            status: record.get_status(),
            detail: record.get_detail()?.to_string()?,
            generation: record.get_generation(),
            batch_id: BatchId::read(record.get_batch_id()?)?,
            at_ms: record.get_at_ms(),
            merged: record.get_merged(),
        })
    }
}

/// One request that a partner accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Receipt {
    /// The partner's name.
    pub partner: String,
    /// Bare host name.
    pub host: String,
    /// URLs in the request.
    pub count: u32,
    /// HTTP status.
    pub status: u16,
    /// The newest generation they came from.
    pub generation: u64,
    /// The newest batch they came in.
    pub batch_id: BatchId,
    /// When it was answered, Unix milliseconds.
    pub at_ms: u64,
    /// Further hints of these URLs, of batches that waited as well, that ended with them.
    pub merged: u32,
}

impl Receipt {
    /// The record as one Kafka value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut message = Builder::new_default();
        let mut record = message.init_root::<wire::receipt::Builder<'_>>();
        record.set_partner(self.partner.as_str());
        record.set_host(self.host.as_str());
        record.set_count(self.count);
        record.set_status(self.status);
        record.set_generation(self.generation);
        record.set_batch_id(&self.batch_id.0);
        record.set_at_ms(self.at_ms);
        record.set_merged(self.merged);
        message::close(&message)
    }

    /// Decodes a payload.
    ///
    /// # Errors
    /// The payload is no receipt; see [`Malformed`].
    pub fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let message = message::open(payload, MAX_PAYLOAD_BYTES)?;
        let record = message.get_root::<wire::receipt::Reader<'_>>()?;
        Ok(Self {
            partner: record.get_partner()?.to_string()?,
            host: record.get_host()?.to_string()?,
            count: record.get_count(),
            status: record.get_status(),
            generation: record.get_generation(),
            batch_id: BatchId::read(record.get_batch_id()?)?,
            at_ms: record.get_at_ms(),
            merged: record.get_merged(),
        })
    }
}
