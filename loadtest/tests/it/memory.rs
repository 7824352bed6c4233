//! Memory is bounded, whatever there is to do.

use std::time::Duration;

use loadtest::drain::{DrainArgs, drain};

use crate::support::on_shared_threads;

/// All of them at once would take twice this, and their messages as much again.
const BOUND: u64 = 40 << 20;

#[test]
fn a_drain_holds_a_part_of_its_generation() {
    on_shared_threads(async {
        let args = DrainArgs {
            keys: vec![500_000],
            times: 1,
            hosts: 100,
            within: Duration::from_secs(300),
        };
        let measured = drain(&args).await.unwrap();
        let [drained] = measured.0[..] else {
            panic!("one generation was drained: {measured}")
        };
        assert!(drained.peak - drained.idle < BOUND, "{measured}");
    });
}
