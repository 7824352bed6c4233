//! I1 to I8, by name, under every schedule that chance finds. I3 and I7 belong to the drain, which keeps them.

use proptest::prelude::*;

use super::world::{Faults, PARTITIONS, World};
use crate::protocol::BooksPolicy;
use crate::protocol::history::Verdict;

type Schedule = Vec<(u8, usize)>;
type Input = [Vec<u8>; PARTITIONS];

fn schedule() -> impl Strategy<Value = Schedule> {
    prop::collection::vec((any::<u8>(), 0_usize..64), 200..1_500)
}

fn input() -> impl Strategy<Value = Input> {
    let urls = || prop::collection::vec(0_u8..6, 0..8);
    [urls(), urls()]
}

fn run(faults: Faults, books: BooksPolicy, input: Input, schedule: Schedule) -> World {
    let mut world = World::new(faults, books, input);
    for (choice, pick) in schedule {
        world.step(choice, pick); // I1, I2, I4 and I5 are asserted in every state.
    }
    world.assert_no_invention(); // I6
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn i1_i2_i4_i5_i6_hold_while_writers_crash_and_answers_are_lost(input in input(), schedule in schedule()) {
        let faults = Faults { crash_writer: true, lose_answers: true, rebalance: true, deafness: true, ..Faults::default() };
        run(faults, BooksPolicy::Visible, input, schedule);
    }

    #[test]
    fn i1_i2_i4_i5_i6_hold_while_flippers_take_over(input in input(), schedule in schedule()) {
        let faults = Faults { crash_flipper: true, lose_answers: true, deafness: true, ..Faults::default() };
        run(faults, BooksPolicy::Visible, input, schedule);
    }

    #[test]
    fn i1_and_i5_hold_while_clusters_lose_their_data(input in input(), schedule in schedule()) {
        let faults = Faults {
            crash_writer: true,
            crash_flipper: true,
            lose_answers: true,
            lose_clusters: true,
            rebalance: true,
            deafness: true,
        };
        run(faults, BooksPolicy::Visible, input, schedule);
    }

    #[test]
    fn i1_and_i5_hold_under_strict_books(input in input(), schedule in schedule()) {
        let faults = Faults { crash_writer: true, lose_answers: true, lose_clusters: true, deafness: true, ..Faults::default() };
        run(faults, BooksPolicy::Strict, input, schedule);
    }

    #[test]
    fn i5_nothing_fails_in_a_run_without_a_fault(input in input(), schedule in schedule()) {
        let world = run(Faults::default(), BooksPolicy::Visible, input, schedule);
        for (generation, verdict) in &world.verdicts {
            prop_assert!(matches!(verdict, Verdict::Settled(_)), "{generation}: {verdict:?}");
        }
    }

    #[test]
    fn i8_every_record_is_delivered_once_everything_works_again(input in input(), schedule in schedule()) {
        let faults = Faults {
            crash_writer: true,
            crash_flipper: true,
            lose_answers: true,
            lose_clusters: true,
            rebalance: true,
            deafness: true,
        };
        let mut world = run(faults, BooksPolicy::Visible, input, schedule);
        prop_assert!(world.settle(400), "records are stuck: {}", world.describe());
    }
}
