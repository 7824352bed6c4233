//! What a message costs to read and to write: `cargo bench --package hint-schema`.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use hint_schema::cache_miss::{self, CacheMiss};
use hint_schema::{BatchId, HintBatch, HostHints};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    cache_misses(&mut criterion);
    batches(&mut criterion);
    criterion.final_summary();
}

fn cache_misses(criterion: &mut Criterion) {
    let miss = CacheMiss {
        timestamp_ms: 1_790_000_000_000,
        url: "https://www.site-123.example/articles/changed-page-000001e240?view=full&locale=en-gb",
        zone_id: 25,
        origin_status: 200,
        content_type: "text/html; charset=utf-8",
        ..CacheMiss::default()
    };
    let payload = miss.encode();
    let mut group = criterion.benchmark_group("cache miss");
    group.throughput(Throughput::Elements(1));
    group.bench_function("read", |bencher| {
        bencher.iter(|| black_box(cache_miss::read(black_box(&payload)).is_ok()));
    });
    group.bench_function("encode", |bencher| {
        bencher.iter(|| black_box(black_box(&miss).encode()));
    });
    group.finish();
}

fn batches(criterion: &mut Criterion) {
    const URLS: u64 = 10_000;
    let url = |n| format!("https://www.site-1.example/articles/changed-page-{n:011x}?view=full&locale=en-gb");
    let host = |host: u64| HostHints {
        host: format!("www.site-{host}.example"),
        oldest_event_ms: 1_790_000_000_000,
        urls: (0..URLS / 10).map(url).collect(),
    };
    let batch = HintBatch {
        id: BatchId::from(7),
        generation: 7,
        created_at_ms: 1_790_000_000_000,
        hosts: (0..10).map(host).collect(),
    };
    let payload = batch.encode();
    let mut group = criterion.benchmark_group("batch of 10,000 URLs");
    group.throughput(Throughput::Elements(URLS));
    group.bench_function("decode", |bencher| {
        bencher.iter(|| black_box(HintBatch::decode(black_box(&payload)).is_ok()));
    });
    group.bench_function("encode", |bencher| {
        bencher.iter(|| black_box(black_box(&batch).encode()));
    });
    group.finish();
}
