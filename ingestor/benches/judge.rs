//! What the steps cost a record: `cargo bench --package ingestor`.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput};
use hint_schema::cache_miss::CacheMiss;
use hint_schema::{Zone, ZoneHost};
use ingestor::canonical::CanonicalUrl;
use ingestor::pipeline::Pipeline;
use ingestor::recent::RecentFilter;
use ingestor::zones::{ZoneTable, Zones};
use messagebus::Record;

const HOST: &str = "www.site-1.example";

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    canonicaliser(&mut criterion);
    steps(&mut criterion);
    filter(&mut criterion);
    criterion.final_summary();
}

fn page(n: u32) -> String {
    format!("https://{HOST}/articles/changed-page-{n:011x}?view=full&locale=en-gb")
}

fn canonicaliser(criterion: &mut Criterion) {
    let urls = [
        ("canonical", page(1)),
        ("upper case", page(1).replace("https://www", "HTTPS://WWW")),
        ("dot segments", page(1).replace("articles", "a/../articles/.")),
        ("to be encoded", page(1).replace("changed", "geändert")),
        ("international host", page(1).replace("www", "bücher")),
    ];
    let mut group = criterion.benchmark_group("URL");
    group.throughput(Throughput::Elements(1));
    for (what, url) in &urls {
        group.bench_function(*what, |bencher| {
            bencher.iter(|| black_box(CanonicalUrl::parse(black_box(url)).is_ok()));
        });
    }
    group.finish();
}

fn zones() -> Arc<Zones> {
    let zone = Zone {
        id: 1,
        enabled: true,
        hosts: vec![ZoneHost {
            name: HOST.to_owned(),
            ..ZoneHost::default()
        }],
    };
    let mut table = ZoneTable::default();
    table.apply(b"1", Some(&zone.encode())).expect("a zone is valid");
    table.snapshot()
}

fn steps(criterion: &mut Criterion) {
    const RECORDS: u32 = 10_000;
    let payload = |n| {
        let miss = CacheMiss {
            timestamp_ms: 1_790_000_000_000,
            url: &page(n),
            zone_id: 1,
            origin_status: 200,
            content_type: "text/html; charset=utf-8",
            ..CacheMiss::default()
        };
        miss.encode()
    };
    let payloads: Vec<_> = (0..RECORDS).map(payload).collect();
    let zones = zones();
    let steps = "opt_in|policy|canonical|host".parse().expect("the usual steps");
    let mut pipeline = Pipeline::new(&steps);
    let mut group = criterion.benchmark_group("batch of 10,000 records");
    group.throughput(Throughput::Elements(u64::from(RECORDS)));
    group.bench_function("decode and every step", |bencher| {
        bencher.iter(|| {
            let records = payloads.iter().map(|payload| Record {
                partition: 0,
                offset: 0,
                timestamp_ms: 0,
                key: None,
                payload,
            });
            let mut accepted = 0_u32;
            pipeline.judge(records, &zones, |judged| {
                accepted += u32::from(judged.verdict.is_ok());
            });
            assert_eq!(accepted, RECORDS);
        });
    });
    group.finish();
}

fn filter(criterion: &mut Criterion) {
    let mut filter = RecentFilter::new();
    let name = format!("0:{{{HOST}}}s/articles/changed-page-00000000001?view=full&locale=en-gb");
    filter.insert(filter.fingerprint(name.as_bytes()));
    let mut group = criterion.benchmark_group("recent filter");
    group.throughput(Throughput::Elements(1));
    group.bench_function("look up", |bencher| {
        bencher.iter(|| black_box(filter.contains(filter.fingerprint(black_box(name.as_bytes())))));
    });
    group.finish();
}
