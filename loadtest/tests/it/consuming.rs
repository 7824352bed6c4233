//! What a member of a group hands out.

use std::time::Duration;

use loadtest::scrape::Scrape;
use messagebus::consumer::{Range, read_range};
use messagebus::metrics::{BusMetrics, Registrar};
use messagebus::{Consumer, ConsumerOptions, Health, KafkaArgs, RecordBatch, Span, consume, offsets};
use prometheus::{IntCounter, Registry, TextEncoder};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::support::{PATIENCE, broker, on_shared_threads, produce_to, put, until};

const RECORDS: u32 = 10_000;
const OF_A_BATCH: u32 = 1_000;
/// Bytes that a consumer may hold.
const BOUND: usize = 256 << 10;

fn bus() -> (BusMetrics, Registry) {
    let registry = Registry::new();
    let bus = BusMetrics::register(&Registrar::new(&registry, "test")).unwrap();
    (bus, registry)
}

/// Puts records of so many bytes into a partition of the input.
async fn fill(kafka: &KafkaArgs, partition: i32, records: usize, bytes: usize) {
    let payload = vec![7; bytes];
    let topic = kafka.topics().cache_misses();
    put(kafka, &topic, partition, &vec![payload.as_slice(); records]).await;
}

async fn next(batches: &mut mpsc::Receiver<RecordBatch>) -> RecordBatch {
    timeout(PATIENCE, batches.recv()).await.unwrap().unwrap()
}

/// Begins the spans that come, until they hold so many records.
async fn begin(consumer: &Consumer, batches: &mut mpsc::Receiver<RecordBatch>, records: u32) -> Vec<Span> {
    let mut begun: Vec<Span> = Vec::new();
    while begun.iter().map(|span| span.records).sum::<u32>() < records {
        let batch = next(batches).await;
        begun.extend(batch.spans().iter().filter(|span| consumer.begin(span)));
    }
    begun
}

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
        let (bus, _) = bus();
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
            let batch = next(&mut batches).await;
            records += u32::try_from(batch.len()).unwrap();
            number += 1;
        }
        // Two before the reader was behind, and the last one, which was not full.
        assert!(number <= 2 + RECORDS / OF_A_BATCH + 1, "{number} batches");
        consumer.close().await;
    });
}

#[test]
fn what_nobody_reads_is_held_up_to_the_bound_and_the_rest_comes_later() {
    on_shared_threads(async {
        let (_, kafka) = broker().await;
        fill(&kafka, 0, 2_000, 1 << 10).await;
        let options = ConsumerOptions {
            max_wait: Duration::from_millis(1),
            buffer_max_bytes: BOUND,
            ..ConsumerOptions::new(kafka.topics().cache_misses(), "bounded")
        };
        let (consumer, mut batches) = consume(&kafka, options, bus().0).unwrap();
        let mut held = vec![next(&mut batches).await, next(&mut batches).await];
        until("the buffer is full", || consumer.buffered_bytes() >= BOUND).await;
        // The thread that commits polls between two commits: it has had time to take more.
        for batch in &held {
            let span = batch.spans()[0];
            assert!(consumer.begin(&span));
            consumer.complete(&span);
            let is_committed = || consumer.committed().contains(&(0, Some(span.to)));
            until("what is done is committed", is_committed).await;
        }
        let bytes = consumer.buffered_bytes();
        assert!(
            bytes < BOUND + BOUND / 2,
            "the bound and a batch, not {bytes} bytes"
        );

        held.reverse();
        let mut expected = 0;
        while expected < 2_000 {
            let batch = match held.pop() {
                Some(batch) => batch,
                None => next(&mut batches).await,
            };
            for record in batch.records() {
                assert_eq!((record.partition, record.offset), (0, expected));
                expected += 1;
            }
        }
        consumer.close().await;
    });
}

#[test]
fn a_group_is_left_when_what_has_begun_is_done_and_committed() {
    on_shared_threads(async {
        let (_, kafka) = broker().await;
        let topic = kafka.topics().cache_misses();
        let options = ConsumerOptions::new(&topic, "leaving");
        let (consumer, mut batches) = consume(&kafka, options, bus().0).unwrap();
        fill(&kafka, 0, 1, 1).await;
        let span = begin(&consumer, &mut batches, 1).await[0];
        let leaving = tokio::spawn({
            let consumer = consumer.clone();
            async move { consumer.close().await }
        });
        // Only now, when no commit of every day is to come.
        let is_left = || consumer.is_leaving(&span) || !consumer.is_current(&span);
        until("the group is being left", is_left).await;
        consumer.complete(&span);
        timeout(PATIENCE, leaving).await.unwrap().unwrap();
        let committed = offsets::committed(&kafka, "leaving", &topic).await.unwrap();
        assert!(committed.contains(&(0, Some(1))), "{committed:?}");
    });
}

