//! Rows that leave one rule out: the promise in question must break, or the model could not fail.

use generations::protocol::BooksPolicy;

use super::{Expected, Extent, Row, leaving_out, one_partition, small};
use crate::scenario::{Faults, Rule, Scenario, Whose};
use crate::world::{Action, Promise};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = writing_and_draining();
    rows.extend(barriers_and_leases());
    rows.extend(log_and_books());
    rows.extend(out_of_reach());
    rows.extend(long_ones());
    rows
}

fn breaks(name: &'static str, promise: Promise, rule: Rule, scenario: Scenario) -> Row {
    Row {
        name,
        scenario: leaving_out(rule, scenario),
        expected: Expected::Breaks(promise),
        extent: Extent::Exhaustive,
    }
}

/// Books and replay would heal the loss.
fn without_books(scenario: Scenario) -> Scenario {
    Scenario {
        books: None,
        ..scenario
    }
}

fn with(faults: Faults) -> Scenario {
    Scenario { faults, ..small() }
}

fn passes(passes: u8) -> Faults {
    Faults {
        passes,
        ..Faults::default()
    }
}

fn two_urls() -> Scenario {
    Scenario {
        input: one_partition(&[0, 1]),
        ..small()
    }
}

fn writing_and_draining() -> Vec<Row> {
    let one_drains_late = Scenario {
        input: one_partition(&[0, 0]),
        flippers: 2,
        openers: 1,
        last: 2,
        ..small()
    };
    let late = Faults {
        unanswered: 1,
        ..Faults::default()
    };
    let takeover = Faults {
        takeovers: 1,
        ..Faults::default()
    };
    let migration = Faults {
        moves: 1,
        ..Faults::default()
    };
    let twice = Scenario {
        input: one_partition(&[0, 0]),
        ..small()
    };
    vec![
        breaks(
            "delete-names",
            Promise::NoLoss,
            Rule::DeleteNames,
            without_books(Scenario {
                in_flight: 2,
                faults: late,
                ..two_urls()
            }),
        ),
        breaks(
            "generation-in-key",
            Promise::NoLoss,
            Rule::GenerationInKey,
            without_books(one_drains_late.clone()),
        ),
        breaks(
            "newer-names",
            Promise::NoLoss,
            Rule::NewerNames,
            without_books(one_drains_late),
        ),
        breaks(
            "delete-after-ack",
            Promise::NoLoss,
            Rule::DeleteAfterAck,
            without_books(with(takeover)),
        ),
        breaks(
            "nothing-moving",
            Promise::NoLoss,
            Rule::NothingMoving,
            without_books(with(migration)),
        ),
        breaks(
            "bind-after-poll",
            Promise::Barrier,
            Rule::BindAfterPoll,
            without_books(small()),
        ),
        breaks(
            "filter-on-answer",
            Promise::NoLoss,
            Rule::FilterOnAnswer,
            without_books(with(passes(1))),
        ),
        breaks(
            "filter-emptied",
            Promise::NoLoss,
            Rule::FilterEmptied,
            without_books(twice),
        ),
    ]
}

fn barriers_and_leases() -> Vec<Row> {
    let moves_over = Scenario {
        writers: 2,
        ..with(Faults {
            rebalances: 1,
            ..Faults::default()
        })
    };
    vec![
        breaks("barrier", Promise::Barrier, Rule::Barrier, without_books(small())),
        breaks(
            "own-clock",
            Promise::Barrier,
            Rule::OwnClock,
            without_books(with(passes(1))),
        ),
        breaks(
            "every-writer",
            Promise::Barrier,
            Rule::EveryWriter,
            without_books(moves_over),
        ),
        breaks(
            "answer-under-lease",
            Promise::NoLoss,
            Rule::AnswerUnderLease,
            without_books(Scenario {
                last: 2,
                ..with(passes(1))
            }),
        ),
        breaks(
            "lease-for-later",
            Promise::Barrier,
            Rule::LeaseForLater,
            without_books(with(passes(2))),
        ),
    ]
}

