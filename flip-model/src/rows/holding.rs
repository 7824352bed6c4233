//! Rows in which every promise must hold.

use generations::protocol::BooksPolicy;

use super::{Expected, Extent, Row, one_partition, small};
use crate::model::Goal;
use crate::scenario::{Faults, Pace, Scenario, Whose};

pub(super) const THROUGH: &[Goal] = &[Goal::Through, Goal::Judged];
pub(super) const REPLAYED: &[Goal] = &[Goal::Through, Goal::Judged, Goal::Replayed];

pub(super) fn rows() -> Vec<Row> {
    let mut rows = writers_fail();
    rows.extend(flippers_fail());
    rows.extend(redis_loses());
    rows.extend(redis_is_cut_off());
    rows.extend(super::larger::rows());
    rows.extend(everything());
    rows
}

pub(super) fn holds(name: &'static str, reaches: &'static [Goal], scenario: Scenario) -> Row {
    Row {
        name,
        scenario,
        expected: Expected::Holds(reaches),
        extent: Extent::Exhaustive,
    }
}

pub(super) fn with(faults: Faults) -> Scenario {
    Scenario { faults, ..small() }
}

/// No trouble.
pub(super) const NONE: Faults = Faults {
    passes: 0,
    crashes: 0,
    shutdowns: 0,
    takeovers: 0,
    elections: 0,
    rebalances: 0,
    unanswered: 0,
    losses: 0,
    silent: 0,
    cuts: 0,
    moves: 0,
};

fn writers_fail() -> Vec<Row> {
    vec![
        holds(
            "no-fault",
            THROUGH,
            Scenario {
                input: one_partition(&[0, 1]),
                writers: 2,
                last: 3,
                ..small()
            },
        ),
        holds("lapse", THROUGH, with(Faults { passes: 2, ..NONE })),
        holds(
            "renewal",
            THROUGH,
            Scenario {
                pace: Pace::HalfLease,
                ..with(Faults { passes: 2, ..NONE })
            },
        ),
        holds(
            "late-sets",
            &[Goal::Through, Goal::Judged, Goal::Late],
            Scenario {
                last: 3,
                ..with(Faults {
                    unanswered: 2,
                    ..NONE
                })
            },
        ),
        holds(
            "late-sets-and-lapse",
            THROUGH,
            Scenario {
                last: 2,
                ..with(Faults {
                    passes: 1,
                    unanswered: 1,
                    ..NONE
                })
            },
        ),
        holds(
            "crash",
            THROUGH,
            with(Faults {
                passes: 1,
                crashes: 1,
                ..NONE
            }),
        ),
        holds(
            "crash-strict",
            REPLAYED,
            Scenario {
                books: Some(BooksPolicy::Strict),
                ..with(Faults {
                    passes: 1,
                    crashes: 1,
                    ..NONE
                })
            },
        ),
        holds(
            "rebalance",
            THROUGH,
            Scenario {
                writers: 2,
                last: 2,
                slow_commits: true,
                ..with(Faults {
                    rebalances: 2,
                    unanswered: 1,
                    ..NONE
                })
            },
        ),
        holds(
            "rebalance-and-lapse",
            THROUGH,
            Scenario {
                writers: 2,
                ..with(Faults {
                    passes: 1,
                    rebalances: 1,
                    ..NONE
                })
            },
        ),
        holds(
            "shutdown",
            THROUGH,
            Scenario {
                input: one_partition(&[0, 1]),
                last: 2,
                ..with(Faults {
                    shutdowns: 1,
                    unanswered: 1,
                    ..NONE
                })
            },
        ),
    ]
}

