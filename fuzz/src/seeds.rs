//! What fuzzing starts from, beside the kept inputs: the tables of bad input, and one good message of each kind.

use hint_schema::cache_miss::CacheMiss;
use hint_schema::generation_event::{
    Draining, Failed, FailedReason, GenerationEvent, Heartbeat, Incarnation, NodeSeen, OffsetInterval,
    Opened, PartitionOffset, ReplayAsked, ReplayProgress, Replayed, Role, Sealed, Settled,
};
use hint_schema::{BatchId, HintBatch, HostHints, Receipt, Undeliverable, Zone, ZoneHost};

#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "reads tables that tests have read before"
)]
#[path = "../../ingestor/tests/it/notation.rs"]
mod notation;

const URLS: &str = include_str!("../../ingestor/tests/data/hostile_urls.tsv");
const MESSAGES: &str = include_str!("../../ingestor/tests/data/malformed_messages.tsv");
const OTHER_MESSAGES: &str = include_str!("../../capnp/tests/data/malformed_messages.tsv");

/// Longer ones would slow everything down and reach nothing new.
const LONGEST: usize = 4_096;

/// The table's URLs.
pub(crate) fn urls() -> Vec<Vec<u8>> {
    let urls = notation::rows(URLS).filter_map(|row| Some(notation::unescape(row.first()?)));
    let urls = urls.map(|url| notation::expand(&url).into_bytes());
    urls.filter(|url| url.len() <= LONGEST).collect()
}

/// The table's messages, and a record for each of the table's URLs.
pub(crate) fn records() -> Vec<Vec<u8>> {
    let of_url = urls()
        .into_iter()
        .filter_map(|url| Some(record(std::str::from_utf8(&url).ok()?)));
    hex_of(MESSAGES).chain(of_url).collect()
}

/// A batch, an undeliverable and a receipt, and the table's messages.
pub(crate) fn batches() -> Vec<Vec<u8>> {
    let host = |host: &str, urls: &[&str]| HostHints {
        host: host.to_owned(),
        oldest_event_ms: 8,
        urls: urls.iter().map(|&url| url.to_owned()).collect(),
    };
    let batch = HintBatch {
        id: BatchId::from(9),
        generation: 3,
        created_at_ms: 7,
        hosts: vec![
            host("a.example", &["https://a.example/", "http://a.example/?q"]),
            host("b.example", &["https://b.example/x"]),
        ],
    };
    let undeliverable = Undeliverable {
        partner: "bing".to_owned(),
        host: "a.example".to_owned(),
        urls: vec!["https://a.example/".to_owned()],
        reason: "refused".to_owned(),
        status: 422,
        detail: "no".to_owned(),
        ..Undeliverable::default()
    };
    let receipt = Receipt {
        partner: "bing".to_owned(),
        host: "a.example".to_owned(),
        count: 2,
        status: 202,
        ..Receipt::default()
    };
    let good = [batch.encode(), undeliverable.encode(), receipt.encode()];
    good.into_iter().chain(hex_of(OTHER_MESSAGES)).collect()
}

/// An event of each kind, a zone, a key's name and value, and the table's messages.
pub(crate) fn control_records() -> Vec<Vec<u8>> {
    let host = ZoneHost {
        name: "a.example".to_owned(),
        key: "0123456789abcdef".to_owned(),
        key_location: "https://a.example/k.txt".to_owned(),
        spread: 4,
    };
    let zone = Zone {
        id: 7,
        enabled: true,
        hosts: vec![host, ZoneHost::default()],
    };
    let names = [&b"zz:{a.example#3}s/p?q"[..], b"0:{h}p/", b"4999"];
    let good = events().into_iter().map(|event| event.encode());
    good.chain([zone.encode()])
        .chain(names.map(<[u8]>::to_vec))
        .chain(hex_of(OTHER_MESSAGES))
        .collect()
}

/// Statuses, both forms of the header, and bodies as engines send them.
pub(crate) fn answers() -> Vec<Vec<u8>> {
    let answers = [
        "429\n120\n\n",
        "429\nSun, 06 Nov 2039 08:49:37 GMT\nSun, 06 Nov 2039 08:48:37 GMT\n{\"errorCode\":\"TooManyRequests\",\"message\":\"slow\",\"details\":null}",
        "503\nSunday, 06-Nov-94 08:49:37 GMT\n\n<html>busy</html>",
        "503\nSun Nov  6 08:49:37 1994\nSun Nov  6 08:48:37 1994\n",
        "403\n\n\n{\"errorCode\":\"UserForbiddedToAccessSite\",\"message\":\"\",\"details\":[{\"target\":\"key\"}]}",
        "422\n-1\nyesterday\n[[[[",
        "400\n99999999999999999999\n\n\u{fffd}",
    ];
    answers.map(|answer| answer.as_bytes().to_vec()).to_vec()
}

fn hex_of(table: &str) -> impl Iterator<Item = Vec<u8>> {
    let messages = notation::rows(table).filter_map(|row| hex::decode(notation::expand(row.last()?)).ok());
    messages.filter(|message| message.len() <= LONGEST)
}

fn record(url: &str) -> Vec<u8> {
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

fn events() -> Vec<GenerationEvent> {
    let (generation, flipper) = (9, Incarnation(3));
    let range = vec![OffsetInterval {
        partition: 3,
        from: 5,
        to: 9,
    }];
    let writer = "pod-1".to_owned();
    let node = NodeSeen {
        node_id: "n".to_owned(),
        run_id: "r".to_owned(),
        role: Role::Replica,
        replication_id: "p".to_owned(),
        evicted_keys: 4,
    };
    let progress = ReplayProgress {
        generation: 4,
        intervals: range.clone(),
    };
    vec![
        GenerationEvent::Opened(Opened {
            generation,
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
            writer: writer.clone(),
            incarnation: flipper,
            sequence: 2,
            first_generation: 3,
        }),
        GenerationEvent::Sealed(Sealed {
            generation,
            writer,
            incarnation: flipper,
            new_keys: 1,
            new_hash: 1 << 70,
            repeated_keys: 2,
            unknown: 3,
            live: range.clone(),
            replayed: vec![progress],
            is_final: true,
        }),
        GenerationEvent::Draining(Draining { generation, flipper }),
        GenerationEvent::Settled(Settled {
            generation,
            flipper,
            keys: 1,
            batches: 2,
            late_keys: 3,
            merged_keys: 4,
            audited: true,
        }),
        GenerationEvent::Failed(Failed {
            generation,
            flipper,
            reason: FailedReason::Shortfall,
            range: range.clone(),
            keys: 1,
            batches: 2,
            late_keys: 3,
            merged_keys: 4,
        }),
        GenerationEvent::ReplayAsked(ReplayAsked {
            generation,
            flipper,
            range,
        }),
        GenerationEvent::Replayed(Replayed { generation, flipper }),
    ]
}
