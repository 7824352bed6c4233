//! Bad records: what is kept of each, and what becomes of a partition that brings nothing else.

use std::collections::BTreeSet;

use loadtest::run::{Run, RunSettings};
use loadtest::service::Kind;
use messagebus::offsets;
use rdkafka::Message;
use rdkafka::message::{Headers, OwnedMessage};

use crate::support::{Pipeline, on_shared_threads, put, records_of};

const MALFORMED: &[u8] = b"no capnp message at all";
/// Bytes of a value that are kept.
const KEPT: usize = 64 << 10;
/// So many in a row stop a partition.
const IN_A_ROW: usize = 1_000;

/// A copy in the topic `rejected`: its headers and its value.
type Copy = (Vec<(String, String)>, Vec<u8>);

/// A record of that topic.
fn copy(record: &OwnedMessage) -> Copy {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let headers = record.headers().unwrap().iter();
    let headers = headers.map(|header| (header.key.to_owned(), text(header.value.unwrap())));
    (headers.collect(), record.payload().unwrap().to_vec())
}

async fn committed(run: &Run, partition: i32) -> anyhow::Result<Option<i64>> {
    let topics = run.kafka.topics();
    let all = offsets::committed(&run.kafka, &topics.group("ingestor"), &topics.cache_misses()).await?;
    Ok(all
        .into_iter()
        .find(|(of, _)| *of == partition)
        .and_then(|(_, offset)| offset))
}

#[test]
fn a_rejected_record_stands_in_its_topic_as_it_came() {
    on_shared_threads(async {
        let mut pipeline = Pipeline::start(RunSettings::default()).await;
        let kafka = pipeline.run.kafka.clone();
        let (input, rejected) = (kafka.topics().cache_misses(), kafka.topics().rejected());
        let large = [*b"sixteen bytes of"; KEPT / 16 + 1].concat();
        put(&kafka, &input, 0, &[MALFORMED, &large]).await;
        let is_committed = async |run: &Run| Ok(committed(run, 0).await? == Some(2));
        pipeline.wait_until("they are committed", is_committed).await;
        let expected = |reason: &str, offset: &str, value: &[u8]| {
            let headers = [
                ("reason", reason),
                ("topic", input.as_str()),
                ("partition", "0"),
                ("offset", offset),
            ];
            let headers = headers.map(|(key, value)| (key.to_owned(), value.to_owned()));
            (headers.to_vec(), value.to_vec())
        };
        let expected = [
            expected("decode", "0", MALFORMED),
            expected("too_large", "1", &large[..KEPT]),
        ];
        let copies: BTreeSet<_> = records_of(&kafka, rejected).await.iter().map(copy).collect();
        assert!(copies == BTreeSet::from(expected));
        pipeline.close().await;
    });
}

#[test]
fn a_bad_deployment_stops_its_partition_alone_until_on_call_resumes_it() {
    on_shared_threads(async {
        let mut pipeline = Pipeline::start(RunSettings::default()).await;
        let kafka = pipeline.run.kafka.clone();
        let input = kafka.topics().cache_misses();
        put(&kafka, &input, 0, &[MALFORMED; IN_A_ROW]).await;
        let is_stopped = async |run: &Run| {
            let stopped = run.metric(Kind::Ingestor, "ingestor_stopped_partitions", &[]);
            Ok(stopped.await == 1.0)
        };
        pipeline.wait_until("the partition is stopped", is_stopped).await;

        let produced = pipeline.produce(32, 0, 3_000).await.unwrap();
        let others_are_read = async |run: &Run| {
            let ends = offsets::log_end(&run.kafka, &run.kafka.topics().cache_misses()).await?;
            for (partition, end) in ends {
                if partition > 0 && committed(run, partition).await?.unwrap_or(0) < end {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        pipeline.wait_until("the others go on", others_are_read).await;
        assert!(pipeline.run.input_lag().await.unwrap() > 0, "its own waits");
        for ingestor in pipeline.run.of(Kind::Ingestor) {
            assert!(ingestor.is_live().await, "a restart would mend nothing");
        }

        pipeline.run.resume_partition(0).await.unwrap();
        let report = pipeline.close().await;
        assert_eq!(report.records, IN_A_ROW as u64 + produced, "{report}");
    });
}
