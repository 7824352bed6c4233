//! (G), as the simulated partners' own logs tell it.

use super::logs::{HOST, Topics};
use crate::audit::logs::compare;

#[test]
fn what_a_partner_never_got_and_what_nobody_sent_it_are_counted() {
    let mut topics = Topics::new();
    topics.miss("/a");
    topics.miss("/b");
    topics.miss("/c");
    let dir = tempfile::tempdir().unwrap();
    let line = |path: &str| {
        let urls = [format!("https://{HOST}{path}")];
        serde_json::json!({"host": HOST, "urls": urls}).to_string() + "\n"
    };
    let partners = ["north", "south"].map(str::to_owned);
    let logs = [["/a", "/b", "/c"], ["/b", "/nobody-asked", "/b"]];
    for (partner, paths) in partners.iter().zip(logs) {
        let log = dir.path().join(format!("{partner}.jsonl"));
        std::fs::write(log, paths.map(line).concat()).unwrap();
    }
    let compared = compare(dir.path(), &partners, &topics.books).unwrap();
    let found: Vec<_> = compared
        .iter()
        .map(|partner| (partner.partner.as_str(), partner.lost, partner.invented))
        .collect();
    assert_eq!(found, [("north", 0, 0), ("south", 2, 1)]);
}
