#![doc = include_str!("../README.md")]

mod backoff;
mod books;
pub mod config;
mod delivery;
mod follow_hosts;
mod gate;
mod hosts;
mod intake;
mod key_server;
mod lane;
pub mod metrics;
mod outbox;
mod retries;
mod routes;
mod seen;
mod waiting;

use std::sync::Arc;

use anyhow::Context;
use hinters::{Hinter, HttpClient, MasterKey};
use messagebus::admin::{self, AdminState};
use messagebus::metrics::{BusMetrics, Registrar, Stage};
use messagebus::token::Token;
use messagebus::{ConsumerOptions, Health, Producer, Service, config as settings, consume, follow};
use prometheus::Registry;
use tokio::sync::watch;

use crate::books::Books;
use crate::config::Config;
use crate::delivery::Delivery;
use crate::follow_hosts::HostFollower;
use crate::gate::Gate;
use crate::hosts::HostDirectory;
use crate::intake::Intake;
use crate::key_server::KeyServer;
use crate::lane::Lane;
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::routes::LaneView;
use crate::seen::SeenIds;

/// Bytes of encoded batches that a lane holds until they are whole; decoded they take up to three times that. What
/// waits in Kafka is merged as far as it fits in here.
const LANE_BUFFER_BYTES: usize = 16 << 20;

/// Adds the dispatcher's tasks to a service.
///
/// # Errors
/// Settings that cannot work.
pub fn start(config: Config, service: &mut Service) -> anyhow::Result<()> {
    if let Some(endpoint) = config
        .partners
        .plain_http()
        .filter(|_| !config.allow_http_partners)
    {
        settings::refuse(&format!(
            "PARTNERS names {endpoint:?}, expected an https endpoint (ALLOW_HTTP_PARTNERS=true lets it pass, for tests)"
        ));
    }
    let registry = Registry::new();
    let registrar = Registrar::new(&registry, "dispatcher");
    let bus = BusMetrics::register(&registrar).context("registering the bus's metrics")?;
    let metrics = Metrics::register(&registrar).context("registering the dispatcher's metrics")?;
    let health = Health::new(bus.clone());
    let producer = Producer::new(&config.kafka, bus.clone())?;
    health.watch_producer(&producer);
    let outbox = Outbox::new(producer, &config.kafka.topics(), &bus);

    let hosts = HostDirectory::new(config.master_key());
    let complete = follow_zones(&config, &bus, &hosts, &health, service)?;
    let client = HttpClient::new(config.allow_http_partners)?;
    let mut lanes = Vec::new();
    for partner in config.partners.build(&client) {
        let start = LaneStart {
            partner: Arc::from(partner),
            config: &config,
            bus: &bus,
            metrics: &metrics,
            outbox: &outbox,
            hosts: &hosts,
            complete: &complete,
            health: &health,
        };
        lanes.push(start.spawn(service)?);
    }
    service.spawn("health", health.clone().run(service.shutdown()));
    let keys = KeyServer {
        hosts,
        trusted: config.trusted_edge.clone(),
    };
    service.spawn("keys", keys.serve(config.keys_addr, service.shutdown()));
    let state = AdminState {
        registry,
        health,
        token: Token::new(config.admin.admin_token_file.clone()),
    };
    let routes = routes::routes(lanes);
    service.spawn(
        "admin",
        admin::serve(config.admin_addr, state, routes, service.shutdown()),
    );
    Ok(())
}

impl Config {
    fn master_key(&self) -> Option<MasterKey> {
        let file = self.indexnow_master_key_file.as_ref();
        if file.is_none() {
            tracing::warn!(
                "INDEXNOW_MASTER_KEY_FILE is not set: URLs of hosts whose zone names no key are undeliverable"
            );
        }
        file.map(|file| MasterKey::new(file.secret.clone()))
    }
}

/// What a lane is made of.
struct LaneStart<'a> {
    partner: Arc<dyn Hinter>,
    config: &'a Config,
    bus: &'a BusMetrics,
    metrics: &'a Metrics,
    outbox: &'a Outbox,
    hosts: &'a HostDirectory,
    complete: &'a watch::Receiver<bool>,
    health: &'a Health,
}

impl LaneStart<'_> {
    fn spawn(self, service: &mut Service) -> anyhow::Result<LaneView> {
        let topics = self.config.kafka.topics();
        let name = self.partner.name().to_owned();
        let group = topics.group(&format!("dispatcher-{name}"));
        // A record is a batch of hints already: each is begun and completed by itself.
        let options = ConsumerOptions {
            max_records: 1,
            buffer_max_bytes: LANE_BUFFER_BYTES,
            ..ConsumerOptions::new(topics.batches(), &group)
        };
        let (consumer, batches) = consume(&self.config.kafka, options, self.bus.clone())?;
        self.health.watch_consumer(&consumer);
        let gate = Arc::new(Gate::default());
        let books = Books {
            outbox: self.outbox.clone(),
            metrics: self.metrics.lane(&name),
            age: self.bus.hint_age(Stage::Delivered, &name),
            partner: name.clone(),
        };
        let delivery = Delivery {
            partner: self.partner,
            hosts: self.hosts.clone(),
            books,
        };
        let intake = Intake {
            consumer: consumer.clone(),
            seen: SeenIds::default(),
            metrics: self.bus.group(&group, &topics.batches()),
            decode: self.bus.step("decode"),
        };
        let view = LaneView {
            name,
            consumer,
            gate: Arc::clone(&gate),
        };
        let lane = Lane::new(intake, delivery, gate, self.bus.step("submit"));
        let complete = self.complete.clone();
        service.spawn("lane", lane.run(batches, complete, service.shutdown()));
        Ok(view)
    }
}

/// Starts to follow the zones; the process is ready, and lanes begin, once they were read to their end.
fn follow_zones(
    config: &Config,
    bus: &BusMetrics,
    hosts: &HostDirectory,
    health: &Health,
    service: &mut Service,
) -> anyhow::Result<watch::Receiver<bool>> {
    let topics = config.kafka.topics();
    let (follower, log) = follow(&config.kafka, &topics.zones(), bus.clone())?;
    let (tell, complete) = watch::channel(false);
    health.set_ready("zones", false);
    let following = HostFollower {
        follower,
        log,
        hosts: hosts.clone(),
        complete: tell,
        health: health.clone(),
        group: bus.group(&topics.group("dispatcher"), &topics.zones()),
    };
    service.spawn("zones", following.run(service.shutdown()));
    Ok(complete)
}
