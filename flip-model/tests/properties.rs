//! I1, I2, I4, I5, I6 and what is left of I8, by name, under the schedules that chance finds in larger worlds than
//! can be explored. I3 and I7 belong to the drain, which keeps them.

use std::sync::Arc;

use flip_model::{Action, Faults, Pace, Promise, Scenario, World};
use generations::protocol::BooksPolicy;
use proptest::prelude::*;

/// Each step: whether it is trouble (one in eight), and which of what can happen.
type Schedule = Vec<(u8, usize)>;
type Input = Vec<Vec<u8>>;

/// More often than any schedule is long.
const OFTEN: u8 = 200;

fn schedule() -> impl Strategy<Value = Schedule> {
    prop::collection::vec((any::<u8>(), 0_usize..64), 100..600)
}

fn input() -> impl Strategy<Value = Input> {
    let urls = || prop::collection::vec(0_u8..4, 1..8);
    prop::collection::vec(urls(), 2)
}

fn world(faults: Faults, books: BooksPolicy, flippers: usize, input: Input) -> World {
    World::start(Arc::new(Scenario {
        input,
        writers: 2,
        flippers,
        openers: 2,
        first: Vec::new(),
        last: u64::MAX,
        in_flight: 3,
        batch: 3,
        slow_commits: true,
        compacts: true,
        books: Some(books),
        pace: Pace::HalfLease,
        faults: Faults {
            passes: OFTEN,
            ..faults
        },
        whose: Vec::new(),
        left_out: None,
    }))
}

fn next(world: &World, (choice, pick): (u8, usize)) -> Option<Action> {
    let enabled = world.enabled();
    let (trouble, work): (Vec<Action>, Vec<Action>) = enabled.iter().partition(|action| action.is_trouble());
    let chosen = if choice % 8 == 0 && !trouble.is_empty() {
        trouble
    } else {
        work
    };
    chosen.get(pick % chosen.len().max(1)).copied()
}

fn run(mut world: World, schedule: Schedule) -> World {
    let mut path = Vec::new();
    for step in schedule {
        let Some(action) = next(&world, step) else { break };
        world.act(action);
        path.push(action);
        for promise in Promise::ALL {
            assert!(
                world.keeps(promise),
                "{}: {}, after {path:?}",
                promise.label(),
                world.describe()
            );
        }
    }
    world
}

fn writers_fail() -> Faults {
    Faults {
        crashes: OFTEN,
        shutdowns: OFTEN,
        unanswered: OFTEN,
        rebalances: OFTEN,
        ..Faults::default()
    }
}

fn all() -> Faults {
    Faults {
        takeovers: OFTEN,
        elections: OFTEN,
        losses: OFTEN,
        ..writers_fail()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn i1_i2_i4_i5_i6_hold_while_writers_crash_and_answers_are_lost(input in input(), schedule in schedule()) {
        run(world(writers_fail(), BooksPolicy::Visible, 1, input), schedule);
    }

    #[test]
    fn i1_i2_i4_i5_i6_hold_while_flippers_take_over(input in input(), schedule in schedule()) {
        let faults = Faults { takeovers: OFTEN, elections: OFTEN, unanswered: OFTEN, ..Faults::default() };
        run(world(faults, BooksPolicy::Visible, 2, input), schedule);
    }

    #[test]
    fn i1_and_i5_hold_while_clusters_lose_their_data(input in input(), schedule in schedule()) {
        run(world(all(), BooksPolicy::Visible, 2, input), schedule);
    }

    #[test]
    fn i1_and_i5_hold_under_strict_books(input in input(), schedule in schedule()) {
        let faults = Faults { crashes: OFTEN, unanswered: OFTEN, losses: OFTEN, silent: OFTEN, ..Faults::default() };
        run(world(faults, BooksPolicy::Strict, 1, input), schedule);
    }

    #[test]
    fn i5_nothing_fails_in_a_run_without_a_fault(input in input(), schedule in schedule()) {
        run(world(Faults::default(), BooksPolicy::Visible, 1, input), schedule);
    }

    #[test]
    fn i8_every_record_comes_through_though_nobody_starts_any_more(input in input(), schedule in schedule()) {
        // The model forgets the log then: whoever is still to start must have read it before.
        let faults = Faults { crashes: 1, shutdowns: 1, losses: 1, ..Faults::default() };
        let world = run(world(faults, BooksPolicy::Visible, 1, input), schedule);
        prop_assert!(world.comes_through(), "records are stuck: {}", world.describe());
    }

    #[test]
    fn i8_every_record_comes_through_once_everything_works_again(input in input(), schedule in schedule()) {
        let world = run(world(all(), BooksPolicy::Visible, 2, input), schedule);
        prop_assert!(world.comes_through(), "records are stuck: {}", world.describe());
    }
}
