//! How large a run is: what is measured is the same in all.

use std::time::Duration;

use clap::ValueEnum;

/// Which run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Size {
    /// Some forty minutes on two quiet cores: its figures count
    Full,
    /// Ten minutes: fewer and smaller
    Quick,
    /// A minute: that everything works, no figure of it means anything
    Smoke,
}

/// What a run does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Trials of each kind, in turn.
    pub(super) rounds: usize,
    /// Records of an ingest trial.
    pub(super) records: u64,
    /// How long the naive consumer is watched.
    pub(super) naive_for: Duration,
    /// Keys of a drain.
    pub(super) keys: u64,
    /// Requests of a dispatch trial.
    pub(super) requests: u32,
    /// Growth: trials of each size.
    pub(super) growth_rounds: usize,
    /// Growth: records of the smaller and the larger input.
    pub(super) growth_records: [u64; 2],
    /// Growth: keys of the smaller and the larger generation.
    pub(super) growth_keys: [u64; 2],
    /// Growth: keys of a generation whose hosts are more and more, and how many.
    pub(super) spread_keys: u64,
    pub(super) spread_hosts: [u32; 3],
    /// Everything at once.
    pub(super) everything: Everything,
}

/// The run of everything at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Everything {
    /// Before it counts.
    pub(super) warm_up: Duration,
    pub(super) counted: Duration,
    /// Records a second at the beginning.
    pub(super) first_rate: u64,
    /// `FLIP_INTERVAL`.
    pub(super) flip_interval: Duration,
    /// Records a second, before and after a burst and in it.
    pub(super) burst: [u64; 2],
    pub(super) burst_for: Duration,
    /// Until everything has reached the partners.
    pub(super) rest_within: Duration,
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Size {
    /// Its name, as `--size` takes it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Quick => "quick",
            Self::Smoke => "smoke",
        }
    }

    /// What it does. `growth` replaces the records of the larger input, a tenth of them those of the smaller.
    pub(super) fn plan(self, growth: Option<u64>) -> Plan {
        let plan = match self {
            Self::Full => FULL,
            Self::Quick => QUICK,
            Self::Smoke => SMOKE,
        };
        let growth = growth.map(|records| [records / 10, records]);
        Plan {
            growth_records: growth.unwrap_or(plan.growth_records),
            ..plan
        }
    }
}

const FULL: Plan = Plan {
    rounds: 5,
    records: 2_000_000,
    naive_for: seconds(5),
    keys: 1_000_000,
    requests: 40_000,
    growth_rounds: 3,
    growth_records: [1_000_000, 10_000_000],
    growth_keys: [200_000, 4_000_000],
    spread_keys: 200_000,
    spread_hosts: [500, 5_000, 50_000],
    everything: Everything {
        warm_up: seconds(30),
        counted: seconds(600),
        first_rate: 150_000,
        flip_interval: seconds(30),
        burst: [30_000, 150_000],
        burst_for: seconds(60),
        rest_within: seconds(600),
    },
};

const QUICK: Plan = Plan {
    rounds: 3,
    records: 600_000,
    naive_for: seconds(2),
    keys: 300_000,
    requests: 10_000,
    growth_rounds: 1,
    growth_records: [300_000, 3_000_000],
    growth_keys: [100_000, 2_000_000],
    spread_keys: 50_000,
    spread_hosts: [500, 2_000, 10_000],
    everything: Everything {
        warm_up: seconds(15),
        counted: seconds(60),
        first_rate: 150_000,
        flip_interval: seconds(15),
        burst: [30_000, 150_000],
        burst_for: seconds(15),
        rest_within: seconds(300),
    },
};

const SMOKE: Plan = Plan {
    rounds: 1,
    records: 3_000,
    naive_for: seconds(1),
    keys: 3_000,
    requests: 200,
    growth_rounds: 1,
    growth_records: [1_000, 10_000],
    growth_keys: [1_000, 20_000],
    spread_keys: 1_000,
    spread_hosts: [10, 50, 200],
    everything: Everything {
        warm_up: seconds(1),
        counted: seconds(3),
        first_rate: 1_000,
        flip_interval: seconds(2),
        burst: [200, 1_000],
        burst_for: seconds(2),
        rest_within: seconds(120),
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_tenfold_in_records_and_twentyfold_in_keys() {
        for size in [Size::Full, Size::Quick, Size::Smoke] {
            let plan = size.plan(None);
            let [small, large] = plan.growth_records;
            assert_eq!(large, 10 * small);
            let [small, large] = plan.growth_keys;
            assert_eq!(large, 20 * small);
        }
        assert_eq!(
            Size::Full.plan(Some(100_000_000)).growth_records,
            [10_000_000, 100_000_000]
        );
    }
}
