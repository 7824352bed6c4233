//! `CacheMiss`: one cache miss of an opted-in site, as the edge tells it.

use capnp::message::Builder;

use crate::generated::cache_miss_capnp as wire;
use crate::{Malformed, message};

/// The most bytes that are parsed.
pub const MAX_PAYLOAD_BYTES: usize = 64 * 1024;

/// The only schema version so far.
const SCHEMA_VERSION: u16 = 1;

pub use wire::CacheStatus;

/// One record, borrowed from its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheMiss<'a> {
    /// When the edge fetched it, Unix milliseconds.
    pub timestamp_ms: u64,
    /// Absolute URL, as the edge saw it.
    pub url: &'a str,
    /// The customer's zone.
    pub zone_id: u64,
    /// Why it was a miss.
    pub cache_status: CacheStatus,
    /// The origin's HTTP status, 0 where unknown.
    pub origin_status: u16,
    /// The answer's media type, as the origin sent it.
    pub content_type: &'a str,
    /// A hash of the body, of any kind.
    pub content_hash: &'a [u8],
    /// The answer's entity tag.
    pub etag: &'a str,
    /// The answer's Last-Modified, Unix milliseconds, 0 where unknown.
    pub last_modified_ms: u64,
    /// The page asks not to be indexed.
    pub noindex: bool,
    /// The data centre's code.
    pub data_center: &'a str,
}

impl CacheMiss<'_> {
    /// The record as one Kafka value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut message = Builder::new_default();
        let mut record = message.init_root::<wire::cache_miss::Builder<'_>>();
        record.set_schema_version(SCHEMA_VERSION);
        record.set_timestamp_ms(self.timestamp_ms);
        record.set_url(self.url);
        record.set_zone_id(self.zone_id);
        record.set_cache_status(self.cache_status);
        record.set_origin_status(self.origin_status);
        record.set_content_type(self.content_type);
        record.set_content_hash(self.content_hash);
        record.set_etag(self.etag);
        record.set_last_modified_ms(self.last_modified_ms);
        record.set_noindex(self.noindex);
        record.set_data_center(self.data_center);
        message::close(&message)
    }
}

/// Decodes a payload and shows the record to `see`. Reads each field once and allocates nothing for a
/// well-formed record.
///
/// # Errors
/// The payload is no record of schema version 1; see [`Malformed`].
pub fn decode<R>(payload: &[u8], see: impl FnOnce(CacheMiss<'_>) -> R) -> Result<R, Malformed> {
    let message = message::open(payload, MAX_PAYLOAD_BYTES)?;
    let record = message.get_root::<wire::cache_miss::Reader<'_>>()?;
    let version = record.get_schema_version();
    if version != SCHEMA_VERSION {
        return Err(Malformed::SchemaVersion(version));
    }
    let url = record.get_url()?.to_str()?;
    if url.is_empty() {
        return Err(Malformed::Empty);
    }
    Ok(see(CacheMiss {
        timestamp_ms: record.get_timestamp_ms(),
        url,
        zone_id: record.get_zone_id(),
        cache_status: record.get_cache_status()?,
        origin_status: record.get_origin_status(),
        content_type: record.get_content_type()?.to_str()?,
        content_hash: record.get_content_hash()?,
        etag: record.get_etag()?.to_str()?,
        last_modified_ms: record.get_last_modified_ms(),
        noindex: record.get_noindex(),
        data_center: record.get_data_center()?.to_str()?,
    }))
}
