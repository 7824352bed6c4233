//! What a member of a group hands out.

use std::time::Duration;

use messagebus::metrics::{BusMetrics, Registrar};
use messagebus::{Consumer, ConsumerOptions, consume};
use prometheus::Registry;
use tokio::time::{interval, timeout};

use crate::support::{PATIENCE, broker, on_shared_threads, produce_to};

const RECORDS: u32 = 10_000;
const OF_A_BATCH: u32 = 1_000;

async fn polled(consumer: &Consumer, records: u32) {
    let mut looks = interval(Duration::from_millis(50));
    let handed_out = || {
        let partitions = consumer.partitions();
        partitions.iter().filter_map(|each| each.position).sum::<i64>()
    };
    while handed_out() < i64::from(records) {
        looks.tick().await;
    }
}

#[test]
fn batches_grow_while_their_reader_is_behind() {
    on_shared_threads(async {
        let (_, kafka) = broker().await;
        let bus = BusMetrics::register(&Registrar::new(&Registry::new(), "test")).unwrap();
        let options = ConsumerOptions {
            max_records: OF_A_BATCH as usize,
            max_wait: Duration::from_millis(1),
            ..ConsumerOptions::new(kafka.topics().cache_misses(), "behind")
        };
        let (consumer, mut batches) = consume(&kafka, options, bus).unwrap();
        // At this rate a batch that is handed over after a millisecond holds few records, and the channel 256 batches.
        produce_to(&kafka, 30, 2_000, u64::from(RECORDS)).await.unwrap();
        timeout(PATIENCE, polled(&consumer, RECORDS - OF_A_BATCH))
            .await
            .unwrap();

        let (mut records, mut number) = (0, 0);
        while records < RECORDS {
            let batch = timeout(PATIENCE, batches.recv()).await.unwrap().unwrap();
            records += u32::try_from(batch.len()).unwrap();
            number += 1;
        }
        // Two before the reader was behind, and the last one, which was not full.
        assert!(number <= 2 + RECORDS / OF_A_BATCH + 1, "{number} batches");
        consumer.close().await;
    });
}
