//! The closed sets of label values, so that no label's value ever comes from data.

/// What the health task checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Check {
    /// A Kafka broker answers.
    Broker,
    /// Every assigned partition moves on.
    Progress,
    /// Both Redis clusters answer.
    Redis,
    /// The producer reaches a broker.
    Producer,
}

impl Check {
    /// Every check.
    pub const ALL: [Self; 4] = [Self::Broker, Self::Progress, Self::Redis, Self::Producer];

    /// The value of the label `check`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Progress => "progress",
            Self::Redis => "redis",
            Self::Producer => "producer",
        }
    }
}

/// Whom a certificate is shown to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The brokers.
    Kafka,
    /// Both Redis clusters.
    Redis,
}

impl Peer {
    /// The value of the label `peer`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Redis => "redis",
        }
    }
}

/// Where a hint is when its age is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Written into the active generation.
    Ingested,
    /// Read from Redis into a batch.
    Drained,
    /// Accepted by a partner.
    Delivered,
}

impl Stage {
    /// The value of the label `stage`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ingested => "ingested",
            Self::Drained => "drained",
            Self::Delivered => "delivered",
        }
    }
}

/// How a consumer's partitions changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebalanceKind {
    /// Partitions were given.
    Assign,
    /// Partitions were asked back, with time to commit.
    Revoke,
    /// Partitions are gone already; nothing of them may be committed.
    Lost,
}

impl RebalanceKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Assign, Self::Revoke, Self::Lost];

    /// The value of the label `kind`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Assign => "assign",
            Self::Revoke => "revoke",
            Self::Lost => "lost",
        }
    }
}

/// Why a record was not delivered to Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProduceFailure {
    /// No answer in time: it may be persisted.
    Timeout,
    /// Larger than a message may be.
    TooLarge,
    /// This service may not write there.
    Auth,
    /// Too few replicas were in sync.
    Isr,
    /// Anything else.
    Other,
}

impl ProduceFailure {
    /// Every reason.
    pub const ALL: [Self; 5] = [Self::Timeout, Self::TooLarge, Self::Auth, Self::Isr, Self::Other];

    /// The value of the label `reason`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::TooLarge => "too_large",
            Self::Auth => "auth",
            Self::Isr => "isr",
            Self::Other => "other",
        }
    }
}

/// The steps of a service, each timed a batch.
pub(crate) fn steps(service: &str) -> &'static [&'static str] {
    match service {
        "ingestor" => &[
            "kafka_read",
            "decode",
            "opt_in",
            "policy",
            "canonical",
            "host",
            "recent",
            "write",
            "commit",
        ],
        "flipper" => &["flip", "read", "encode", "publish", "delete"],
        "dispatcher" => &["kafka_read", "decode", "submit", "commit"],
        _ => &[],
    }
}
