#![doc = include_str!("../README.md")]

pub mod canonical;
pub mod config;
mod control;
pub mod hint;
mod ingest;
pub mod metrics;
mod names;
mod opt_in;
pub mod pipeline;
pub mod policy;
mod pressure;
pub mod reason;
pub mod recent;
mod rejected;
mod resend;
mod routes;
pub mod steps;
pub mod stop;
mod stops;
pub mod transformation;
pub mod zones;

#[cfg(test)]
mod test_data;

use anyhow::Context;
use generations::protocol::Writer;
use generations::{ClusterName, RedisMetrics, RedisWriter};
use hint_schema::generation_event::Incarnation;
use messagebus::admin::{self, AdminState};
use messagebus::metrics::{BusMetrics, Check, Registrar};
use messagebus::token::Token;
use messagebus::{ConsumerOptions, Health, Producer, Service, consume, follow};
use prometheus::Registry;
use tokio::sync::{mpsc, watch};

use crate::config::Config;
use crate::ingest::{IngestLoop, Parts, Queues};
use crate::metrics::Metrics;
use crate::opt_in::OptInList;
use crate::pipeline::Pipeline;
use crate::rejected::RejectedProducer;
use crate::stops::Stops;

/// Log records that wait to be written. Kafka not answering, heartbeats are let go and seals have the room.
const LOG_WRITES: usize = 1_024;
/// Batches whose rejected records wait for Kafka; full, no further batch is polled.
const REJECTED_BATCHES: usize = 16;

/// Adds the ingestor's tasks to a service.
///
/// # Errors
/// Settings that cannot work.
pub fn start(config: Config, service: &mut Service) -> anyhow::Result<()> {
    let registry = Registry::new();
    let registrar = Registrar::new(&registry, "ingestor");
    let bus = BusMetrics::register(&registrar).context("registering the bus's metrics")?;
    let redis_metrics = RedisMetrics::register(&registrar, &bus).context("registering Redis' metrics")?;
    let metrics = Metrics::register(&registrar).context("registering the ingestor's metrics")?;

    let topics = config.kafka.topics();
    let group = topics.group("ingestor");
    let options = ConsumerOptions {
        buffer_max_bytes: config.buffer_max_bytes,
        ..ConsumerOptions::new(topics.cache_misses(), &group)
    };
    let (consumer, batches) = consume(&config.kafka, options, bus.clone())?;
    let producer = Producer::new(&config.kafka, bus.clone())?;
    let (redis, answers) = RedisWriter::start(&config.redis, &redis_metrics)?;

    let health = Health::new(bus.clone());
    health.require(Check::Redis);
    health.watch_consumer(&consumer);
    health.watch_producer(&producer);
    service.spawn("health", health.clone().run(service.shutdown()));

    let zones = follow_zones(&config, &bus, &metrics, &health, service)?;
    let memory = [ClusterName::A, ClusterName::B].map(|name| {
        let (share, memory) = watch::channel(0.0);
        let watching = pressure::watch(
            redis.cluster(name).clone(),
            share,
            health.clone(),
            service.shutdown(),
        );
        service.spawn("redis", watching);
        memory
    });

    let (rejects, to_reject) = mpsc::channel(REJECTED_BATCHES);
    let (acknowledge, acknowledged) = mpsc::channel(REJECTED_BATCHES);
    let rejecting = RejectedProducer {
        producer: producer.clone(),
        source: topics.cache_misses(),
        topic: topics.rejected(),
        counter: bus.dead_letters(&topics.rejected()),
    };
    service.spawn("rejected", rejecting.run(to_reject, acknowledge));

    let (follower, log) = follow(&config.kafka, &topics.generations(), bus.clone())?;
    let (log_writes, to_write) = mpsc::channel(LOG_WRITES);
    let (finished, sealed) = mpsc::channel(1);
    let log_writer = control::write_log(producer, topics.generations(), to_write, finished);
    service.spawn("log writer", log_writer);

    let stops = Stops::default();
    let state = AdminState {
        registry,
        health,
        token: Token::new(config.admin.admin_token_file.clone()),
    };
    let routes = routes::routes(consumer.clone(), stops.clone());
    service.spawn(
        "admin",
        admin::serve(config.admin_addr, state, routes, service.shutdown()),
    );

    let writer_id = gethostname::gethostname().to_string_lossy().into_owned();
    let machine = Writer::new(writer_id, Incarnation(rand::random()));
    let parts = Parts {
        kafka: config.kafka,
        consumer,
        redis,
        pipeline: Pipeline::new(&config.transformations),
        stops,
        metrics,
        log_metrics: bus.group(&group, &topics.generations()),
        bus,
    };
    let queues = Queues {
        batches,
        answers,
        log,
        log_writes,
        sealed,
        rejects,
        acknowledged,
        zones,
        memory,
    };
    let ingest = IngestLoop::new(machine, parts, queues);
    let shutdown = service.shutdown();
    service.spawn("ingest", async move {
        let ended = ingest.run(shutdown).await;
        drop(follower);
        ended
    });
    Ok(())
}

/// Starts to follow the zones; the process is ready once it has read them all.
fn follow_zones(
    config: &Config,
    bus: &BusMetrics,
    metrics: &Metrics,
    health: &Health,
    service: &mut Service,
) -> anyhow::Result<watch::Receiver<Option<std::sync::Arc<zones::Zones>>>> {
    let topics = config.kafka.topics();
    let (follower, log) = follow(&config.kafka, &topics.zones(), bus.clone())?;
    let (publish, zones) = watch::channel(None);
    let list = OptInList {
        kafka: config.kafka.clone(),
        follower,
        log,
        zones: publish,
        metrics: metrics.clone(),
        group: bus.group(&topics.group("ingestor"), &topics.zones()),
        health: health.clone(),
    };
    health.set_ready("zones", false);
    service.spawn("zones", list.run(service.shutdown()));
    Ok(zones)
}
