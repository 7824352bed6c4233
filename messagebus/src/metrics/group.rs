//! Metrics of one consumer group on one topic, and of each partition it holds.

use prometheus::{Gauge, IntCounter};

use super::BusMetrics;

/// What can go wrong while consuming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerError {
    /// A broker or the network.
    Fetch,
    /// A record that does not decode.
    Decode,
    /// A record's work failed.
    Process,
    /// An offset was not committed.
    OffsetCommit,
    /// Partitions could not be taken or given back.
    Rebalance,
    /// This service may not read there.
    Auth,
}

impl ConsumerError {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::Fetch,
        Self::Decode,
        Self::Process,
        Self::OffsetCommit,
        Self::Rebalance,
        Self::Auth,
    ];

    /// The value of the label `reason`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Decode => "decode",
            Self::Process => "process",
            Self::OffsetCommit => "offset_commit",
            Self::Rebalance => "rebalance",
            Self::Auth => "auth",
        }
    }
}

/// The metrics of a consumer group on a topic.
#[derive(Clone, Debug)]
pub struct GroupMetrics {
    bus: BusMetrics,
    group: String,
    topic: String,
    consumed: IntCounter,
}

impl GroupMetrics {
    pub(super) fn new(bus: BusMetrics, group: &str, topic: &str) -> Self {
        let consumed = bus.families().consumed.with([group, topic]);
        let metrics = Self {
            bus,
            group: group.to_owned(),
            topic: topic.to_owned(),
            consumed,
        };
        for reason in ConsumerError::ALL {
            drop(metrics.errors(reason));
        }
        metrics
    }

    /// Things that went wrong, by reason.
    #[must_use = "nothing is counted yet"]
    pub fn errors(&self, reason: ConsumerError) -> IntCounter {
        self.bus
            .families()
            .errors
            .with([&self.group, &self.topic, reason.label()])
    }

    /// Those of all consumers and producers.
    pub(crate) fn bus(&self) -> &BusMetrics {
        &self.bus
    }

    pub(crate) fn consumed(&self, records: u64) {
        self.consumed.inc_by(records);
    }

    #[expect(clippy::cast_precision_loss, reason = "fewer partitions than 2^52")]
    pub(crate) fn assigned(&self, partitions: usize) {
        self.bus
            .families()
            .assigned
            .with([&self.group, &self.topic])
            .set(partitions as f64);
    }

    pub(crate) fn partition(&self, partition: i32) -> PartitionMetrics {
        PartitionMetrics::new(self, partition)
    }

    /// Stops exporting a partition's gauges: its next owner exports them, and no two may.
    pub(crate) fn forget(&self, partition: i32) {
        let families = self.bus.families();
        let partition = partition.to_string();
        let labels = [self.group.as_str(), &self.topic, &partition];
        for family in [
            &families.committed,
            &families.high_watermark,
            &families.lag_messages,
            &families.lag_seconds,
        ] {
            family.remove(labels);
        }
    }
}

/// The metrics of a partition that this process holds.
#[derive(Clone, Debug)]
pub(crate) struct PartitionMetrics {
    messages: IntCounter,
    bytes: IntCounter,
    pub(crate) committed: Gauge,
    pub(crate) high_watermark: Gauge,
    pub(crate) lag_messages: Gauge,
    pub(crate) lag_seconds: Gauge,
}

impl PartitionMetrics {
    fn new(group: &GroupMetrics, partition: i32) -> Self {
        let families = group.bus.families();
        let partition = partition.to_string();
        let labels = [group.group.as_str(), &group.topic, &partition];
        Self {
            messages: families.messages.with(labels),
            bytes: families.message_bytes.with(labels),
            committed: families.committed.with(labels),
            high_watermark: families.high_watermark.with(labels),
            lag_messages: families.lag_messages.with(labels),
            lag_seconds: families.lag_seconds.with(labels),
        }
    }

    /// Counts the records of a batch.
    pub(crate) fn polled(&self, records: u32, bytes: usize) {
        self.messages.inc_by(u64::from(records));
        self.bytes.inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}
