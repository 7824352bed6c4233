#![doc = include_str!("../README.md")]

pub mod batch;
pub mod config;
mod control;
mod deep;
mod drain;
mod flip;
pub mod metrics;
mod pass;
mod publish;
mod room;
mod routes;
mod snapshot;
mod status;
mod watch;

use anyhow::Context;
use generations::protocol::{Flipper, FlipperEvent};
use generations::{Cluster, ClusterName, RedisMetrics};
use hint_schema::generation_event::Incarnation;
use messagebus::admin::{self, AdminState};
use messagebus::metrics::{BusMetrics, Check, Registrar};
use messagebus::token::Token;
use messagebus::{Health, Producer, Service, elect, follow};
use prometheus::Registry;
use tokio::sync::{mpsc, watch as value};

use crate::batch::BatchLimits;
use crate::config::Config;
use crate::flip::{FlipLoop, Parts, Queues};
use crate::metrics::Metrics;

/// Events from looks, drains and on-call that wait for the flip loop.
const EVENTS: usize = 1_024;
/// Log records that wait to be written; full, the flip loop waits for Kafka.
const WRITES: usize = 1_024;

/// Adds the flipper's tasks to a service.
///
/// # Errors
/// Settings that cannot work. A topic that does not exist is a failure of the task `flip`.
pub fn start(config: Config, service: &mut Service) -> anyhow::Result<()> {
    let registry = Registry::new();
    let registrar = Registrar::new(&registry, "flipper");
    let bus = BusMetrics::register(&registrar).context("registering the bus's metrics")?;
    let redis = RedisMetrics::register(&registrar, &bus).context("registering Redis' metrics")?;
    let metrics = Metrics::register(&registrar).context("registering the flipper's metrics")?;
    metrics
        .interval
        .with([])
        .set(config.flip.flip_interval.as_secs_f64());

    let topics = config.kafka.topics();
    let producer = Producer::new(&config.kafka, bus.clone())?;
    let clusters = [
        Cluster::start(&config.redis, ClusterName::A, redis.clone())?,
        Cluster::start(&config.redis, ClusterName::B, redis)?,
    ];
    let (follower, log) = follow(&config.kafka, &topics.generations(), bus.clone())?;
    let (candidate, elected) = elect(&config.kafka, bus.clone())?;
    let (tell, events) = mpsc::channel(EVENTS);
    let (writes, to_write) = mpsc::channel(WRITES);
    let (status, shown) = value::channel(status::Status::default());

    let health = spawn_watches(service, &bus, &producer, &clusters, &tell);
    let writer = control::write_log(producer.clone(), topics.generations(), to_write);
    service.spawn("log writer", writer);
    let routes = routes::routes(shown, tell.clone());
    let state = AdminState {
        registry,
        health,
        token: Token::new(config.admin.admin_token_file.clone()),
    };
    service.spawn(
        "admin",
        admin::serve(config.admin_addr, state, routes, service.shutdown()),
    );

    let machine = Flipper::new(Incarnation(rand::random()), config.flip.settings());
    let limits = BatchLimits {
        urls: config.batch.batch_max_urls as usize,
        bytes: config.batch.batch_max_bytes as usize,
    };
    let parts = Parts {
        kafka: config.kafka,
        clusters,
        producer,
        limits,
        metrics,
        bus,
        candidate,
    };
    let queues = Queues {
        log,
        elected,
        events,
        tell,
        writes,
        status,
    };
    let shutdown = service.shutdown();
    let flips = FlipLoop::new(machine, parts, queues);
    service.spawn("flip", async move {
        let ended = flips.run(shutdown).await;
        drop(follower);
        ended
    });
    Ok(())
}

/// Watches whether this process, Kafka and the clusters are well.
fn spawn_watches(
    service: &mut Service,
    bus: &BusMetrics,
    producer: &Producer,
    clusters: &[Cluster; 2],
    tell: &mpsc::Sender<FlipperEvent>,
) -> Health {
    let health = Health::new(bus.clone());
    health.require(Check::Redis);
    health.watch_producer(producer);
    service.spawn("health", health.clone().run(service.shutdown()));
    for cluster in clusters {
        let watch = watch::watch(cluster.clone(), tell.clone(), health.clone(), service.shutdown());
        service.spawn("watch", watch);
    }
    health
}
