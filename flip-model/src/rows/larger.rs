//! Rows that hold, of larger worlds: several batches in flight, two partitions, slot migration, compaction.

use super::holding::{NONE, REPLAYED, THROUGH, holds, with};
use super::{Row, one_partition};
use crate::scenario::{Faults, Pace, Scenario};

pub(super) fn rows() -> Vec<Row> {
    vec![
        holds(
            "batches-in-flight",
            THROUGH,
            Scenario {
                input: one_partition(&[0, 0, 1]),
                in_flight: 2,
                slow_commits: true,
                ..with(Faults {
                    losses: 1,
                    unanswered: 1,
                    ..NONE
                })
            },
        ),
        holds(
            "large-batch",
            REPLAYED,
            Scenario {
                input: one_partition(&[0, 1, 0]),
                batch: 2,
                last: 2,
                ..with(Faults {
                    losses: 1,
                    unanswered: 1,
                    ..NONE
                })
            },
        ),
        holds(
            "two-partitions",
            REPLAYED,
            Scenario {
                input: vec![vec![0], vec![0]],
                writers: 2,
                last: 2,
                ..with(Faults {
                    losses: 1,
                    rebalances: 1,
                    ..NONE
                })
            },
        ),
        holds(
            "slot-migration",
            REPLAYED,
            Scenario {
                input: one_partition(&[0, 1]),
                last: 2,
                ..with(Faults {
                    moves: 1,
                    losses: 1,
                    ..NONE
                })
            },
        ),
        holds(
            "compaction",
            REPLAYED,
            Scenario {
                last: 3,
                compacts: true,
                ..with(Faults {
                    takeovers: 1,
                    losses: 1,
                    ..NONE
                })
            },
        ),
        holds(
            "compaction-and-election",
            REPLAYED,
            Scenario {
                last: 2,
                compacts: true,
                ..with(Faults {
                    elections: 2,
                    takeovers: 1,
                    losses: 1,
                    ..NONE
                })
            },
        ),
        holds(
            "compaction-and-renewal",
            THROUGH,
            Scenario {
                compacts: true,
                pace: Pace::HalfLease,
                ..with(Faults {
                    takeovers: 1,
                    passes: 1,
                    ..NONE
                })
            },
        ),
        holds(
            "compaction-and-crash",
            THROUGH,
            Scenario {
                compacts: true,
                ..with(Faults {
                    takeovers: 1,
                    crashes: 2,
                    ..NONE
                })
            },
        ),
    ]
}
