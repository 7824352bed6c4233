//! What a key name costs, and its SET on the wire: `cargo bench --package generations`.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use generations::{AgeValue, CanonicalParts, Name, encode_name, name_hash, slot_of_name, wire};

const PARTS: CanonicalParts<'static> = CanonicalParts {
    https: true,
    host: "www.site-123.example",
    path_and_query: "/articles/changed-page-000001e240?view=full&locale=en-gb",
};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    names(&mut criterion);
    resp(&mut criterion);
    criterion.final_summary();
}

fn name() -> Vec<u8> {
    let mut name = Vec::new();
    encode_name(&mut name, 123_456, PARTS, 0);
    name
}

fn names(criterion: &mut Criterion) {
    let (name, mut out) = (name(), Vec::new());
    let mut group = criterion.benchmark_group("key name");
    group.throughput(Throughput::Elements(1));
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            out.clear();
            encode_name(&mut out, black_box(123_456), black_box(PARTS), 0);
        });
    });
    group.bench_function("parse", |bencher| {
        bencher.iter(|| black_box(Name::parse(black_box(&name)).is_some()));
    });
    group.bench_function("slot", |bencher| {
        bencher.iter(|| black_box(slot_of_name(black_box(&name))));
    });
    group.bench_function("hash for the books", |bencher| {
        bencher.iter(|| black_box(name_hash(black_box(&name))));
    });
    group.finish();
}

fn resp(criterion: &mut Criterion) {
    const SETS: usize = 1_000;
    let (name, mut out) = (name(), Vec::new());
    let answers = b"+OK\r\n$-1\r\n".repeat(SETS / 2);
    let mut group = criterion.benchmark_group("RESP, 1,000 SETs");
    group.throughput(Throughput::Elements(SETS as u64));
    group.bench_function("put", |bencher| {
        bencher.iter(|| {
            out.clear();
            for _ in 0..SETS {
                wire::put_set(&mut out, black_box(&name), AgeValue::OPENED);
            }
        });
    });
    group.bench_function("scan their answers", |bencher| {
        bencher.iter(|| assert_eq!(wire::answers(black_box(&answers)), SETS));
    });
    group.finish();
}
