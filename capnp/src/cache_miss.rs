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

impl Default for CacheMiss<'_> {
    /// What a record holds whose producer sets nothing: the schema's defaults.
    fn default() -> Self {
        Self {
            timestamp_ms: 0,
            url: "",
            zone_id: 0,
            cache_status: CacheStatus::Miss,
            origin_status: 0,
            content_type: "",
            content_hash: b"",
            etag: "",
            last_modified_ms: 0,
            noindex: false,
            data_center: "",
        }
    }
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

/// Decodes a payload into a record that borrows from it. Reads each field once and allocates nothing for a
/// well-formed record.
///
/// # Errors
/// The payload is no record of schema version 1; see [`Malformed`].
pub fn read(payload: &[u8]) -> Result<CacheMiss<'_>, Malformed> {
    let message = message::open(payload, MAX_PAYLOAD_BYTES)?;
    let record = message.get_root::<wire::cache_miss::Reader<'_>>()?;
    let version = record.get_schema_version();
    if version != SCHEMA_VERSION {
        return Err(Malformed::SchemaVersion(version));
    }
    let url = text(payload, record.get_url()?)?;
    if url.is_empty() {
        return Err(Malformed::Empty);
    }
    Ok(CacheMiss {
        timestamp_ms: record.get_timestamp_ms(),
        url,
        zone_id: record.get_zone_id(),
        cache_status: record.get_cache_status()?,
        origin_status: record.get_origin_status(),
        content_type: text(payload, record.get_content_type()?)?,
        content_hash: within(payload, record.get_content_hash()?),
        etag: text(payload, record.get_etag()?)?,
        last_modified_ms: record.get_last_modified_ms(),
        noindex: record.get_noindex(),
        data_center: text(payload, record.get_data_center()?)?,
    })
}

/// Decodes a payload as [`read`] does and shows the record to `see`.
///
/// # Errors
/// As [`read`].
pub fn decode<R>(payload: &[u8], see: impl FnOnce(CacheMiss<'_>) -> R) -> Result<R, Malformed> {
    read(payload).map(see)
}

fn text<'a>(payload: &'a [u8], part: capnp::text::Reader<'_>) -> Result<&'a str, Malformed> {
    Ok(std::str::from_utf8(within(payload, part.as_bytes()))?)
}

/// `part` with the payload's lifetime: Cap'n Proto's reader lends its parts for its own, which ends too soon.
fn within<'a>(payload: &'a [u8], part: &[u8]) -> &'a [u8] {
    // A field left at its default is empty and lies elsewhere.
    let start = part.as_ptr().addr().wrapping_sub(payload.as_ptr().addr());
    start
        .checked_add(part.len())
        .and_then(|end| payload.get(start..end))
        .unwrap_or_default()
}
