//! Which faults a seed picks, when, and where they strike.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::fault::Fault;

/// A fault, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What fails.
    pub fault: Fault,
    /// Since the run began.
    pub at: Duration,
    /// Which of several: a cluster, a master, an ingestor. Two faults of a run strike different ones.
    pub victim: usize,
}

/// What one seed does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// One fault, or two that overlap.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Seeds 1 to the number of faults try each alone. Further ones try pairs: shuffled, so that every half as
    /// many seeds meet all faults again, in other company.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let victim = random.random_range(0..6);
        let step = |(nth, fault)| Step {
            fault,
            at: Duration::from_millis(random.random_range(1_000..4_000)),
            victim: victim + nth,
        };
        Self {
            seed,
            steps: faults_of(seed).into_iter().enumerate().map(step).collect(),
        }
    }

    /// Its faults, in words.
    #[must_use]
    pub fn label(&self) -> String {
        let labels: Vec<_> = self.steps.iter().map(|step| step.fault.label()).collect();
        labels.join(" + ")
    }

    /// Whether one of its faults is this.
    #[must_use]
    pub fn has(&self, fault: Fault) -> bool {
        self.steps.iter().any(|step| step.fault == fault)
    }
}

fn faults_of(seed: u64) -> Vec<Fault> {
    let number = usize::try_from(seed.saturating_sub(1)).unwrap_or(usize::MAX);
    if let Some(alone) = Fault::ALL.get(number) {
        return vec![*alone];
    }
    let pairs = Fault::ALL.len().div_ceil(2);
    let (round, place) = (
        (number - Fault::ALL.len()) / pairs,
        (number - Fault::ALL.len()) % pairs,
    );
    let mut faults = Fault::ALL.to_vec();
    faults.shuffle(&mut StdRng::seed_from_u64(round as u64));
    // An odd one out meets the first.
    let first = faults.first().copied();
    let pair = faults.into_iter().skip(2 * place).chain(first);
    pair.take(2).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const ALONE: u64 = Fault::ALL.len() as u64;

    #[test]
    fn the_first_seeds_try_each_fault_alone() {
        for (seed, fault) in (1..).zip(Fault::ALL) {
            assert_eq!(Plan::of(seed).label(), fault.label());
        }
    }

    #[test]
    fn every_round_of_pairs_meets_every_fault_in_other_company() {
        let pairs = ALONE.div_ceil(2);
        let mut seen = HashSet::new();
        for round in 0..4 {
            let mut met = HashSet::new();
            for seed in ALONE + 1 + round * pairs..=ALONE + (round + 1) * pairs {
                let plan = Plan::of(seed);
                assert_eq!(plan, Plan::of(seed));
                assert_eq!(plan.steps.len(), 2);
                assert_ne!(plan.steps[0].fault, plan.steps[1].fault);
                met.extend(plan.steps.iter().map(|step| step.fault));
                seen.insert(plan.label());
            }
            assert_eq!(met.len(), Fault::ALL.len());
        }
        assert!(seen.len() as u64 > 3 * pairs, "{}", seen.len());
    }
}
