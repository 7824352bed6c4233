//! What batches hold.

use generations::{AgeValue, CanonicalParts, PageKey, encode_name};
use proptest::prelude::*;

use super::*;

const OPENED: u64 = 1_790_000_000_000;
const LIMITS: BatchLimits = BatchLimits {
    urls: 100,
    bytes: 20_000,
};

fn key(generation: u64, host: &str, path: &str) -> Vec<u8> {
    let mut name = Vec::new();
    let parts = CanonicalParts {
        https: true,
        host,
        path_and_query: path,
    };
    encode_name(&mut name, generation, parts, 1);
    name
}

fn page(names: &[Vec<u8>]) -> Page {
    let value = Some(AgeValue::of(OPENED - 5_000, OPENED));
    names.iter().map(|name| PageKey { name, value }).collect()
}

fn assembler() -> Assembler {
    Assembler::new(7, OPENED, 4, LIMITS)
}

fn drain_with(mut assembler: Assembler, pages: &[Vec<Vec<u8>>]) -> Vec<Batch> {
    let mut batches: Vec<Batch> = pages
        .iter()
        .flat_map(|names| assembler.add(&page(names)).full)
        .collect();
    batches.extend(std::iter::from_fn(|| assembler.close_largest()));
    batches
}

fn drain(pages: &[Vec<Vec<u8>>]) -> Vec<Batch> {
    drain_with(assembler(), pages)
}

#[test]
fn a_hint_keeps_its_age() {
    let batches = drain(&[vec![key(7, "a.example", "/")]]);
    let hints = batches[0].hints();
    assert_eq!(hints[0].oldest_event_ms, OPENED - 5_000);
    assert_eq!(hints[0].urls, ["https://a.example/"]);
}

#[test]
fn names_of_newer_generations_and_foreign_keys_are_left_alone() {
    let mut assembler = assembler();
    let names = [key(9, "a.example", "/"), b"session:1".to_vec()];
    assert_eq!(assembler.add(&page(&names)), Added::default());
    assert_eq!(assembler.close_largest(), None);
    assert_eq!(assembler.take_left_alone(), LeftAlone { newer: 1, foreign: 1 });
}

#[test]
fn a_late_name_is_emitted_and_merged_with_the_same_url() {
    let pages = [vec![
        key(5, "a.example", "/x"),
        key(7, "a.example", "/x"),
        key(5, "a.example", "/y"),
    ]];
    let batches = drain(&pages);
    assert_eq!(
        batches[0].hints()[0].urls,
        ["https://a.example/x", "https://a.example/y"]
    );
    let [x, own_x, y] = &pages[0][..] else {
        panic!("three names")
    };
    assert_eq!(batches[0].names().collect::<Vec<_>>(), [x, y, own_x]);
}

#[test]
fn a_host_that_does_not_fit_opens_the_next_batch_whole() {
    let names = |host: &str, n: usize| (0..n).map(|i| key(7, host, &format!("/{i}"))).collect::<Vec<_>>();
    let counts = |pages: &[Vec<Vec<u8>>]| {
        let batches = drain_with(Assembler::new(7, OPENED, 1, LIMITS), pages);
        batches.iter().map(Batch::url_count).collect::<Vec<_>>()
    };
    assert_eq!(
        counts(&[names("a.example", 60), names("b.example", 60)]),
        [60, 60]
    );
    assert_eq!(counts(&[names("a.example", 250)]), [100, 100, 50]);
}

#[test]
fn a_host_of_more_bytes_than_a_batch_may_have_takes_several() {
    let names: Vec<_> = (0..50)
        .map(|n| key(7, "a.example", &format!("/{n:01000}")))
        .collect();
    let batches = drain(&[names]);
    assert_eq!(batches.iter().map(Batch::url_count).sum::<usize>(), 50);
    for batch in batches {
        let hosts = batch.hints();
        let encoded = HintBatch {
            hosts,
            ..HintBatch::default()
        }
        .encode();
        assert!(encoded.len() <= LIMITS.bytes, "{} bytes", encoded.len());
    }
}

#[test]
fn a_full_batch_waits_for_nothing() {
    let names: Vec<_> = (0..100).map(|n| key(7, "a.example", &format!("/{n}"))).collect();
    let added = assembler().add(&page(&names));
    assert_eq!((added.full.len(), added.names), (1, 100));
    assert_eq!(added.bytes, added.full[0].name_bytes());
}

#[test]
fn a_page_of_one_host_is_one_batch() {
    for length in [5, 50, 500, 1_500] {
        let names: Vec<_> = (0..10_000)
            .map(|n| key(7, "a.example", &format!("/{n:0length$}")))
            .collect();
        let limits = BatchLimits {
            urls: 10_000,
            bytes: 900_000,
        };
        let fitting = limits.urls_of_one_host(names[0].len());
        let batches = drain_with(Assembler::new(7, OPENED, 1, limits), &[names[..fitting].to_vec()]);
        assert_eq!(batches.len(), 1, "{fitting} URLs of {length} bytes");
        assert!(fitting == limits.urls || 10 * batches[0].bytes > 9 * limits.bytes);
    }
}

proptest! {
    #[test]
    fn i7_no_url_stands_twice_in_a_batch_and_no_name_is_lost(
        pages in prop::collection::vec(prop::collection::vec((4_u64..8, 0_u8..3, 0_u8..20), 0..80), 0..8)
    ) {
        let pages: Vec<Vec<Vec<u8>>> = pages
            .into_iter()
            .map(|page| {
                let mut names: Vec<_> = page
                    .into_iter()
                    .map(|(generation, host, path)| key(generation, &format!("h{host}.example"), &format!("/{path}")))
                    .collect();
                names.sort();
                names.dedup();
                names
            })
            .collect();
        let names: usize = pages.iter().map(Vec::len).sum();
        let batches = drain(&pages);
        prop_assert_eq!(batches.iter().map(|batch| batch.names().count()).sum::<usize>(), names);
        for batch in &batches {
            let hosts = batch.hints();
            let urls: Vec<&String> = hosts.iter().flat_map(|host| &host.urls).collect();
            prop_assert_eq!(urls.iter().collect::<HashSet<_>>().len(), urls.len());
            prop_assert_eq!(urls.len(), batch.url_count());
            prop_assert!(urls.len() <= LIMITS.urls);
            for host in &hosts {
                prop_assert_eq!(output_partition(&host.host, 4), batch.partition);
            }
            let encoded = HintBatch { hosts, ..HintBatch::default() }.encode();
            prop_assert!(encoded.len() <= LIMITS.bytes);
        }
    }
}
