//! A lane without a broker.

use hint_schema::{BatchId, HintBatch, HostHints};
use hinters::{HttpClient, PartnerSetting};
use messagebus::metrics::Stage;
use messagebus::{BusMetrics, ConsumerOptions, KafkaArgs, Producer, Registrar, consume};
use prometheus::Registry;

use super::*;
use crate::books::Books;
use crate::delivery::Ended;
use crate::hosts::HostDirectory;
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::seen::SeenIds;

fn lane() -> Lane {
    let nobody = KafkaArgs::plaintext("127.0.0.1:1", "test.");
    let registrar = Registrar::new(&Registry::new(), "dispatcher");
    let bus = BusMetrics::register(&registrar).unwrap();
    let metrics = Metrics::register(&registrar).unwrap();
    let options = ConsumerOptions::new("batches", "dispatcher-bing");
    let (consumer, _batches) = consume(&nobody, options, bus.clone()).unwrap();
    let producer = Producer::new(&nobody, bus.clone()).unwrap();
    let partners: PartnerSetting = "bing".parse().unwrap();
    let partner = partners.build(&HttpClient::new(false).unwrap()).remove(0);
    let books = Books {
        partner: "bing".to_owned(),
        outbox: Outbox::new(producer, &nobody.topics(), &bus),
        metrics: metrics.lane("bing"),
        age: bus.hint_age(Stage::Delivered, "bing"),
    };
    let delivery = Delivery {
        partner: Arc::from(partner),
        hosts: HostDirectory::new(None),
        books,
    };
    let intake = Intake {
        consumer,
        seen: SeenIds::default(),
        metrics: bus.group("dispatcher-bing", "batches"),
        decode: bus.step("decode"),
    };
    Lane::new(intake, delivery, Arc::default(), bus.step("submit"))
}

/// One URL.
fn load() -> Load {
    let host = HostHints {
        host: "a.example".to_owned(),
        oldest_event_ms: 1,
        urls: vec!["https://a.example/".to_owned()],
    };
    let batch = HintBatch {
        id: BatchId::default(),
        generation: 1,
        created_at_ms: 1,
        hosts: vec![host],
    };
    let assignment = Assignment {
        partition: 0,
        epoch: 1,
    };
    let mut waiting = Waiting::new(REQUEST);
    waiting.admit((), assignment, batch);
    waiting.take().unwrap()
}

#[tokio::test]
async fn no_progress_is_expected_of_a_lane_that_its_partner_holds_back() {
    let mut lane = lane();
    lane.look(true);
    assert!(!lane.intake.consumer.is_excused());
    lane.gate.set_paused(true);
    lane.look(true);
    assert!(lane.intake.consumer.is_excused());
}

#[tokio::test]
async fn a_lane_that_ends_hints_is_at_work_though_no_batch_is_whole() {
    let (mut lane, load) = (lane(), load());
    let attempt = |ended| Attempt {
        host: load.host.clone(),
        ended,
        failed: None,
    };
    lane.settle(attempt(Vec::new()));
    assert!(!lane.intake.consumer.is_excused());
    let ended = Ended {
        load: load.clone(),
        given_up: false,
    };
    lane.settle(attempt(vec![ended]));
    assert!(lane.intake.consumer.is_excused());
}
