//! The verdicts of the health check: pure, one value a partition, one for the broker.

use std::time::Duration;

use crate::clock::BootInstant;

/// A broker that does not answer for this long is no passing trouble any more.
pub(super) const BROKER_GRACE: Duration = Duration::from_secs(300);
/// What readiness needs must have answered this recently: two checks.
pub(super) const SIGN_OF_LIFE: Duration = Duration::from_secs(30);

/// How a partition does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It moves, or has nothing left, or is held back on purpose.
    Healthy,
    /// It stands still, not yet for long.
    Watching,
    /// It stands still with records left: only a restart helps.
    Stuck,
}

/// What a check sees of a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    /// The group's committed offset.
    pub(super) committed: Option<i64>,
    /// Nothing is left to be consumed and committed.
    pub(super) caught_up: bool,
    /// Its records are held back on purpose.
    pub(super) excused: bool,
}

/// What is remembered of a partition between two checks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    committed: Option<i64>,
    /// Since when the committed offset stands still with records left.
    since: BootInstant,
}

impl Watch {
    /// Begins to watch a partition that was just assigned.
    pub(super) fn new(now: BootInstant) -> Self {
        Self {
            committed: None,
            since: now,
        }
    }

    /// Judges the partition, and remembers what was seen.
    pub(super) fn judge(&mut self, sight: Sight, now: BootInstant, stuck_after: Duration) -> Verdict {
        let moved = sight.committed != self.committed;
        self.committed = sight.committed;
        if sight.caught_up || sight.excused || moved {
            self.since = now;
            return Verdict::Healthy;
        }
        // Before its first commit a group may be reading its way to one.
        if sight.committed.is_some() && now.since(self.since) >= stuck_after {
            return Verdict::Stuck;
        }
        Verdict::Watching
    }
}

/// How long no broker has answered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BrokerWatch {
    failing_since: Option<BootInstant>,
}

impl BrokerWatch {
    /// Takes in whether a broker answered; healthy until none has for the grace.
    pub(super) fn judge(&mut self, answered: bool, now: BootInstant) -> bool {
        if answered {
            self.failing_since = None;
            return true;
        }
        let since = *self.failing_since.get_or_insert(now);
        now.since(since) < BROKER_GRACE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STUCK_AFTER: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> BootInstant {
        BootInstant::from_nanos(seconds * 1_000_000_000)
    }

    fn behind(committed: i64) -> Sight {
        Sight {
            committed: Some(committed),
            caught_up: false,
            excused: false,
        }
    }

    fn watch(committed: i64) -> Watch {
        let mut watch = Watch::new(at(0));
        assert_eq!(
            watch.judge(behind(committed), at(0), STUCK_AFTER),
            Verdict::Healthy
        );
        watch
    }

    #[test]
    fn caught_up_is_healthy_for_ever() {
        let mut watch = watch(5);
        let sight = Sight {
            caught_up: true,
            ..behind(5)
        };
        assert_eq!(watch.judge(sight, at(10_000), STUCK_AFTER), Verdict::Healthy);
    }

    #[test]
    fn a_moving_offset_is_healthy() {
        let mut watch = watch(5);
        assert_eq!(watch.judge(behind(6), at(10_000), STUCK_AFTER), Verdict::Healthy);
    }

    #[test]
    fn a_standing_offset_is_watched_and_then_stuck() {
        let mut watch = watch(5);
        assert_eq!(watch.judge(behind(5), at(15), STUCK_AFTER), Verdict::Watching);
        assert_eq!(watch.judge(behind(5), at(59), STUCK_AFTER), Verdict::Watching);
        assert_eq!(watch.judge(behind(5), at(60), STUCK_AFTER), Verdict::Stuck);
    }

    #[test]
    fn a_move_begins_the_time_anew() {
        let mut watch = watch(5);
        assert_eq!(watch.judge(behind(6), at(59), STUCK_AFTER), Verdict::Healthy);
        assert_eq!(watch.judge(behind(6), at(118), STUCK_AFTER), Verdict::Watching);
    }

    #[test]
    fn what_is_held_back_on_purpose_is_excused_and_its_time_begins_after() {
        let mut watch = watch(5);
        let excused = Sight {
            excused: true,
            ..behind(5)
        };
        assert_eq!(watch.judge(excused, at(1_000), STUCK_AFTER), Verdict::Healthy);
        assert_eq!(watch.judge(behind(5), at(1_030), STUCK_AFTER), Verdict::Watching);
        assert_eq!(watch.judge(behind(5), at(1_060), STUCK_AFTER), Verdict::Stuck);
    }

    #[test]
    fn nothing_is_stuck_before_the_first_commit() {
        let mut watch = Watch::new(at(0));
        let sight = Sight {
            committed: None,
            caught_up: false,
            excused: false,
        };
        assert_eq!(watch.judge(sight, at(10_000), STUCK_AFTER), Verdict::Watching);
        assert_eq!(watch.judge(behind(1), at(10_015), STUCK_AFTER), Verdict::Healthy);
    }

    #[test]
    fn a_broker_may_be_away_for_five_minutes() {
        let mut broker = BrokerWatch::default();
        assert!(broker.judge(true, at(0)));
        assert!(broker.judge(false, at(15)));
        assert!(broker.judge(false, at(314)));
        assert!(!broker.judge(false, at(315)));
        assert!(broker.judge(true, at(330)));
        assert!(broker.judge(false, at(345)));
    }
}
