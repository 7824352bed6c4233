//! What goes in comes out, and what is not a message is refused with a reason.
#![expect(clippy::unwrap_used, reason = "tests")]

use hint_schema::cache_miss::{self, CacheMiss, CacheStatus};
use hint_schema::generation_event::{
    Draining, Failed, FailedReason, GenerationEvent, Heartbeat, Incarnation, NodeSeen, OffsetInterval,
    Opened, PartitionOffset, ReplayAsked, ReplayProgress, Replayed, Role, Sealed, Settled,
};
use hint_schema::{BatchId, HintBatch, HostHints, Receipt, Undeliverable, Zone, ZoneHost};
use proptest::prelude::*;

fn record(url: &str) -> CacheMiss<'_> {
    CacheMiss {
        timestamp_ms: 1_790_000_000_123,
        url,
        zone_id: 42,
        cache_status: CacheStatus::Expired,
        origin_status: 200,
        content_type: "text/html; charset=utf-8",
        content_hash: &[1, 2, 3],
        etag: "\"abc\"",
        last_modified_ms: 5,
        noindex: true,
        data_center: "FRA",
    }
}

fn batch(urls: Vec<String>) -> HintBatch {
    let host = HostHints {
        host: "www.example.com".to_owned(),
        oldest_event_ms: 7,
        urls,
    };
    HintBatch {
        id: BatchId::from(99),
        generation: 3,
        created_at_ms: 8,
        hosts: vec![host],
    }
}

fn events() -> Vec<GenerationEvent> {
    let range = vec![OffsetInterval {
        partition: 3,
        from: 5,
        to: 9,
    }];
    let flipper = Incarnation(u64::MAX);
    let node = NodeSeen {
        node_id: "n".to_owned(),
        run_id: "r".to_owned(),
        role: Role::Replica,
        replication_id: "p".to_owned(),
        evicted_keys: 4,
    };
    vec![
        GenerationEvent::Opened(Opened {
            generation: 9,
            flipper,
            opened_at_ms: 1,
            closed_through: Some(7),
            start_offsets: vec![PartitionOffset {
                partition: 0,
                offset: 11,
            }],
            nodes: vec![node],
        }),
        GenerationEvent::Heartbeat(Heartbeat {
            writer: "pod-1".to_owned(),
            incarnation: Incarnation(1),
            sequence: 2,
            first_generation: 3,
        }),
        GenerationEvent::Sealed(Sealed {
            generation: 9,
            writer: "pod-1".to_owned(),
            incarnation: Incarnation(1),
            new_keys: 1,
            new_hash: u128::MAX - 1,
            repeated_keys: 2,
            unknown: 3,
            live: range.clone(),
            replayed: vec![ReplayProgress {
                generation: 4,
                intervals: range.clone(),
            }],
            is_final: true,
        }),
        GenerationEvent::Draining(Draining {
            generation: 9,
            flipper,
        }),
        GenerationEvent::Settled(Settled {
            generation: 9,
            flipper,
            keys: 1,
            batches: 2,
            late_keys: 3,
            merged_keys: 4,
            audited: true,
        }),
        GenerationEvent::Failed(Failed {
            generation: 9,
            flipper,
            reason: FailedReason::Shortfall,
            range: range.clone(),
            keys: 1,
            batches: 2,
            late_keys: 3,
            merged_keys: 4,
        }),
        GenerationEvent::ReplayAsked(ReplayAsked {
            generation: 9,
            flipper,
            range,
        }),
        GenerationEvent::Replayed(Replayed {
            generation: 9,
            flipper,
        }),
    ]
}

fn reason(payload: &[u8]) -> &'static str {
    cache_miss::decode(payload, |_| ()).unwrap_err().reason()
}

#[test]
fn a_record_comes_out_as_it_went_in() {
    let sent = record("https://www.example.com/ä?q=1");
    cache_miss::decode(&sent.encode(), |read| assert_eq!(read, sent)).unwrap();
}

#[test]
fn decoding_a_record_allocates_nothing() {
    let payload = record("https://www.example.com/path").encode();
    let counted = allocation_counter::measure(|| cache_miss::decode(&payload, |_| ()).unwrap());
    assert_eq!(counted.count_total, 0);
}

#[test]
fn a_record_is_read_from_any_address() {
    let payload = record("https://www.example.com/path").encode();
    let shifted = [&[0_u8][..], &payload].concat();
    cache_miss::decode(&shifted[1..], |read| assert_eq!(read.zone_id, 42)).unwrap();
}