fn log_and_books() -> Vec<Row> {
    let loss = Faults {
        losses: 1,
        ..Faults::default()
    };
    let takeover = Faults {
        takeovers: 1,
        ..Faults::default()
    };
    let hidden = Faults {
        unanswered: 1,
        silent: 1,
        ..Faults::default()
    };
    vec![
        breaks(
            "range-to-log-end",
            Promise::NoLoss,
            Rule::RangeToLogEnd,
            Scenario {
                slow_commits: true,
                ..with(loss)
            },
        ),
        breaks(
            "open-after-failed",
            Promise::Progress,
            Rule::OpenAfterFailed,
            with(loss),
        ),
        breaks(
            "second-draining",
            Promise::FailedInVain,
            Rule::SecondDraining,
            with(takeover),
        ),
        breaks(
            "unknown-is-inexact",
            Promise::Books,
            Rule::UnknownIsInexact,
            Scenario {
                faults: hidden,
                ..two_urls()
            },
        ),
        breaks(
            "unknown-by-copy",
            Promise::Books,
            Rule::UnknownByCopy,
            Scenario {
                books: Some(BooksPolicy::Strict),
                ..with(hidden)
            },
        ),
    ]
}

fn out_of_reach() -> Vec<Row> {
    let cut = Faults {
        cuts: 1,
        ..Faults::default()
    };
    vec![
        breaks(
            "fail-behind-barrier",
            Promise::Barrier,
            Rule::FailBehindBarrier,
            Scenario {
                whose: vec![Whose::Flippers],
                ..with(Faults { passes: 2, ..cut })
            },
        ),
        breaks(
            "open-without-nodes",
            Promise::Progress,
            Rule::OpenWithoutNodes,
            with(cut),
        ),
        breaks(
            "unknown-node",
            Promise::NoLoss,
            Rule::UnknownNode,
            Scenario {
                last: 2,
                whose: vec![Whose::Flippers],
                ..with(Faults { unanswered: 1, ..cut })
            },
        ),
        breaks(
            "any-owner",
            Promise::Progress,
            Rule::AnyOwner,
            Scenario {
                faults: cut,
                ..two_urls()
            },
        ),
        breaks(
            "stop-at-verdict",
            Promise::Progress,
            Rule::StopAtVerdict,
            Scenario {
                flippers: 2,
                openers: 1,
                last: 2,
                ..small()
            },
        ),
    ]
}

/// Rows whose counterexample is so long that its beginning is given.
fn long_ones() -> Vec<Row> {
    let poll = Action::Poll {
        writer: 0,
        partition: 0,
    };
    let answer = Action::Answer {
        writer: 0,
        batch: 0,
        url: 0,
    };
    // Both flippers have opened generation 1; between that its only record was committed, then it was lost.
    let opened_twice = vec![
        Action::Snapshot(0, 1),
        Action::Publish(0),
        Action::WriterReads(0),
        Action::PublishSeal(0),
        poll,
        answer,
        Action::Snapshot(1, 1),
        Action::Publish(1),
        Action::Lose {
            cluster: 1,
            shard: None,
        },
    ];
    // A lease lapsed while the first record's offset was on its way to Kafka; then generation 0 was lost.
    let redelivered = vec![
        poll,
        answer,
        poll,
        Action::Pass,
        Action::Tick(0),
        Action::Commit {
            writer: 0,
            partition: 0,
        },
        Action::PublishHeartbeat(0),
        Action::Snapshot(0, 1),
        Action::Publish(0),
        Action::WriterReads(0),
        Action::PublishSeal(0),
        Action::FlipperReads(0),
        Action::Lose {
            cluster: 0,
            shard: None,
        },
    ];
    vec![
        breaks(
            "first-opened",
            Promise::NoLoss,
            Rule::FirstOpened,
            Scenario {
                flippers: 2,
                last: 2,
                first: opened_twice,
                ..with(Faults {
                    takeovers: 1,
                    losses: 1,
                    ..Faults::default()
                })
            },
        ),
        breaks(
            "live-when-answered",
            Promise::NoLoss,
            Rule::LiveWhenAnswered,
            Scenario {
                last: 2,
                in_flight: 2,
                slow_commits: true,
                first: redelivered,
                faults: Faults {
                    passes: 2,
                    losses: 1,
                    ..Faults::default()
                },
                ..two_urls()
            },
        ),
    ]
}
