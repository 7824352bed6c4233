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

/// Takes a record as batch 1, live or of this generation's input, read again. Nobody has to hold its partition.
fn take(ingest: &mut IngestLoop, payload: &[u8], replay: Option<Generation>) {
    let record = Record {
        partition: 0,
        offset: 0,
        timestamp_ms: 0,
        key: None,
        payload,
    };
    let mut open = OpenBatch::again(RecordBatch::of(&[record], &ingest.parts.bus), 0);
    open.replay = replay;
    let (batch, spans) = (1, open.intervals());
    ingest.open.insert(batch, open);
    ingest
        .handle(WriterEvent::Polled { batch, spans, replay })
        .unwrap();
}

/// Takes [`page`], which is sent to Redis.
fn take_page(ingest: &mut IngestLoop) {
    take(ingest, &page().encode(), Some(2));
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
async fn nothing_more_is_polled_while_refused_sets_wait() {
    let (mut ingest, _written) = leased();
    take_page(&mut ingest);
    assert!(ingest.may_poll());
    let refused = timeout(PATIENCE, ingest.queues.answers.recv()).await;
    ingest.answered(&refused.unwrap().unwrap()).unwrap();
    assert!(!ingest.may_poll());
    ingest.resend.forget(&[1]);
    assert!(ingest.may_poll());
}

#[tokio::test]
async fn a_master_has_room_below_three_quarters_of_its_memory() {
    let (mut ingest, _written) = leased();
    // Generation 4 stands in A.
    for (memory, is_roomy) in [([0.74, 1.0], true), ([0.75, 0.0], false)] {
        ingest.queues.memory = memory.map(|share| watch::channel(share).1);
        assert_eq!(ingest.is_roomy(), is_roomy, "{memory:?}");
    }
}

#[tokio::test]
async fn a_batch_waits_for_the_acknowledgement_of_what_it_rejected() {
    let (mut ingest, _written) = leased();
    let (rejects, mut to_reject) = mpsc::channel(1);
    ingest.queues.rejects = rejects;
    take(&mut ingest, b"garbage", None);
    let RejectedBatch { batch, records } = to_reject.try_recv().unwrap();
    assert_eq!(records.len(), 1);
    assert!(ingest.machine.is_in_flight(batch), "it may be committed");
    ingest
        .handle(WriterEvent::Acknowledged { batch, acks: 1 })
        .unwrap();
    assert!(!ingest.machine.is_in_flight(batch));
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
