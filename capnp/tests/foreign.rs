//! Another implementation of Cap'n Proto writes what we read and reads what we write.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::Write;
use std::process::{Command, Stdio};

use hint_schema::cache_miss::{self, CacheMiss, CacheStatus};
use hint_schema::{Zone, ZoneHost};

/// Runs Debian's `capnp` on one of our schemas.
fn capnp(verb: &str, schema: &str, root: &str, input: &[u8]) -> Vec<u8> {
    let schema = format!("{}/schema/{schema}.capnp", env!("CARGO_MANIFEST_DIR"));
    let mut child = Command::new("capnp")
        .args([verb, &schema, root])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("capnp runs: is the package capnproto installed?");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "capnp {verb} {root}");
    output.stdout
}

#[test]
fn a_foreign_record_is_read() {
    let text = br#"(schemaVersion = 1, timestampMs = 77, url = "https://www.example.com/a", zoneId = 9,
        cacheStatus = purged, originStatus = 410, noindex = true)"#;
    let payload = capnp("encode", "cache_miss", "CacheMiss", text);
    let seen = cache_miss::decode(&payload, |record| {
        assert_eq!(
            (record.timestamp_ms, record.zone_id, record.origin_status),
            (77, 9, 410)
        );
        assert_eq!((record.cache_status, record.noindex), (CacheStatus::Purged, true));
        record.url.to_owned()
    });
    assert_eq!(seen.unwrap(), "https://www.example.com/a");
}

#[test]
fn a_foreign_reader_understands_our_record() {
    let record = CacheMiss {
        timestamp_ms: 77,
        url: "https://www.example.com/a",
        zone_id: 9,
        cache_status: CacheStatus::Miss,
        origin_status: 200,
        content_type: "text/html",
        content_hash: &[],
        etag: "",
        last_modified_ms: 0,
        noindex: false,
        data_center: "FRA",
    };
    let text = String::from_utf8(capnp("decode", "cache_miss", "CacheMiss", &record.encode())).unwrap();
    for field in [
        "url = \"https://www.example.com/a\"",
        "zoneId = 9",
        "originStatus = 200",
        "dataCenter = \"FRA\"",
    ] {
        assert!(text.contains(field), "{field} in {text}");
    }
}

#[test]
fn a_foreign_zone_is_read() {
    let text = br#"(id = 4, enabled = true, hosts = [(name = "www.example.com", spread = 2)])"#;
    let zone = Zone::decode(&capnp("encode", "zone", "Zone", text)).unwrap();
    let host = ZoneHost {
        name: "www.example.com".to_owned(),
        spread: 2,
        ..ZoneHost::default()
    };
    assert_eq!(
        zone,
        Zone {
            id: 4,
            enabled: true,
            hosts: vec![host]
        }
    );
}