#[test]
fn a_partition_moves_when_what_has_begun_of_it_is_done_and_committed() {
    on_shared_threads(async {
        let (_, kafka) = broker().await;
        let topic = kafka.topics().cache_misses();
        let join = || consume(&kafka, ConsumerOptions::new(&topic, "moving"), bus().0).unwrap();
        let (first, mut batches) = join();
        for partition in 0..6 {
            fill(&kafka, partition, 1, 1).await;
        }
        let begun = begin(&first, &mut batches, 6).await;
        let (second, _repeats) = join();
        let is_moving = |span: &Span| first.is_leaving(span) || !first.is_current(span);
        until("partitions move", || begun.iter().any(is_moving)).await;
        begun.iter().for_each(|span| first.complete(span));
        until("the second has them", || !second.partitions().is_empty()).await;
        let committed = offsets::committed(&kafka, "moving", &topic).await.unwrap();
        for status in second.partitions() {
            assert!(committed.contains(&(status.partition, Some(1))), "{committed:?}");
        }
        second.close().await;
        first.close().await;
    });
}

/// Removes what stands below an offset of partition 0, as retention does.
async fn remove(kafka: &KafkaArgs, topic: &str, below: i64) {
    let client: AdminClient<DefaultClientContext> = kafka.client_config().create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(below))
        .unwrap();
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let removed = client.delete_records(&list, &options).await.unwrap();
    let refused = removed
        .elements()
        .iter()
        .find_map(|partition| partition.error().err());
    assert_eq!(refused, None);
}

#[test]
fn what_retention_has_removed_of_a_range_is_counted_and_the_rest_is_read() {
    on_shared_threads(async {
        let (_, kafka) = broker().await;
        let topic = kafka.topics().cache_misses();
        fill(&kafka, 0, 10, 1).await;
        remove(&kafka, &topic, 4).await;
        let range = Range {
            topic,
            partition: 0,
            from: 1,
            to: 10,
        };
        let gone = IntCounter::new("gone", "help").unwrap();
        let (_reading, mut batches) = read_range(&kafka, range, gone.clone(), &bus().0).unwrap();
        let batch = next(&mut batches).await;
        let span = batch.spans()[0];
        assert_eq!((span.from, span.to), (1, 10), "it is covered");
        assert!(batch.records().map(|record| record.offset).eq(4..10));
        assert_eq!(gone.get(), 3);
    });
}

/// What is exported of a partition's lag, in records and in seconds.
fn lag(registry: &Registry, partition: &str) -> [f64; 2] {
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let metrics = Scrape::parse(&text).unwrap();
    ["kafka_consumer_lag_messages", "kafka_consumer_lag_seconds"]
        .map(|name| metrics.sum(name, &[("partition", partition)]))
}

#[test]
fn lag_is_exported_until_all_is_done_also_of_a_stopped_partition() {
    on_shared_threads(async {
        let (_, kafka) = broker().await;
        let (bus, registry) = bus();
        let options = ConsumerOptions::new(kafka.topics().cache_misses(), "lagging");
        let (consumer, mut batches) = consume(&kafka, options, bus.clone()).unwrap();
        let is_behind = |records: f64| {
            let [messages, seconds] = lag(&registry, "0");
            messages == records && seconds > 0.0
        };
        let is_done = || lag(&registry, "0") == [0.0, 0.0];

        fill(&kafka, 0, 5, 1).await;
        let begun = begin(&consumer, &mut batches, 5).await;
        until("five are begun and not done", || is_behind(5.0)).await;
        begun.iter().for_each(|span| consumer.complete(span));
        until("they are done", is_done).await;

        assert!(consumer.stop_partition(0));
        // What comes now is polled by a thread that has stopped the other partition.
        fill(&kafka, 1, 1, 1).await;
        consumer.complete(&begin(&consumer, &mut batches, 1).await[0]);
        fill(&kafka, 0, 7, 1).await;
        let (health, stop) = (Health::new(bus), CancellationToken::new());
        health.watch_consumer(&consumer);
        let checking = tokio::spawn(health.run(stop.clone()));
        until("seven wait behind the stop", || is_behind(7.0)).await;
        stop.cancel();
        checking.await.unwrap().unwrap();

        assert!(consumer.resume_partition(0));
        let begun = begin(&consumer, &mut batches, 7).await;
        begun.iter().for_each(|span| consumer.complete(span));
        until("all is done", is_done).await;
        consumer.close().await;
    });
}

#[test]
fn what_is_assigned_while_the_input_is_paused_is_not_read() {
    on_shared_threads(async {
        let (_, kafka) = broker().await;
        fill(&kafka, 0, 1_000, 1 << 10).await;
        let options = ConsumerOptions::new(kafka.topics().cache_misses(), "paused");
        let (consumer, mut batches) = consume(&kafka, options, bus().0).unwrap();
        consumer.pause("test");
        until("partitions are assigned", || !consumer.partitions().is_empty()).await;
        let mut looks = interval(Duration::from_millis(50));
        for _ in 0..40 {
            looks.tick().await;
            assert_eq!(consumer.buffered_bytes(), 0);
        }
        consumer.resume("test");
        let mut read = 0;
        while read < 1_000 {
            read += next(&mut batches).await.len();
        }
        assert_eq!(read, 1_000);
        consumer.close().await;
    });
}
