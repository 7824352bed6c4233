//! What a handful of samples say: the middle, how far apart they are, and whether that is enough to conclude.

use serde::{Deserialize, Serialize};

use super::metric::Metric;

/// Samples may lie so far apart, relative to their median, before those on both sides of a gate say nothing.
const MOST_SPREAD: f64 = 0.1;
/// Other programs may take this share of the machine before what was timed says nothing.
pub(super) const MOST_DISTURBANCE: f64 = 0.05;

/// How a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No goal: it shows what goals are made of.
    Figure,
    /// It reaches what we wish.
    Stretch,
    /// It reaches what it must.
    Met,
    /// It does not.
    Missed,
    /// The machine was too noisy to tell.
    Noisy,
}

/// The middle of the samples, the mean of the middle two where they are even; nothing where there is none.
#[must_use]
pub fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get(sorted.len().saturating_sub(1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// How far the extremes are apart, as a share of the median; 0 where all are the same.
#[must_use]
pub fn spread(samples: &[f64]) -> f64 {
    let largest = samples.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let smallest = samples.iter().copied().fold(f64::INFINITY, f64::min);
    match median(samples) {
        Some(median) if largest > smallest => (largest - smallest) / median.abs().max(f64::MIN_POSITIVE),
        Some(_) | None => 0.0,
    }
}

/// How the samples stand to the goal. `disturbance` is the share of the machine that others took meanwhile.
///
/// Too noisy are all timed rows of a machine that others kept busy, and one whose samples lie far apart on both
/// sides of its gate: there another run may as well conclude the opposite.
#[must_use]
pub fn judge(metric: &Metric, samples: &[f64], disturbance: f64) -> Verdict {
    let Some((gate, median)) = metric.gate.zip(median(samples)) else {
        return Verdict::Figure;
    };
    let reaches = |value: f64, goal: f64| {
        if metric.lower_is_better {
            value <= goal
        } else {
            value >= goal
        }
    };
    let good = samples.iter().filter(|sample| reaches(**sample, gate)).count();
    let is_split = good > 0 && good < samples.len();
    let is_disturbed = metric.is_timed && disturbance > MOST_DISTURBANCE;
    if is_disturbed || is_split && spread(samples) > MOST_SPREAD {
        Verdict::Noisy
    } else if metric.stretch.is_some_and(|stretch| reaches(median, stretch)) {
        Verdict::Stretch
    } else if reaches(median, gate) {
        Verdict::Met
    } else {
        Verdict::Missed
    }
}

#[cfg(test)]
mod tests {
    use super::super::metric::{ALLOCATIONS, INGEST_CPU, REDIS_RATE, VERSUS_REDIS};
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn the_spread_is_relative() {
        assert!((spread(&[90.0, 100.0, 110.0]) - 0.2).abs() < 1e-9);
        assert_eq!(spread(&[0.0, 0.0]), 0.0);
        assert_eq!(spread(&[]), 0.0);
    }

    #[test]
    fn a_quiet_machine_gives_a_verdict() {
        assert_eq!(judge(&VERSUS_REDIS, &[0.71, 0.75, 0.73], 0.0), Verdict::Stretch);
        assert_eq!(judge(&VERSUS_REDIS, &[0.55, 0.52, 0.58], 0.0), Verdict::Met);
        assert_eq!(judge(&VERSUS_REDIS, &[0.45, 0.41, 0.44], 0.0), Verdict::Missed);
        assert_eq!(judge(&INGEST_CPU, &[0.8, 0.85], 0.0), Verdict::Stretch);
        assert_eq!(judge(&INGEST_CPU, &[1.5], 0.0), Verdict::Missed);
        assert_eq!(judge(&REDIS_RATE, &[1.0], 0.0), Verdict::Figure);
    }

    #[test]
    fn samples_on_both_sides_of_the_gate_conclude_nothing_unless_they_are_close() {
        assert_eq!(judge(&VERSUS_REDIS, &[0.3, 0.55, 0.8], 0.0), Verdict::Noisy);
        assert_eq!(judge(&VERSUS_REDIS, &[0.495, 0.505, 0.51], 0.0), Verdict::Met);
    }

    #[test]
    fn a_busy_machine_concludes_nothing_that_was_timed() {
        assert_eq!(judge(&VERSUS_REDIS, &[0.9, 0.9], 0.4), Verdict::Noisy);
        assert_eq!(judge(&ALLOCATIONS, &[0.0], 0.4), Verdict::Met);
        assert_eq!(judge(&ALLOCATIONS, &[1.0], 0.4), Verdict::Missed);
    }
}
