use prometheus::Registry;

use super::{report::Subject, verdict::Sight, *};
use crate::metrics::Registrar;

fn health() -> Health {
    let metrics = BusMetrics::register(&Registrar::new(&Registry::new(), "ingestor")).unwrap();
    Health::new(metrics)
}

fn subject(joined: bool, committed: i64) -> Subject {
    let sight = Sight {
        committed: Some(committed),
        caught_up: false,
        excused: false,
    };
    Subject {
        group: "group".to_owned(),
        topic: "topic".to_owned(),
        stuck_after: Duration::ZERO,
        joined,
        turned: BootInstant::from_nanos(u64::MAX),
        partitions: vec![(0, sight)],
    }
}

impl Health {
    /// One whose last check found a partition stuck.
    pub(crate) fn stuck() -> Self {
        let health = health();
        for _ in 0..2 {
            health.judge(&[subject(true, 1)], true);
        }
        health
    }
}

#[test]
fn the_start_is_over_when_every_group_is_joined() {
    let health = health();
    assert!(health.started().is_err());
    health.judge(&[subject(false, 1)], true);
    assert!(health.started().is_err());
    health.judge(&[subject(true, 1)], true);
    assert_eq!(health.started(), Ok(()));
    health.judge(&[subject(false, 2)], false);
    assert_eq!(health.started(), Ok(()));
}

#[test]
fn a_stuck_partition_fails_liveness_and_is_counted() {
    let health = health();
    health.judge(&[subject(true, 1)], true);
    assert_eq!(health.live(), Ok(()));
    health.judge(&[subject(true, 1)], true);
    assert_eq!(health.live(), Err(vec!["topic[0] is stuck in group".to_owned()]));
    assert_eq!(health.0.metrics.health_failures(Check::Progress).get(), 1);
    assert!(health.0.metrics.health_status(Check::Progress).get().abs() < f64::EPSILON);
    health.judge(&[subject(true, 2)], true);
    assert_eq!(health.live(), Ok(()));
}

#[test]
fn a_polling_thread_that_stands_still_fails_liveness_whatever_its_partitions_do() {
    let health = health();
    let caught_up = || {
        let mut subject = subject(true, 1);
        subject.partitions.clear();
        subject
    };
    health.judge(&[caught_up()], true);
    assert_eq!(health.live(), Ok(()));
    let held = Subject {
        turned: BootInstant::from_nanos(0),
        ..caught_up()
    };
    health.judge(&[held], true);
    assert_eq!(
        health.live(),
        Err(vec![
            "the thread that polls topic in group stands still".to_owned()
        ])
    );
}

#[test]
fn a_revoked_partition_starts_fresh_when_it_comes_back() {
    let health = health();
    health.judge(&[subject(true, 1)], true);
    health.judge(&[], true);
    health.judge(&[subject(true, 1)], true);
    assert_eq!(health.live(), Ok(()));
}

#[test]
fn a_broker_that_is_away_for_a_moment_fails_nothing() {
    let health = health();
    health.judge(&[], false);
    assert_eq!(health.live(), Ok(()));
    assert_eq!(health.ready(), Ok(()));
}

#[test]
fn readiness_needs_its_conditions_and_signs_of_life() {
    let health = health();
    health.set_ready("zones are read", false);
    health.require(Check::Redis);
    let reasons = health.ready().unwrap_err();
    assert_eq!(
        reasons,
        ["not yet: zones are read", "redis has not answered for 30 s"]
    );
    health.set_ready("zones are read", true);
    health.alive(Check::Redis);
    assert_eq!(health.ready(), Ok(()));
}

#[tokio::test]
async fn a_process_that_drains_is_not_ready() {
    let health = health();
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    health.clone().run(shutdown).await.unwrap();
    assert_eq!(health.ready(), Err(vec!["shutting down".to_owned()]));
    assert_eq!(health.live(), Ok(()));
}

#[test]
fn a_sign_of_life_counts_for_half_a_minute() {
    let at = |seconds: u64| BootInstant::from_nanos(seconds * 1_000_000_000);
    assert!(is_recent(Some(at(5)), at(35)));
    assert!(!is_recent(Some(at(5)), at(36)));
    assert!(!is_recent(None, at(5)));
}

#[test]
fn no_answer_of_a_broker_for_five_minutes_fails_liveness() {
    let health = health();
    for seconds in [0, 299, 300] {
        assert_eq!(health.live(), Ok(()), "{seconds}");
        let now = BootInstant::from_nanos(seconds * 1_000_000_000);
        health.0.state.lock().report.update(&[], false, now);
    }
    let reason = "no broker has answered for five minutes";
    assert_eq!(health.live(), Err(vec![reason.to_owned()]));
}
