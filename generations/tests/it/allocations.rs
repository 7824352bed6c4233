//! A SET costs no heap allocation once the buffers have grown.

use tikv_jemalloc_ctl::thread::allocatedp;
use tikv_jemallocator::Jemalloc;

use crate::redis_cluster::RedisCluster;
use crate::support::{Ingest, args, name};

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// One thread runs the writer, its connections and this test, so its count is all of them.
#[tokio::test(flavor = "current_thread")]
async fn a_set_allocates_nothing() {
    let cluster = RedisCluster::start(3, &[]).await;
    let mut ingest = Ingest::start(&args(&cluster)).await;
    let names: Vec<_> = (0..100_000).map(|n| name(0, n % 500, n, 0)).collect();
    let allocated = allocatedp::read().unwrap();

    let mut bytes_a_set = Vec::new();
    for _round in 0..3 {
        let before = allocated.get();
        for batch in names.chunks(10_000) {
            ingest.stage(batch);
            while ingest.in_flight > 0 {
                assert!(ingest.answer().await.is_complete());
            }
        }
        bytes_a_set.push((allocated.get() - before) as f64 / 100_000.0);
    }
    // The margin is for a queue that grows by a block now and then.
    assert!(bytes_a_set[2] < 0.1, "{bytes_a_set:?}");
}
