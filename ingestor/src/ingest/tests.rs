//! The loop without a broker and without Redis: what it does while nobody answers.

use clap::Parser;
use generations::RedisMetrics;
use hint_schema::generation_event::{Incarnation, Opened};
use hint_schema::{Zone, ZoneHost};
use messagebus::{ConsumerOptions, LogRecord, Record, Registrar, consume};
use prometheus::Registry;
use tokio::time::timeout;

use super::*;
use crate::config::Config;
use crate::test_data::page;
use crate::zones::ZoneTable;

/// Longest time for anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of [`page`], under generation 4.
const NAME: &[u8] = b"4:{example.com}s/a";

/// Zone 7, that of [`page`].
fn zones() -> Arc<Zones> {
    let host = ZoneHost {
        name: "example.com".to_owned(),
        ..ZoneHost::default()
    };
    let zone = Zone {
        id: 7,
        enabled: true,
        hosts: vec![host],
    };
    let mut table = ZoneTable::default();
    table.apply(b"7", Some(&zone.encode())).unwrap();
    table.snapshot()
}

/// A loop that has read nothing yet, and what it writes to the log.
fn cut_off() -> (IngestLoop, mpsc::Receiver<LogWrite>) {
    let nobody = [
        "ingestor",
        "--kafka-brokers=127.0.0.1:1",
        "--redis-a=redis://127.0.0.1:1",
        "--redis-b=redis://127.0.0.1:1",
    ];
    let config = Config::try_parse_from(nobody).unwrap();
    let registrar = Registrar::new(&Registry::new(), "ingestor");
    let bus = BusMetrics::register(&registrar).unwrap();
    let redis_metrics = RedisMetrics::register(&registrar, &bus).unwrap();
    let options = ConsumerOptions::new("cache-misses", "ingestor");
    let (consumer, batches) = consume(&config.kafka, options, bus.clone()).unwrap();
    let (redis, answers) = RedisWriter::start(&config.redis, &redis_metrics).unwrap();
    let (log_writes, written) = mpsc::channel(16);
    let parts = Parts {
        kafka: config.kafka,
        consumer,
        redis,
        pipeline: Pipeline::new(&config.transformations),
        stops: Stops::default(),
        metrics: Metrics::register(&registrar).unwrap(),
        log_metrics: bus.group("ingestor", "generations"),
        bus,
    };
    let queues = Queues {
        batches,
        answers,
        log: mpsc::channel(1).1,
        log_writes,
        sealed: mpsc::channel(1).1,
        rejects: mpsc::channel(1).0,
        acknowledged: mpsc::channel(1).1,
        zones: watch::channel(Some(zones())).1,
        memory: [(); 2].map(|()| watch::channel(0.0).1),
    };
    let machine = Writer::new("w".to_owned(), Incarnation(1));
    (IngestLoop::new(machine, parts, queues), written)
}

fn record(event: &GenerationEvent) -> LogEvent {
    LogEvent::Record(LogRecord {
        partition: 0,
        offset: 0,
        timestamp_ms: 0,
        key: event.key().into_bytes(),
        value: Some(event.encode()),
    })
}

fn opened(generation: Generation) -> LogEvent {
    record(&GenerationEvent::Opened(Opened {
        generation,
        flipper: Incarnation(7),
        opened_at_ms: 0,
        closed_through: None,
        start_offsets: Vec::new(),
        nodes: Vec::new(),
    }))
}

/// The same with a lease for generation 4.
fn leased() -> (IngestLoop, mpsc::Receiver<LogWrite>) {
    let (mut ingest, mut written) = cut_off();
    ingest.handle(WriterEvent::Tick).unwrap();
    let Ok(LogWrite::Heartbeat(heartbeat)) = written.try_recv() else {
        panic!("no heartbeat")
    };
    ingest.read(opened(4)).unwrap();
    ingest
        .read(record(&GenerationEvent::Heartbeat(heartbeat)))
        .unwrap();
    (ingest, written)
}

/// Takes [`page`], which is sent to Redis. It is read again: nobody has to hold its partition.
fn take_page(ingest: &mut IngestLoop) {
    let payload = page().encode();
    let page = Record {
        partition: 0,
        offset: 0,
        timestamp_ms: 0,
        key: None,
        payload: &payload,
    };
    let (batch, failed) = (1, 2);
    let again = OpenBatch::again(RecordBatch::of(&[page], &ingest.parts.bus), failed);
    let spans = again.intervals();
    ingest.open.insert(batch, again);
    ingest
        .handle(WriterEvent::Polled {
            batch,
            spans,
            replay: Some(failed),
        })
        .unwrap();
}

#[tokio::test]
async fn what_redis_did_not_take_is_unknown_to_the_filter_and_excuses_the_consumer() {
    let (mut ingest, _written) = leased();
    ingest.tick().unwrap();
    assert!(!ingest.parts.consumer.is_excused());
    let name = ingest.filter.fingerprint(NAME);
    take_page(&mut ingest);
    assert!(!ingest.filter.contains(name), "it has no answer");
    let refused = timeout(PATIENCE, ingest.queues.answers.recv()).await;
    let refused = refused.unwrap().unwrap();
    assert!(refused.chunk.sets().map(|set| set.name).eq([NAME]));
    ingest.answered(&refused).unwrap();
    assert!(!ingest.filter.contains(name), "it was refused");
    ingest.tick().unwrap();
    assert!(ingest.parts.consumer.is_excused());
}

#[tokio::test]
async fn the_filter_is_empty_once_its_generation_is_sealed() {
    let (mut ingest, mut written) = leased();
    let name = ingest.filter.fingerprint(NAME);
    ingest.filter.insert(name);
    ingest.read(opened(5)).unwrap();
    let mut written = std::iter::from_fn(|| written.try_recv().ok());
    assert!(written.any(|write| matches!(write, LogWrite::Seal(_))));
    assert!(!ingest.filter.contains(name));
}

#[tokio::test]
async fn no_progress_is_expected_while_there_is_no_lease() {
    let (mut ingest, _written) = leased();
    ingest.perform(WriterEffect::Pause).unwrap();
    assert!(!ingest.has_lease && ingest.parts.consumer.is_excused());
    ingest.perform(WriterEffect::Resume).unwrap();
    assert!(ingest.has_lease && !ingest.parts.consumer.is_excused());
}
