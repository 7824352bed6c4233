//! What each service says that it lacks while no broker and no cluster answers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::Parser;
use loadtest::ports;
use messagebus::Service;

use crate::support::{PATIENCE, on_shared_threads};

const GROUP: &str = "the consumer group has not been joined";
const ZONES: &str = "not yet: zones";
const REDIS: &str = "redis has not answered for 30 s";
const PRODUCER: &str = "producer has not answered for 30 s";

/// Settings of a service that reaches nobody.
fn settings<C: Parser>(admin: SocketAddr, further: &[&str]) -> C {
    let admin = format!("--admin-addr={admin}");
    let all = ["service", "--kafka-brokers=127.0.0.1:1", &admin];
    C::try_parse_from(all.into_iter().chain(further.iter().copied())).unwrap()
}

/// What its readiness probe says of a service that has just begun.
async fn lacks(start: impl FnOnce(SocketAddr, &mut Service) -> anyhow::Result<()>) -> Vec<String> {
    let admin = ports::free().unwrap();
    let mut service = Service::new(Duration::ZERO);
    start(admin, &mut service).unwrap();
    let (url, deadline) = (format!("http://{admin}/readyz"), Instant::now() + PATIENCE);
    let answer = loop {
        match reqwest::get(&url).await {
            Ok(answer) => break answer,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(answer.status(), 503);
    let said = answer.text().await.unwrap();
    said.lines().map(str::to_owned).collect()
}

#[test]
fn a_service_is_not_ready_before_all_that_it_needs_has_answered() {
    on_shared_threads(async {
        let redis = ["--redis-a=redis://127.0.0.1:1", "--redis-b=redis://127.0.0.1:1"];
        let ingestor = lacks(|admin, service| ingestor::start(settings(admin, &redis), service));
        assert_eq!(ingestor.await, [GROUP, ZONES, REDIS, PRODUCER]);
        let flipper = lacks(|admin, service| flipper::start(settings(admin, &redis), service));
        assert_eq!(flipper.await, [REDIS, PRODUCER]);
        let keys = ["--keys-addr=127.0.0.1:0"];
        let dispatcher = lacks(|admin, service| dispatcher::start(settings(admin, &keys), service));
        assert_eq!(dispatcher.await, [GROUP, ZONES, PRODUCER]);
    });
}
