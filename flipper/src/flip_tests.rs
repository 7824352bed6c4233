//! The loop without a broker and without Redis.

use clap::Parser;
use generations::RedisMetrics;
use hint_schema::generation_event::{Draining, Incarnation};
use messagebus::{Registrar, elect};
use prometheus::Registry;
use tokio::time::timeout;

use super::*;
use crate::config::Config;

const ME: Incarnation = Incarnation(7);
/// Longest time for anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A loop that has read nothing yet, and what it writes to the log.
fn cut_off() -> (FlipLoop, mpsc::Receiver<LogWrite>) {
    let nobody = [
        "flipper",
        "--kafka-brokers=127.0.0.1:1",
        "--redis-a=redis://127.0.0.1:1",
        "--redis-b=redis://127.0.0.1:1",
    ];
    let config = Config::try_parse_from(nobody).unwrap();
    let registrar = Registrar::new(&Registry::new(), "flipper");
    let bus = BusMetrics::register(&registrar).unwrap();
    let redis = RedisMetrics::register(&registrar, &bus).unwrap();
    let parts = Parts {
        clusters: ClusterName::ALL.map(|name| Cluster::start(&config.redis, name, redis.clone()).unwrap()),
        producer: Producer::new(&config.kafka, bus.clone()).unwrap(),
        limits: BatchLimits {
            urls: 10_000,
            bytes: 900_000,
        },
        metrics: Metrics::register(&registrar).unwrap(),
        candidate: elect(&config.kafka, bus.clone()).unwrap().0,
        kafka: config.kafka,
        bus,
    };
    let (tell, events) = mpsc::channel(16);
    let (writes, written) = mpsc::channel(16);
    let queues = Queues {
        log: mpsc::channel(1).1,
        elected: watch::channel(false).1,
        events,
        tell,
        writes,
        status: watch::channel(Status::default()).0,
    };
    let machine = Flipper::new(ME, config.flip.settings());
    (FlipLoop::new(machine, parts, queues), written)
}

fn opened(generation: Generation) -> FlipperEvent {
    FlipperEvent::Control(GenerationEvent::Opened(Opened {
        generation,
        flipper: ME,
        opened_at_ms: 0,
        closed_through: None,
        start_offsets: Vec::new(),
        nodes: Vec::new(),
    }))
}

#[tokio::test]
async fn who_loses_the_election_ends_its_drain_and_writes_to_the_log_no_more() {
    let (mut flips, mut written) = cut_off();
    let begins = FlipperEvent::Elected(true);
    for event in [begins, opened(0), opened(1), FlipperEvent::CaughtUp] {
        flips.step(event).await.unwrap();
    }
    let draining = GenerationEvent::Draining(Draining {
        generation: 0,
        flipper: ME,
    });
    assert_eq!(written.try_recv(), Ok(LogWrite::Publish(draining.clone())));
    let read_back = FlipperEvent::Control(draining);
    flips.step(read_back.clone()).await.unwrap();
    assert_eq!(flips.drains.len(), 1);

    let drained = FlipperEvent::Drained {
        generation: 0,
        report: DrainReport::default(),
    };
    for event in [
        FlipperEvent::Elected(false),
        read_back,
        drained,
        FlipperEvent::Tick,
    ] {
        flips.step(event).await.unwrap();
    }
    assert!(flips.drains.is_empty() && written.try_recv().is_err());
    let ended = timeout(PATIENCE, flips.work.join_next()).await;
    ended.expect("the drain goes on").unwrap().unwrap().unwrap();
}
