//! The two Redis clusters and which of them holds a generation.

use std::fmt;

/// One of the two clusters that take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClusterName {
    /// Holds the even generations.
    A,
    /// Holds the odd generations.
    B,
}

impl ClusterName {
    /// Both clusters, A first.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// The cluster that holds `generation`.
    #[must_use]
    pub const fn of(generation: u64) -> Self {
        if generation.is_multiple_of(2) {
            Self::A
        } else {
            Self::B
        }
    }

    /// Value of the metric label `redis_cluster`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::A => "hints-a",
            Self::B => "hints-b",
        }
    }

    /// The other cluster.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_generations_never_share_a_cluster() {
        for generation in [0, 1, 2, 41, u64::MAX - 1] {
            assert_ne!(ClusterName::of(generation), ClusterName::of(generation + 1));
        }
        assert_eq!(ClusterName::of(0), ClusterName::A);
        assert_eq!(ClusterName::A.other(), ClusterName::B);
    }
}
