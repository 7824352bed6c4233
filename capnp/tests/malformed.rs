//! The table of malformed messages of every topic but `cache-misses`, whose table is the ingestor's.
#![expect(clippy::panic, reason = "tests")]

use hint_schema::generation_event::GenerationEvent;
use hint_schema::{HintBatch, Malformed, Receipt, Undeliverable, Zone};

const TABLE: &str = include_str!("data/malformed_messages.tsv");

fn verdict(message: &str, payload: &[u8]) -> &'static str {
    let refused: Option<Malformed> = match message {
        "HintBatch" => HintBatch::decode(payload).err(),
        "Undeliverable" => Undeliverable::decode(payload).err(),
        "Receipt" => Receipt::decode(payload).err(),
        "Zone" => Zone::decode(payload).err(),
        "GenerationEvent" => GenerationEvent::decode(payload).err(),
        other => panic!("unknown message {other}"),
    };
    refused.map_or("read", |malformed| malformed.reason())
}

#[test]
fn each_malformed_message_meets_the_expected_reason() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for row in TABLE.lines().filter(|line| !line.starts_with("# ")) {
        let [message, name, expected, bytes] = row.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{row:?}")
        };
        let verdict = verdict(message, &hex::decode(bytes).unwrap());
        if verdict != expected {
            wrong.push(format!("{message}, {name}: expected {expected}, got {verdict}"));
        }
        count += 1;
    }
    assert!(count >= 60, "only {count} rows");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
