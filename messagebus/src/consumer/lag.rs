//! How far a partition is behind, in records and in seconds: pure.

use crate::ledger::Progress;

/// What is known of a partition's end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct End {
    /// First offset that is still kept.
    pub(super) low: Option<i64>,
    /// The offset after the last record, as last heard.
    pub(super) high: Option<i64>,
    /// Up to here librdkafka has read and found nothing more to hand out.
    pub(super) reached: Option<i64>,
    /// Since when there have been records that were not polled, Unix milliseconds.
    behind_since_ms: Option<u64>,
}

impl End {
    /// Takes in what the statistics say. A paused partition's figures stand still, so the end never goes back.
    pub(super) fn observe(&mut self, low: i64, high: i64, reached: i64) {
        self.low = known(low).or(self.low);
        self.high = known(high).max(self.high);
        self.reached = known(reached);
    }

    /// Whether nothing is left to be polled, trailing control records apart.
    pub(super) fn is_reached(&self, progress: &Progress) -> bool {
        let Some(high) = self.high else { return false };
        progress
            .position
            .or(progress.committed)
            .is_some_and(|position| position >= high)
            || self.reached.is_some_and(|reached| reached >= high)
    }

    /// Whether every record up to the end is done and committed, trailing control records apart.
    pub(super) fn is_caught_up(&self, progress: &Progress) -> bool {
        let Some(high) = self.high else { return false };
        if progress.committed.is_some_and(|committed| committed >= high) {
            return true;
        }
        let all_committed = progress
            .position
            .is_none_or(|position| progress.committed >= Some(position));
        progress.oldest_ms.is_none() && all_committed && self.is_reached(progress)
    }

    /// Records between the committed offset and the end; 0 while either is unknown.
    pub(super) fn lag_messages(&self, progress: &Progress) -> i64 {
        let from = progress.committed.or(self.low);
        match (self.high, from) {
            _ if self.is_caught_up(progress) => 0,
            (Some(high), Some(from)) => high.saturating_sub(from).max(0),
            _ => 0,
        }
    }

    /// Age of the oldest record that is not done, in seconds. While that record has not been polled its age is
    /// not known, and the time since its existence is known stands in.
    pub(super) fn lag_seconds(&mut self, progress: &Progress, now_ms: u64) -> f64 {
        let behind = self.high.is_some() && !self.is_reached(progress);
        self.behind_since_ms = behind.then(|| self.behind_since_ms.unwrap_or(now_ms));
        let polled = progress.oldest_ms.and_then(|oldest| u64::try_from(oldest).ok());
        let Some(since) = polled.or(self.behind_since_ms) else {
            return 0.0;
        };
        let milliseconds = u32::try_from(now_ms.saturating_sub(since)).unwrap_or(u32::MAX);
        f64::from(milliseconds) / 1000.0
    }
}

fn known(offset: i64) -> Option<i64> {
    (offset >= 0).then_some(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(low: i64, high: i64, reached: i64) -> End {
        let mut end = End::default();
        end.observe(low, high, reached);
        end
    }

    fn progress(committed: Option<i64>, position: Option<i64>, oldest_ms: Option<i64>) -> Progress {
        Progress {
            committed,
            position,
            oldest_ms,
            ..Progress::default()
        }
    }

    #[test]
    fn lag_is_counted_from_the_committed_offset() {
        assert_eq!(
            end(0, 100, -1001).lag_messages(&progress(Some(60), Some(80), Some(1))),
            40
        );
        assert_eq!(end(10, 100, -1001).lag_messages(&progress(None, None, None)), 90);
        assert_eq!(
            end(-1001, -1001, -1001).lag_messages(&progress(None, None, None)),
            0
        );
        assert_eq!(
            end(0, 100, -1001).lag_messages(&progress(Some(120), None, None)),
            0
        );
    }

    #[test]
    fn trailing_control_records_are_no_lag() {
        let committed = progress(Some(99), Some(99), None);
        assert_eq!(end(0, 100, 100).lag_messages(&committed), 0);
        assert!(end(0, 100, 100).is_caught_up(&committed));
        assert_eq!(end(0, 100, 99).lag_messages(&committed), 1);
    }

    #[test]
    fn done_and_not_committed_is_lag() {
        assert_eq!(
            end(0, 100, 100).lag_messages(&progress(Some(90), Some(100), None)),
            10
        );
    }

    #[test]
    fn lag_in_seconds_is_the_age_of_the_oldest_open_record() {
        let mut end = end(0, 100, 100);
        assert!((end.lag_seconds(&progress(Some(60), Some(100), Some(4_000)), 6_500) - 2.5).abs() < 1e-9);
        assert!(
            end.lag_seconds(&progress(Some(100), Some(100), None), 6_500)
                .abs()
                < 1e-9
        );
        assert!(
            end.lag_seconds(&progress(Some(60), Some(100), Some(9_000)), 6_500)
                .abs()
                < 1e-9
        );
    }

    #[test]
    fn a_record_that_was_never_polled_ages_from_when_it_was_known() {
        let mut end = end(0, 100, 60);
        let idle = progress(Some(60), Some(60), None);
        assert!(end.lag_seconds(&idle, 1_000).abs() < 1e-9);
        assert!((end.lag_seconds(&idle, 31_000) - 30.0).abs() < 1e-9);
        end.observe(0, 100, 100);
        assert!(end.lag_seconds(&idle, 40_000).abs() < 1e-9);
    }

    #[test]
    fn a_paused_partitions_figures_do_not_take_the_end_back() {
        let mut end = end(0, 100, 100);
        end.high = Some(500);
        end.observe(0, 100, 100);
        assert_eq!(end.high, Some(500));
    }
}
