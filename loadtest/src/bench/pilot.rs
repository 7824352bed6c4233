//! Finds the rate that a pipeline just sustains: a little more while it keeps up, less as soon as it does not.

use super::number::{float, whole};

/// Lag below which there is room, and above which there is too much, in seconds. A goal is missed at 1.
const ROOM: f64 = 0.5;
const TOO_MUCH: f64 = 0.8;
/// What a second of room adds, and a second of too much takes.
const MORE: f64 = 1.02;
const LESS: f64 = 0.93;

/// The rate so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pilot {
    rate: f64,
}

impl Pilot {
    /// Begins with so many records a second.
    pub(super) fn new(first_rate: u64) -> Self {
        Self {
            rate: float(first_rate),
        }
    }

    /// The rate of the next second, by the lag in seconds at the end of the last.
    pub(super) fn next(&mut self, lag: f64) -> u64 {
        if lag < ROOM {
            self.rate *= MORE;
        } else if lag > TOO_MUCH {
            self.rate *= LESS;
        }
        whole(self.rate.max(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Flies a pipeline that can do `capacity` records a second; says where it ends, and the lag there.
    fn fly(first: u64, capacity: f64) -> (u64, f64) {
        let (mut pilot, mut backlog, mut rate) = (Pilot::new(first), 0.0_f64, first);
        for _ in 0..300 {
            backlog = (backlog + float(rate) - capacity).max(0.0);
            rate = pilot.next(backlog / capacity);
        }
        (rate, backlog / capacity)
    }

    #[test]
    fn the_rate_settles_at_what_the_pipeline_can_do() {
        for first in [50_000, 200_000, 400_000] {
            let (rate, _) = fly(first, 200_000.0);
            assert!((170_000..230_000).contains(&rate), "{first}: {rate}");
        }
    }

    #[test]
    fn nothing_stops_it_for_good() {
        let mut pilot = Pilot::new(1);
        assert!((0..100).all(|_| pilot.next(60.0) > 0));
    }
}
