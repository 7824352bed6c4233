//! What a request's body costs: `cargo bench --package hinters`.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use hinters::{HostKey, Submission, body};

const HOST: &str = "www.site-1.example";

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    bodies(&mut criterion);
    criterion.final_summary();
}

fn bodies(criterion: &mut Criterion) {
    let key = HostKey::new(HOST, "0123456789abcdef0123456789abcdef", "").expect("a key is valid");
    let url = |n| format!("https://{HOST}/articles/changed-page-{n:011x}?view=full&locale=en-gb");
    let mut group = criterion.benchmark_group("JSON body");
    for count in [1_u64, 10, 10_000] {
        let urls: Vec<_> = (0..count).map(url).collect();
        let submission = Submission {
            host: HOST,
            key: &key,
            urls: &urls,
        };
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("{count} URLs"), |bencher| {
            bencher.iter(|| black_box(body(black_box(submission)).is_ok()));
        });
    }
    group.finish();
}
