//! When a partition's input is so bad that reading on does harm.
//!
//! A few bad records are bad data; many are a bad deployment upstream, and pushing its whole output through
//! `rejected` helps nobody. Holds no clock: the caller says which second it is.

use std::collections::VecDeque;

const WINDOW_SECONDS: u64 = 60;
const WINDOW_RECORDS: u64 = 1_000;
const IN_A_ROW: u64 = 1_000;

/// Watches one partition. A partition that is resumed starts with a new one.
#[derive(Clone, Debug, Default)]
pub struct StopRule {
    /// Rejected records since the last one that was not.
    in_a_row: u64,
    /// The seconds of the last minute in which records were judged, oldest first.
    seconds: VecDeque<(u64, Counts)>,
    /// Their sum.
    minute: Counts,
    now: u64,
    cause: Option<StopCause>,
}

/// Why a partition is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopCause {
    /// So many rejected records came one after the other.
    InARow(u64),
    /// Of so many records of the last minute, so many were rejected.
    Share {
        /// Records judged.
        judged: u64,
        /// Rejected ones among them.
        rejected: u64,
    },
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    judged: u64,
    rejected: u64,
}

impl StopRule {
    /// Moves on to second `now` of any clock that does not go back.
    pub fn advance(&mut self, now: u64) {
        self.now = self.now.max(now);
        while let Some((_, left)) = self
            .seconds
            .pop_front_if(|(second, _)| *second + WINDOW_SECONDS <= self.now)
        {
            self.minute.judged -= left.judged;
            self.minute.rejected -= left.rejected;
        }
    }

    /// Counts one record, judged in the present second.
    pub fn judged(&mut self, rejected: bool) {
        self.in_a_row = if rejected { self.in_a_row + 1 } else { 0 };
        self.minute.add(rejected);
        match self.seconds.back_mut() {
            Some((second, counts)) if *second == self.now => counts.add(rejected),
            _ => {
                let mut counts = Counts::default();
                counts.add(rejected);
                self.seconds.push_back((self.now, counts));
            }
        }
        self.cause = self.cause.or_else(|| self.judge());
    }

    /// Why the partition must stop, from the first record on that was one too many.
    #[must_use]
    pub fn cause(&self) -> Option<StopCause> {
        self.cause
    }

    fn judge(&self) -> Option<StopCause> {
        let Counts { judged, rejected } = self.minute;
        if self.in_a_row >= IN_A_ROW {
            Some(StopCause::InARow(self.in_a_row))
        } else if judged >= WINDOW_RECORDS && rejected * 10 > judged {
            Some(StopCause::Share { judged, rejected })
        } else {
            None
        }
    }
}

impl Counts {
    fn add(&mut self, rejected: bool) {
        self.judged += 1;
        self.rejected += u64::from(rejected);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Judges `count` records, every `nth` of them rejected.
    fn feed(rule: &mut StopRule, count: u64, nth: u64) {
        for number in 1..=count {
            rule.judged(number % nth == 0);
        }
    }

    #[test]
    fn a_thousand_in_a_row_stop_even_if_good_ones_follow() {
        let mut rule = StopRule::default();
        feed(&mut rule, 19_999, 2_000);
        feed(&mut rule, 999, 1);
        assert_eq!(rule.cause(), None);
        rule.judged(true);
        assert_eq!(rule.cause(), Some(StopCause::InARow(1_000)));
        rule.judged(false);
        assert_eq!(rule.cause(), Some(StopCause::InARow(1_000)));
    }

    #[test]
    fn a_row_needs_no_minute() {
        let mut rule = StopRule::default();
        for second in 0..1_000 {
            rule.advance(second);
            rule.judged(true);
        }
        assert_eq!(rule.cause(), Some(StopCause::InARow(1_000)));
    }

    #[test]
    fn a_tenth_is_borne_and_more_is_not() {
        let mut rule = StopRule::default();
        feed(&mut rule, 10_000, 10);
        assert_eq!(rule.cause(), None);
        rule.judged(true);
        assert_eq!(
            rule.cause(),
            Some(StopCause::Share {
                judged: 10_001,
                rejected: 1_001
            })
        );
    }

    #[test]
    fn fewer_than_a_thousand_records_prove_nothing() {
        let mut rule = StopRule::default();
        feed(&mut rule, 999, 2);
        assert_eq!(rule.cause(), None);
        rule.judged(false);
        assert_eq!(
            rule.cause(),
            Some(StopCause::Share {
                judged: 1_000,
                rejected: 499
            })
        );
    }

    #[test]
    fn what_is_a_minute_old_no_longer_counts() {
        let mut rule = StopRule::default();
        feed(&mut rule, 900, 2);
        rule.advance(59);
        feed(&mut rule, 99, 200);
        assert_eq!(rule.cause(), None);
        rule.advance(60);
        feed(&mut rule, 1_000, 2_000);
        assert_eq!(rule.cause(), None);
        rule.advance(1_000_000);
        assert_eq!(rule.minute.judged, 0);
    }
}
