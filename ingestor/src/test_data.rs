//! Records for unit tests.

use hint_schema::cache_miss::CacheMiss;

/// A page that every step accepts when zone 7 has opted in.
pub(crate) fn page() -> CacheMiss<'static> {
    CacheMiss {
        timestamp_ms: 1_700_000_000_000,
        url: "https://example.com/a",
        zone_id: 7,
        origin_status: 200,
        content_type: "text/html; charset=utf-8",
        ..CacheMiss::default()
    }
}