fn flippers_fail() -> Vec<Row> {
    vec![
        holds(
            "takeover",
            REPLAYED,
            Scenario {
                last: 2,
                ..with(Faults {
                    takeovers: 2,
                    losses: 1,
                    unanswered: 1,
                    ..NONE
                })
            },
        ),
        holds(
            "election",
            REPLAYED,
            Scenario {
                last: 2,
                ..with(Faults {
                    elections: 3,
                    losses: 1,
                    ..NONE
                })
            },
        ),
        holds(
            "two-flippers",
            THROUGH,
            Scenario {
                flippers: 2,
                openers: 1,
                last: 2,
                ..small()
            },
        ),
        holds(
            "two-flippers-takeover",
            THROUGH,
            Scenario {
                flippers: 2,
                ..with(Faults { takeovers: 1, ..NONE })
            },
        ),
        holds(
            "two-flippers-loss",
            THROUGH,
            Scenario {
                flippers: 2,
                ..with(Faults { losses: 1, ..NONE })
            },
        ),
    ]
}

fn redis_loses() -> Vec<Row> {
    vec![
        holds(
            "loss",
            REPLAYED,
            Scenario {
                writers: 2,
                last: 2,
                ..with(Faults {
                    losses: 1,
                    rebalances: 1,
                    unanswered: 1,
                    ..NONE
                })
            },
        ),
        holds(
            "replay-fails",
            REPLAYED,
            Scenario {
                last: 4,
                ..with(Faults {
                    losses: 3,
                    unanswered: 1,
                    ..NONE
                })
            },
        ),
        holds(
            "loss-and-crash",
            THROUGH,
            with(Faults {
                losses: 1,
                crashes: 1,
                passes: 1,
                ..NONE
            }),
        ),
        holds(
            "silent-strict",
            REPLAYED,
            Scenario {
                input: one_partition(&[0, 1]),
                last: 2,
                books: Some(BooksPolicy::Strict),
                ..with(Faults {
                    silent: 1,
                    unanswered: 1,
                    ..NONE
                })
            },
        ),
        holds(
            "silent-and-lapse",
            REPLAYED,
            Scenario {
                last: 2,
                books: Some(BooksPolicy::Strict),
                ..with(Faults {
                    silent: 1,
                    passes: 1,
                    ..NONE
                })
            },
        ),
        holds(
            "silent-audited",
            REPLAYED,
            Scenario {
                input: one_partition(&[0, 1]),
                last: 2,
                ..with(Faults {
                    silent: 1,
                    unanswered: 1,
                    takeovers: 1,
                    ..NONE
                })
            },
        ),
    ]
}

fn redis_is_cut_off() -> Vec<Row> {
    vec![
        holds(
            "cut",
            REPLAYED,
            Scenario {
                whose: vec![Whose::Everybodys],
                ..with(Faults {
                    cuts: 1,
                    passes: 2,
                    ..NONE
                })
            },
        ),
        holds(
            "cut-from-flippers",
            REPLAYED,
            Scenario {
                whose: vec![Whose::Flippers],
                ..with(Faults {
                    cuts: 1,
                    passes: 2,
                    ..NONE
                })
            },
        ),
        holds(
            "cut-from-one-flipper",
            THROUGH,
            Scenario {
                flippers: 2,
                openers: 1,
                whose: vec![Whose::FirstFlipper],
                ..with(Faults { cuts: 1, ..NONE })
            },
        ),
        holds(
            "cut-shard",
            REPLAYED,
            Scenario {
                input: one_partition(&[0, 1]),
                last: 2,
                ..with(Faults { cuts: 1, ..NONE })
            },
        ),
    ]
}

/// Too large to be explored to the end.
fn everything() -> Vec<Row> {
    let all = Scenario {
        input: vec![vec![0, 1], vec![0]],
        writers: 2,
        flippers: 2,
        last: 3,
        in_flight: 2,
        slow_commits: true,
        compacts: true,
        whose: vec![Whose::Everybodys, Whose::Flippers, Whose::FirstFlipper],
        faults: Faults {
            passes: 3,
            crashes: 1,
            shutdowns: 1,
            takeovers: 1,
            elections: 1,
            rebalances: 1,
            unanswered: 1,
            losses: 1,
            silent: 0,
            cuts: 1,
            moves: 1,
        },
        ..small()
    };
    vec![Row {
        extent: Extent::States(1_000_000),
        ..holds("everything", &[], all)
    }]
}
