//! Memory is bounded, whatever there is to do.

use std::time::Duration;

use loadtest::drain::filled;
use loadtest::run::Run;
use loadtest::service::Kind;
use loadtest::stack::Stack;
use tokio::time::timeout;

use crate::support::on_shared_threads;

const KEYS: u64 = 500_000;
/// What a drain holds, and what reading and encoding take beside it. All keys, with a message of each batch, take
/// three times as much.
const BOUND: f64 = 32.0 * 1_048_576.0;
const WITHIN: Duration = Duration::from_secs(120);
/// Looks that show the same before a flipper counts as at rest.
const LOOKS: usize = 20;

async fn allocated(run: &Run) -> f64 {
    run.metric(Kind::Flipper, "memory_allocated_bytes", &[]).await
}

/// The flipper's memory once it moves no more.
async fn at_rest(run: &Run) -> f64 {
    let (mut last, mut same) = (0.0, 0);
    let mut looks = tokio::time::interval(Duration::from_millis(200));
    while same < LOOKS {
        looks.tick().await;
        let now = allocated(run).await;
        let is_same = now > 0.0 && (now - last).abs() < 262_144.0;
        same = if is_same { same + 1 } else { 0 };
        last = now;
    }
    last
}

async fn all_removed(stack: &Stack) {
    let [a, b] = &stack.clusters;
    let mut looks = tokio::time::interval(Duration::from_millis(200));
    while a.keys().await.unwrap() + b.keys().await.unwrap() > 0 {
        looks.tick().await;
    }
}

#[test]
fn a_drain_that_kafka_holds_up_stops_reading() {
    on_shared_threads(async {
        let (mut stack, mut run) = filled(KEYS, 100).await.unwrap();
        let before = allocated(&run).await;
        run.flip().await.unwrap();
        let has_begun =
            async |run: &Run| Ok(run.metric(Kind::Flipper, "flipper_urls_drained_total", &[]).await > 0.0);
        run.wait_until("the drain begins", WITHIN, has_begun)
            .await
            .unwrap();

        stack.broker_mut().freeze(true).unwrap();
        let held = timeout(WITHIN, at_rest(&run)).await.unwrap() - before;
        stack.broker_mut().freeze(false).unwrap();
        assert!(held < BOUND, "{held} bytes held");

        timeout(WITHIN, all_removed(&stack)).await.unwrap();
    });
}
