//! Whole batches through the steps.

use hint_schema::cache_miss::CacheMiss;
use hint_schema::{Zone, ZoneHost};

use super::*;
use crate::canonical::CanonicalUrl;
use crate::test_data::page;
use crate::zones::ZoneTable;

fn pipeline() -> Pipeline {
    Pipeline::new(&"opt_in|policy|canonical|host".parse().unwrap())
}

/// Zone 7 has example.com with a spread of 4, zone 8 has opted out.
fn zones() -> std::sync::Arc<Zones> {
    let host = ZoneHost {
        name: "example.com".to_owned(),
        spread: 4,
        ..ZoneHost::default()
    };
    let mut table = ZoneTable::default();
    for (id, enabled) in [(7, true), (8, false)] {
        let zone = Zone {
            id,
            enabled,
            hosts: vec![host.clone()],
        };
        table
            .apply(id.to_string().as_bytes(), Some(&zone.encode()))
            .unwrap();
    }
    table.snapshot()
}

fn record(offset: usize, payload: &[u8]) -> Record<'_> {
    Record {
        partition: 0,
        offset: i64::try_from(offset).unwrap(),
        timestamp_ms: 0,
        key: None,
        payload,
    }
}

/// Judges payloads; gives each one's offset with its URL or reason.
fn judge(payloads: &[Vec<u8>]) -> Vec<(i64, Result<String, Reason>)> {
    let zones = zones();
    let records = payloads
        .iter()
        .enumerate()
        .map(|(offset, payload)| record(offset, payload));
    let mut verdicts = Vec::new();
    pipeline().judge(records, &zones, |judged| {
        let url = judged
            .verdict
            .map(|hint| hint.url.map(|url| url.as_str().to_owned()).unwrap_or_default());
        verdicts.push((judged.record.offset, url));
    });
    verdicts
}

#[test]
fn the_first_step_that_objects_gives_the_reason() {
    let secret = "https://example.org/?token=1";
    let misses = [
        page(),
        CacheMiss {
            zone_id: 8,
            noindex: true,
            url: secret,
            ..page()
        },
        CacheMiss { zone_id: 9, ..page() },
        CacheMiss {
            noindex: true,
            url: secret,
            ..page()
        },
        CacheMiss {
            url: secret,
            ..page()
        },
        CacheMiss {
            url: "https://example.org/",
            ..page()
        },
    ];
    let payloads: Vec<_> = misses
        .iter()
        .map(CacheMiss::encode)
        .chain([b"garbage".to_vec()])
        .collect();
    let verdicts: Vec<_> = judge(&payloads).into_iter().map(|(_, verdict)| verdict).collect();
    assert_eq!(
        verdicts,
        [
            Ok("https://example.com/a".to_owned()),
            Err(Reason::NotOptedIn),
            Err(Reason::NotOptedIn),
            Err(Reason::Noindex),
            Err(Reason::Secret),
            Err(Reason::ForeignHost),
            Err(Reason::Decode),
        ]
    );
}

#[test]
fn every_record_of_every_block_comes_out_once_and_in_order() {
    for count in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7] {
        let urls: Vec<_> = (0..count)
            .map(|number| format!("HTTPS://example.com/{number}"))
            .collect();
        let payloads: Vec<_> = urls
            .iter()
            .map(|url| CacheMiss { url, ..page() }.encode())
            .collect();
        let expected: Vec<_> = (0..count)
            .map(|number| format!("https://example.com/{number}"))
            .collect();
        let verdicts = judge(&payloads);
        assert!(
            verdicts
                .iter()
                .map(|(offset, _)| *offset)
                .eq(0..i64::try_from(count).unwrap())
        );
        assert!(
            verdicts
                .into_iter()
                .map(|(_, verdict)| verdict.unwrap())
                .eq(expected),
            "{count}"
        );
    }
}

#[test]
fn a_hint_carries_the_spread_of_its_host() {
    let zones = zones();
    let payload = page().encode();
    let mut seen = Vec::new();
    pipeline().judge(std::iter::once(record(0, &payload)), &zones, |judged| {
        let hint = judged.verdict.unwrap();
        seen.push((
            hint.spread,
            hint.url.as_ref().map(CanonicalUrl::host) == Some("example.com"),
        ));
    });
    assert_eq!(seen, [(4, true)]);
}

#[test]
fn every_step_is_timed_and_only_once() {
    let mut pipeline = pipeline();
    let names = |pipeline: &mut Pipeline| pipeline.take_times().map(|(name, _)| name).collect::<Vec<_>>();
    let payload = page().encode();
    pipeline.judge(std::iter::once(record(0, &payload)), &zones(), drop);
    assert_eq!(
        names(&mut pipeline),
        ["decode", "opt_in", "policy", "canonical", "host"]
    );
    assert!(pipeline.take_times().all(|(_, took)| took == Duration::ZERO));
}

#[test]
fn a_valid_canonical_record_costs_no_allocation() {
    let zones = zones();
    let urls: Vec<_> = (0..10_000)
        .map(|number| format!("https://example.com/{number}?a=%C3%A9"))
        .collect();
    let payloads: Vec<_> = urls
        .iter()
        .map(|url| CacheMiss { url, ..page() }.encode())
        .collect();
    let mut pipeline = pipeline();
    let mut accepted = 0;
    let cost = allocation_counter::measure(|| {
        let records = payloads.iter().map(|payload| record(0, payload));
        pipeline.judge(records, &zones, |judged| {
            accepted += u32::from(judged.verdict.is_ok());
        });
    });
    assert_eq!(accepted, 10_000);
    assert_eq!(cost.count_total, 1, "the block, and nothing for a record");
}