#[test]
fn malformed_payloads_have_their_reason() {
    let good = record("https://www.example.com/").encode();
    assert_eq!(reason(&[]), "empty");
    assert_eq!(reason(&record("").encode()), "empty");
    assert_eq!(reason(&vec![0; cache_miss::MAX_PAYLOAD_BYTES + 1]), "too_large");
    assert_eq!(reason(&[good.as_slice(), &[0; 8]].concat()), "decode");
    assert_eq!(reason(&[good.as_slice(), &[0]].concat()), "decode");
    assert_eq!(reason(b"{\"url\": \"https://www.example.com/\"}"), "decode");
    for length in 1..good.len() {
        assert_eq!(reason(&good[..length]), "decode", "{length} bytes of it");
    }
    let mut newer = good.clone();
    newer[16] = 2; // The first data word: the schema version.
    assert_eq!(reason(&newer), "schema_version");
    let mut not_utf8 = good;
    let place = not_utf8.windows(5).position(|window| window == b"https").unwrap();
    not_utf8[place] = 0xff;
    assert_eq!(reason(&not_utf8), "decode");
}

#[test]
fn events_come_out_as_they_went_in_under_keys_of_their_own() {
    let events = events();
    for event in &events {
        assert_eq!(GenerationEvent::decode(&event.encode()).unwrap(), *event);
    }
    let keys: Vec<String> = events.iter().map(GenerationEvent::key).collect();
    let expected = [
        "opened/9/ffffffffffffffff",
        "writer/pod-1/0000000000000001",
        "sealed/9/pod-1/0000000000000001",
        "draining/9/ffffffffffffffff",
        "verdict/9/ffffffffffffffff",
        "verdict/9/ffffffffffffffff",
        "replay-asked/9/ffffffffffffffff",
        "replayed/9/ffffffffffffffff",
    ];
    assert_eq!(keys, expected);
}

#[test]
fn zones_and_outcomes_come_out_as_they_went_in() {
    let host = ZoneHost {
        name: "www.example.com".to_owned(),
        key: "0123456789abcdef".to_owned(),
        key_location: "https://www.example.com/k.txt".to_owned(),
        spread: 4,
    };
    let zone = Zone {
        id: 5,
        enabled: true,
        hosts: vec![host, ZoneHost::default()],
    };
    assert_eq!(Zone::decode(&zone.encode()).unwrap(), zone);
    let undeliverable = Undeliverable {
        partner: "bing".to_owned(),
        host: "www.example.com".to_owned(),
        urls: vec!["https://www.example.com/".to_owned()],
        reason: "key_refused".to_owned(),
        status: 403,
        detail: "no".to_owned(),
        generation: 1,
        batch_id: BatchId::from(7),
        at_ms: 2,
        merged: 3,
    };
    assert_eq!(
        Undeliverable::decode(&undeliverable.encode()).unwrap(),
        undeliverable
    );
    let receipt = Receipt {
        partner: "bing".to_owned(),
        count: 9,
        status: 202,
        merged: 4,
        ..Receipt::default()
    };
    assert_eq!(Receipt::decode(&receipt.encode()).unwrap(), receipt);
}

#[test]
fn a_full_batch_is_encoded_in_the_bytes_that_were_foretold() {
    let urls = (0..10_000)
        .map(|n| format!("https://www.example.com/{n}/{}", "x".repeat(n % 50)))
        .collect();
    let batch = batch(urls);
    let (foretold, encoded) = (batch.encoded_bytes(), batch.encode());
    assert!(
        encoded.len() <= foretold && foretold <= encoded.len() + 64,
        "{foretold} for {}",
        encoded.len()
    );
    assert_eq!(HintBatch::decode(&encoded).unwrap(), batch);
}

proptest! {
    #[test]
    fn any_url_survives(url in "[^\u{0}]{1,200}", status in any::<u16>(), noindex in any::<bool>()) {
        let sent = CacheMiss { origin_status: status, noindex, ..record(&url) };
        cache_miss::decode(&sent.encode(), |read| assert_eq!(read, sent)).unwrap();
    }

    #[test]
    fn any_batch_survives(urls in prop::collection::vec("[ -~]{0,90}", 0..40)) {
        let batch = batch(urls);
        prop_assert_eq!(HintBatch::decode(&batch.encode()).unwrap(), batch);
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        drop(cache_miss::decode(&bytes, |_| ()));
        drop(HintBatch::decode(&bytes));
        drop(GenerationEvent::decode(&bytes));
        drop(Zone::decode(&bytes));
        drop(Undeliverable::decode(&bytes));
        drop(Receipt::decode(&bytes));
    }

    #[test]
    fn a_damaged_message_is_read_or_refused_and_never_a_panic(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut payload = events()[2].encode();
        let place = place.index(payload.len());
        payload[place] = byte;
        drop(GenerationEvent::decode(&payload));
    }
}
