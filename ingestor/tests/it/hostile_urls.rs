//! The table of hostile URLs: each row says what becomes of its URL.

use hint_schema::cache_miss::CacheMiss;

use crate::notation::{expand, rows, unescape};
use crate::table;

const TABLE: &str = include_str!("../data/hostile_urls.tsv");

/// The hosts of the zone that the URLs claim to be of.
const HOSTS: [&str; 4] = [
    "example.com",
    "my_shop.example.com",
    "www.example.com",
    "bücher.example",
];

fn payload(url: &str) -> Vec<u8> {
    let miss = CacheMiss {
        timestamp_ms: 1_700_000_000_000,
        url,
        zone_id: 7,
        origin_status: 200,
        content_type: "text/html",
        ..CacheMiss::default()
    };
    miss.encode()
}

#[test]
fn each_hostile_url_meets_the_expected_reason() {
    let zones = table::zones(&HOSTS);
    let mut count = 0;
    let mut wrong = Vec::new();
    for row in rows(TABLE) {
        let [url, expected] = row[..] else {
            panic!("{row:?}")
        };
        let payload = payload(&expand(&unescape(url)));
        let verdict = table::verdict(&payload, &zones);
        let verdict = verdict.map_or_else(str::to_owned, |canonical| format!("={canonical}"));
        if verdict != expand(expected) {
            wrong.push(format!("{url}: expected {expected}, got {verdict}"));
        }
        count += 1;
    }
    assert!(count >= 500, "only {count} rows");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
