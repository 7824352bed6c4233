//! The table of malformed messages: each row says what becomes of its payload.

use crate::notation::{expand, rows};
use crate::table;

const TABLE: &str = include_str!("../data/malformed_messages.tsv");

#[test]
fn each_malformed_message_meets_the_expected_reason() {
    let zones = table::zones(&["example.com"]);
    let mut count = 0;
    let mut wrong = Vec::new();
    for row in rows(TABLE) {
        let [name, expected, bytes] = row[..] else {
            panic!("{row:?}")
        };
        let payload = hex::decode(expand(bytes)).unwrap();
        let verdict = table::verdict(&payload, &zones).map_or_else(str::to_owned, |_| "accepted".to_owned());
        if verdict != expected {
            wrong.push(format!("{name}: expected {expected}, got {verdict}"));
        }
        count += 1;
    }
    assert!(count >= 200, "only {count} rows");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
