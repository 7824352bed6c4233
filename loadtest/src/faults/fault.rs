//! Which faults there are, and which of them a seed picks.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// Something that fails and comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An ingestor is killed and started again.
    IngestorKilled,
    /// The flippers are killed, and started again.
    FlipperKilled,
    /// The flippers are killed while the removal of what is acknowledged waits.
    FlipperKilledBeforeRemoval,
    /// The dispatcher is killed and started again.
    DispatcherKilled,
    /// An ingestor is stopped in its tracks for longer than its lease.
    IngestorFrozen,
    /// A flipper is stopped for longer than its election: two believe that they work.
    FlipperFrozen,
    /// The dispatcher is stopped for longer than its membership of its groups.
    DispatcherFrozen,
    /// Every service is asked to end, one after the other, and started again.
    Terminated,
    /// An ingestor leaves and joins every few seconds.
    RebalanceStorm,
    /// The broker is killed and started again.
    BrokerKilled,
    /// The broker answers nothing for a while.
    BrokerFrozen,
    /// A Redis master is killed and comes back empty.
    MasterKilled,
    /// A whole Redis cluster is killed and comes back empty.
    ClusterKilled,
    /// A Redis master answers nothing for ten seconds.
    MasterFrozen,
    /// A Redis master is out of memory for a while.
    MasterFull,
    /// A Redis master loses its keys and shows no sign of it.
    KeysLost,
    /// Every connection to a Redis master is cut, again and again.
    ConnectionsCut,
    /// A partner answers 500.
    PartnerFails,
    /// A partner answers 429 with Retry-After.
    PartnerThrottles,
}

/// A fault, and when.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// What fails.
    pub fault: Fault,
    /// Since the step before.
    pub after: Duration,
    /// Which of several: a cluster, a master, an ingestor.
    pub victim: usize,
}

/// What one seed does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// One or two faults.
    pub steps: Vec<Step>,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 19] = [
        Self::IngestorKilled,
        Self::FlipperKilled,
        Self::FlipperKilledBeforeRemoval,
        Self::DispatcherKilled,
        Self::IngestorFrozen,
        Self::FlipperFrozen,
        Self::DispatcherFrozen,
        Self::Terminated,
        Self::RebalanceStorm,
        Self::BrokerKilled,
        Self::BrokerFrozen,
        Self::MasterKilled,
        Self::ClusterKilled,
        Self::MasterFrozen,
        Self::MasterFull,
        Self::KeysLost,
        Self::ConnectionsCut,
        Self::PartnerFails,
        Self::PartnerThrottles,
    ];

    /// Its name in reports.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::IngestorKilled => "ingestor killed",
            Self::FlipperKilled => "flipper killed",
            Self::FlipperKilledBeforeRemoval => "flipper killed before removal",
            Self::DispatcherKilled => "dispatcher killed",
            Self::IngestorFrozen => "ingestor frozen",
            Self::FlipperFrozen => "flipper frozen",
            Self::DispatcherFrozen => "dispatcher frozen",
            Self::Terminated => "every service terminated",
            Self::RebalanceStorm => "rebalance storm",
            Self::BrokerKilled => "broker killed",
            Self::BrokerFrozen => "broker frozen",
            Self::MasterKilled => "Redis master killed",
            Self::ClusterKilled => "Redis cluster killed",
            Self::MasterFrozen => "Redis master frozen",
            Self::MasterFull => "Redis master full",
            Self::KeysLost => "Redis master lost its keys",
            Self::ConnectionsCut => "Redis connections cut",
            Self::PartnerFails => "partner fails",
            Self::PartnerThrottles => "partner throttles",
        }
    }
}

impl Plan {
    /// The first seeds try each fault alone, the rest random pairs.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let alone = usize::try_from(seed.wrapping_sub(1))
            .ok()
            .and_then(|index| Fault::ALL.get(index));
        let faults = match alone {
            Some(fault) => vec![*fault],
            None => Fault::ALL.choose_multiple(&mut random, 2).copied().collect(),
        };
        let step = |fault| Step {
            fault,
            after: Duration::from_millis(random.random_range(1_000..5_000)),
            victim: random.random_range(0..6),
        };
        Self {
            seed,
            steps: faults.into_iter().map(step).collect(),
        }
    }

    /// Its faults, in words.
    #[must_use]
    pub fn label(&self) -> String {
        let labels: Vec<_> = self.steps.iter().map(|step| step.fault.label()).collect();
        labels.join(" + ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_says_what_fails_and_when() {
        for (seed, fault) in (1..).zip(Fault::ALL) {
            assert_eq!(Plan::of(seed).label(), fault.label());
        }
        let pair = Plan::of(1_000);
        assert_eq!(pair.steps.len(), 2);
        assert_eq!(pair.label(), Plan::of(1_000).label());
    }
}
