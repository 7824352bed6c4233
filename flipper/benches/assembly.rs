//! What a batch costs to put together: `cargo bench --package flipper`.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use flipper::batch::{Assembler, BatchLimits};
use generations::{AgeValue, CanonicalParts, Page, PageKey, encode_name};
use hint_schema::{BatchId, HintBatch};

const KEYS: u64 = 10_000;
const OPENED: u64 = 1_790_000_000_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    assembly(&mut criterion);
    criterion.final_summary();
}

/// Pages of one host each, as a slot has them.
fn pages(hosts: u64) -> Vec<Page> {
    let name = |host: u64, n: u64| {
        let mut name = Vec::new();
        let parts = CanonicalParts {
            https: true,
            host: &format!("www.site-{host}.example"),
            path_and_query: &format!("/articles/changed-page-{n:011x}?view=full&locale=en-gb"),
        };
        encode_name(&mut name, 7, parts, 0);
        name
    };
    let page = |host| {
        let names: Vec<_> = (0..KEYS / hosts).map(|n| name(host, n)).collect();
        let value = Some(AgeValue::OPENED);
        names.iter().map(|name| PageKey { name, value }).collect()
    };
    (0..hosts).map(page).collect()
}

fn assembly(criterion: &mut Criterion) {
    let limits = BatchLimits {
        urls: 10_000,
        bytes: 900_000,
    };
    let mut group = criterion.benchmark_group("batches of 10,000 keys");
    group.throughput(Throughput::Elements(KEYS));
    for hosts in [1, 100, 10_000] {
        let pages = pages(hosts);
        group.bench_function(format!("{hosts} hosts"), |bencher| {
            bencher.iter_batched(
                || Assembler::new(7, OPENED, 6, limits),
                |mut assembler| {
                    let mut bytes = 0;
                    let mut encode = |hosts| {
                        let batch = HintBatch {
                            id: BatchId::from(1),
                            generation: 7,
                            created_at_ms: OPENED,
                            hosts,
                        };
                        bytes += batch.encode().len();
                    };
                    for page in &pages {
                        let added = assembler.add(page);
                        added.full.iter().for_each(|batch| encode(batch.hints()));
                    }
                    while let Some(batch) = assembler.close_largest() {
                        encode(batch.hints());
                    }
                    black_box(bytes)
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}
