//! What does not become more by adding processes: what breaks first as the load grows, and why.

use serde::Serialize;

use super::size::Sizing;

/// Between two generations writers pause for a barrier, and a drain begins and ends: no generation should be shorter.
/// The barrier waits 12 s for a writer that has died (GENERATIONS: T + 2 s).
const SHORTEST_GENERATION: f64 = 12.0;
/// One of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Limit {
    /// What it is.
    pub what: &'static str,
    /// What there is for what is needed: below 1 it breaks.
    pub headroom: f64,
    /// Why, and what would help.
    pub why: &'static str,
}

/// All of them, the tightest first.
pub(super) fn limits(sizing: &Sizing) -> Vec<Limit> {
    let mut limits = vec![
        Limit {
            what: "the flipper's drain",
            headroom: sizing.generation_seconds / sizing.drain_seconds,
            why: "one elected flipper drains: a generation must be out before the next one is closed, on one core; \
                  several, each with a range of slots, would share it",
        },
        Limit {
            what: "the length of a generation",
            headroom: sizing.generation_seconds / SHORTEST_GENERATION,
            why: "FLIP_MAX_URLS closes a generation early, and turns cost a barrier and a drain each: raise it with \
                  the clusters' memory",
        },
        Limit {
            what: "the largest host",
            headroom: hottest(sizing),
            why: "a host's URLs share a slot, hence a master, unless its zone asks for spread: at most 64 slots",
        },
    ];
    limits.sort_by(|left, right| left.headroom.total_cmp(&right.headroom));
    limits
}

/// How much of a master's core is there for a host with a hundredth of all records.
fn hottest(sizing: &Sizing) -> f64 {
    let needed = sizing.load.records_per_second / 100.0 * sizing.costs.set / 1e6;
    sizing.load.utilisation / needed
}

#[cfg(test)]
mod tests {
    use super::super::load::Load;
    use super::super::size::size;
    use super::super::size::tests::costs;

    #[test]
    fn at_the_published_load_nothing_breaks() {
        let sizing = size(&Load::default(), &costs());
        let tightest = sizing.limits.first().unwrap();
        assert!(tightest.headroom > 1.0, "{tightest:?}");
        assert!(
            sizing
                .limits
                .is_sorted_by(|left, right| left.headroom <= right.headroom)
        );
    }

    #[test]
    fn a_flipper_that_cannot_drain_in_time_is_the_first_to_break() {
        let load = Load {
            records_per_second: 1_800_000.0,
            hosts: 1_000.0,
            ..Load::default()
        };
        let slow = super::Sizing {
            drain_seconds: 100.0,
            ..size(&load, &costs())
        };
        let limits = super::limits(&slow);
        assert_eq!(limits[0].what, "the flipper's drain");
        assert!(limits[0].headroom < 1.0);
    }
}
