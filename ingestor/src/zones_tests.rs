//! The fold of the `zones` topic, record by record.

use hint_schema::ZoneHost;

use super::*;

fn host(name: &str, spread: u16) -> ZoneHost {
    ZoneHost {
        name: name.to_owned(),
        key: String::new(),
        key_location: String::new(),
        spread,
    }
}

fn message(id: u64, enabled: bool, names: &[&str]) -> Vec<u8> {
    ZoneMessage {
        id,
        enabled,
        hosts: names.iter().map(|name| host(name, 0)).collect(),
    }
    .encode()
}

fn apply(table: &mut ZoneTable, key: &str, value: Option<&[u8]>) -> Option<ZoneChange> {
    table.apply(key.as_bytes(), value).unwrap()
}

#[test]
fn the_last_record_of_a_zone_counts() {
    let mut table = ZoneTable::default();
    let on = message(7, true, &["example.com"]);
    let off = message(7, false, &["example.com"]);
    assert_eq!(apply(&mut table, "7", Some(&on)), Some(ZoneChange::Enabled));
    assert_eq!(apply(&mut table, "7", Some(&on)), None);
    assert!(table.snapshot().opted_in(7).is_some());
    assert_eq!(apply(&mut table, "7", Some(&off)), Some(ZoneChange::Disabled));
    assert!(table.snapshot().opted_in(7).is_none());
    assert_eq!(apply(&mut table, "7", None), Some(ZoneChange::Removed));
    assert_eq!(apply(&mut table, "7", None), None);
    assert_eq!(
        apply(&mut table, "8", Some(&message(8, false, &[]))),
        Some(ZoneChange::Disabled)
    );
}

#[test]
fn zones_are_counted_by_state() {
    let mut table = ZoneTable::default();
    for id in 0..10 {
        apply(&mut table, &id.to_string(), Some(&message(id, id % 3 == 0, &[])));
    }
    assert_eq!((table.snapshot().enabled(), table.snapshot().disabled()), (4, 6));
    apply(&mut table, "0", None);
    apply(&mut table, "1", None);
    apply(&mut table, "3", Some(&message(3, false, &[])));
    assert_eq!((table.snapshot().enabled(), table.snapshot().disabled()), (2, 6));
}

#[test]
fn a_snapshot_never_changes() {
    let mut table = ZoneTable::default();
    apply(&mut table, "7", Some(&message(7, true, &[])));
    let before = table.snapshot();
    apply(&mut table, "7", None);
    assert!(before.opted_in(7).is_some());
    assert!(table.snapshot().opted_in(7).is_none());
}

#[test]
fn hosts_are_compared_in_their_one_spelling() {
    let mut table = ZoneTable::default();
    let value = message(
        7,
        true,
        &[
            "WWW.Example.com.",
            "Bücher.example",
            "not a host",
            "10.0.0.1",
            "a.example",
        ],
    );
    apply(&mut table, "7", Some(&value));
    let zones = table.snapshot();
    let zone = zones.opted_in(7).unwrap();
    for name in ["www.example.com", "xn--bcher-kva.example", "a.example"] {
        assert_eq!(zone.spread_of(name), Some(0), "{name}");
    }
    for name in ["example.com", "10.0.0.1", "not a host", ""] {
        assert_eq!(zone.spread_of(name), None, "{name}");
    }
}

#[test]
fn spread_follows_the_zone_and_the_first_of_two_entries_counts() {
    let mut table = ZoneTable::default();
    let hosts = vec![host("b.example", 8), host("a.example", 1), host("B.example", 64)];
    let value = ZoneMessage {
        id: 7,
        enabled: true,
        hosts,
    }
    .encode();
    apply(&mut table, "7", Some(&value));
    assert_eq!(
        table
            .snapshot()
            .opted_in(7)
            .and_then(|zone| zone.spread_of("b.example")),
        Some(8)
    );
    let value = ZoneMessage {
        id: 7,
        enabled: true,
        hosts: vec![host("b.example", 16)],
    }
    .encode();
    assert_eq!(apply(&mut table, "7", Some(&value)), Some(ZoneChange::Hosts));
}

#[test]
fn a_record_that_cannot_be_understood_changes_nothing() {
    let mut table = ZoneTable::default();
    apply(&mut table, "7", Some(&message(7, true, &[])));
    for key in ["", "x", "07", "+7", "-7", "18446744073709551616"] {
        assert!(
            matches!(table.apply(key.as_bytes(), None), Err(ZoneError::Key)),
            "{key}"
        );
    }
    assert!(matches!(table.apply(b"\xff", None), Err(ZoneError::Key)));
    assert!(matches!(
        table.apply(b"7", Some(b"garbage")),
        Err(ZoneError::Malformed(_))
    ));
    let other = message(8, false, &[]);
    assert!(matches!(
        table.apply(b"7", Some(&other)),
        Err(ZoneError::OtherZone { key: 7, message: 8 })
    ));
    assert!(table.snapshot().opted_in(7).is_some());
}
