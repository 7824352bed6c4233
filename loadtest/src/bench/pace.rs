//! How fast something goes: a count watched until it is complete, and the CPU that it takes meanwhile.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::cpu::{Meter, Usage, between};
use super::number::float;

/// Between two looks: a look costs a request.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The middle of a run, without its first and last twentieth: nothing starts or ends there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pace {
    /// Items a second.
    pub(super) rate: f64,
    /// Items that were counted in it.
    pub(super) items: f64,
    /// Seconds of CPU that each part took.
    pub(super) cpu: Usage,
}

impl Pace {
    /// Microseconds of CPU an item.
    pub(super) fn micros(&self, part: &str) -> f64 {
        1e6 * self.cpu.get(part).copied().unwrap_or_default() / self.items.max(1.0)
    }
}

#[derive(Clone, Debug)]
struct Look {
    at: f64,
    count: u64,
    cpu: Usage,
}

/// Watches until `count` says `total`, or until `at_most` has passed since the first of them.
///
/// # Errors
/// Nothing was counted within `patience`, or not all; a part has ended.
pub(super) async fn watch(
    what: &str,
    total: u64,
    meter: &Meter,
    patience: Duration,
    at_most: Option<Duration>,
    count: impl AsyncFn() -> u64,
) -> anyhow::Result<Pace> {
    let started = Instant::now();
    let mut looks: Vec<Look> = Vec::new();
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        let count = count().await;
        let at = started.elapsed();
        looks.push(Look {
            at: at.as_secs_f64(),
            count,
            cpu: meter.read()?,
        });
        let first = looks
            .iter()
            .find(|look| look.count > 0)
            .map_or(f64::MAX, |look| look.at);
        let is_enough = at_most.is_some_and(|most| at.as_secs_f64() - first > most.as_secs_f64());
        if count >= total || is_enough {
            break;
        }
        anyhow::ensure!(
            at < patience,
            "{what}: {count} of {total} items within {patience:?}; see its log, or use a smaller size"
        );
    }
    steady(&looks).with_context(|| format!("{what}: nothing was counted"))
}

/// Its middle; all of it where there are too few looks.
fn steady(looks: &[Look]) -> Option<Pace> {
    let total = float(looks.last()?.count);
    let inner = |look: &&Look| {
        let share = float(look.count) / total;
        (0.05..=0.95).contains(&share)
    };
    let first = looks.iter().find(inner);
    let last = looks.iter().rev().find(inner);
    if let Some((first, last)) = first.zip(last)
        && float(last.count - first.count) >= total / 2.0
    {
        return pace(first, last);
    }
    let begun = looks
        .iter()
        .rev()
        .find(|look| look.count == 0)
        .or(looks.first())?;
    let done = looks.iter().find(|look| float(look.count) >= total)?;
    pace(begun, done)
}

fn pace(from: &Look, to: &Look) -> Option<Pace> {
    let (items, seconds) = (float(to.count - from.count), to.at - from.at);
    (items > 0.0 && seconds > 0.0).then(|| Pace {
        rate: items / seconds,
        items,
        cpu: between(&from.cpu, &to.cpu),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(counts: &[u64]) -> Vec<Look> {
        let look = |(at, &count): (u32, &u64)| Look {
            at: f64::from(at),
            count,
            cpu: Usage::from([("ingestor", float(count) / 1e6)]),
        };
        (0..).zip(counts).map(look).collect()
    }

    #[test]
    fn a_slow_start_and_end_do_not_count() {
        let looks = looks(&[0, 0, 0, 10, 100, 300, 500, 700, 900, 990, 1_000]);
        let pace = steady(&looks).unwrap();
        assert!((pace.rate - 200.0).abs() < 1e-9, "{pace:?}");
        assert!((pace.micros("ingestor") - 1.0).abs() < 1e-9);
        assert_eq!(pace.micros("flipper"), 0.0);
    }

    #[test]
    fn a_run_that_is_over_at_once_counts_as_a_whole() {
        let pace = steady(&looks(&[0, 0, 1_000])).unwrap();
        assert!((pace.rate - 1_000.0).abs() < 1e-9);
        assert_eq!(steady(&looks(&[0, 0, 0])), None);
        assert_eq!(steady(&[]), None);
    }
}
