//! Which faults there are: a closed list. A new one is a line here, a label, and an arm in `inject.rs`.

/// Something that fails and comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// An ingestor is killed and started again.
    IngestorKilled,
    /// The flipper that works is killed while it reads a generation, and the other one with it.
    FlipperKilled,
    /// The flippers are killed while the removal of what is acknowledged waits.
    FlipperKilledBeforeRemoval,
    /// The dispatcher is killed while a partner holds its answers back.
    DispatcherKilled,
    /// An ingestor is stopped in its tracks for longer than its lease.
    IngestorFrozen,
    /// The flipper that works is stopped for longer than its election.
    FlipperFrozen,
    /// The dispatcher is stopped for longer than its membership of its groups.
    DispatcherFrozen,
    /// A flipper is stopped in mid-drain until another drains the same generation, and then goes on beside it.
    TwoFlippers,
    /// SIGTERM for an ingestor with SETs in flight.
    IngestorTerminated,
    /// SIGTERM for the flipper that works while it reads a generation.
    FlipperTerminated,
    /// SIGTERM for the flippers while the removal of what is acknowledged waits.
    FlipperTerminatedBeforeRemoval,
    /// SIGTERM for the dispatcher while a partner holds its answers back.
    DispatcherTerminated,
    /// An ingestor leaves and joins every few seconds.
    RebalanceStorm,
    /// The broker is killed and started again.
    BrokerKilled,
    /// The broker answers nothing for a while.
    BrokerFrozen,
    /// The broker takes five seconds for a round trip.
    BrokerSlow,
    /// The broker takes what is produced and says nothing for longer than a delivery may take.
    ProduceTimesOut,
    /// An ingestor alone does not reach the broker, for longer than its lease.
    IngestorCutOff,
    /// A Redis master is killed and comes back empty.
    MasterKilled,
    /// A whole Redis cluster is killed and comes back empty.
    ClusterKilled,
    /// A Redis master answers nothing for ten seconds.
    MasterFrozen,
    /// A Redis master is out of memory for a while.
    MasterFull,
    /// Every connection to a Redis master is cut, again and again.
    ConnectionsCut,
    /// Every connection to both Redis clusters is cut in mid-reply, again and again.
    RepliesCut,
    /// The flipper that works, alone, does not reach one Redis cluster.
    FlipperCutOff,
    /// A partner answers 500.
    PartnerFails,
    /// A partner answers 429 with Retry-After.
    PartnerThrottles,
    /// A partner does not answer.
    PartnerTimesOut,
    /// A partner resets connections.
    PartnerResets,
    /// A partner answers a byte at a time.
    PartnerDrips,
    /// A partner answers with ten megabytes.
    PartnerTalks,
    /// The disk that the logs go to is full.
    LogDiskFull,
    /// The wall clocks of services are an hour off, each in its own direction.
    ClockOff,
    /// A Redis master loses its keys and shows no sign of it.
    KeysLost,
    /// A slot moves from one master to another while its generation is drained.
    SlotMoved,
    /// The replica of a Redis master is paused and then the master killed.
    ReplicaPaused,
    /// Every service's certificate is replaced, twice, and the one between ends.
    CertificatesRotated,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 37] = [
        Self::IngestorKilled,
        Self::FlipperKilled,
        Self::FlipperKilledBeforeRemoval,
        Self::DispatcherKilled,
        Self::IngestorFrozen,
        Self::FlipperFrozen,
        Self::DispatcherFrozen,
        Self::TwoFlippers,
        Self::IngestorTerminated,
        Self::FlipperTerminated,
        Self::FlipperTerminatedBeforeRemoval,
        Self::DispatcherTerminated,
        Self::RebalanceStorm,
        Self::BrokerKilled,
        Self::BrokerFrozen,
        Self::BrokerSlow,
        Self::ProduceTimesOut,
        Self::IngestorCutOff,
        Self::MasterKilled,
        Self::ClusterKilled,
        Self::MasterFrozen,
        Self::MasterFull,
        Self::ConnectionsCut,
        Self::RepliesCut,
        Self::FlipperCutOff,
        Self::PartnerFails,
        Self::PartnerThrottles,
        Self::PartnerTimesOut,
        Self::PartnerResets,
        Self::PartnerDrips,
        Self::PartnerTalks,
        Self::LogDiskFull,
        Self::ClockOff,
        Self::KeysLost,
        Self::SlotMoved,
        Self::ReplicaPaused,
        Self::CertificatesRotated,
    ];

    /// Its name in reports.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::IngestorKilled => "ingestor killed",
            Self::FlipperKilled => "flipper killed while reading",
            Self::FlipperKilledBeforeRemoval => "flipper killed before removal",
            Self::DispatcherKilled => "dispatcher killed in mid-POST",
            Self::IngestorFrozen => "ingestor frozen",
            Self::FlipperFrozen => "flipper frozen",
            Self::DispatcherFrozen => "dispatcher frozen",
            Self::TwoFlippers => "two flippers",
            Self::IngestorTerminated => "SIGTERM, SETs in flight",
            Self::FlipperTerminated => "SIGTERM while reading",
            Self::FlipperTerminatedBeforeRemoval => "SIGTERM before removal",
            Self::DispatcherTerminated => "SIGTERM in mid-POST",
            Self::RebalanceStorm => "rebalance storm",
            Self::BrokerKilled => "broker killed",
            Self::BrokerFrozen => "broker frozen",
            Self::BrokerSlow => "broker slow",
            Self::ProduceTimesOut => "produce times out",
            Self::IngestorCutOff => "ingestor cut off from Kafka",
            Self::MasterKilled => "Redis master killed",
            Self::ClusterKilled => "Redis cluster killed",
            Self::MasterFrozen => "Redis master frozen",
            Self::MasterFull => "Redis master full",
            Self::ConnectionsCut => "Redis connections cut",
            Self::RepliesCut => "Redis replies cut",
            Self::FlipperCutOff => "flipper cut off from a Redis cluster",
            Self::PartnerFails => "partner fails",
            Self::PartnerThrottles => "partner throttles",
            Self::PartnerTimesOut => "partner times out",
            Self::PartnerResets => "partner resets",
            Self::PartnerDrips => "partner drips",
            Self::PartnerTalks => "partner answers 10 MB",
            Self::LogDiskFull => "disk full for logs",
            Self::ClockOff => "wall clocks an hour off",
            Self::KeysLost => "Redis master lost its keys",
            Self::SlotMoved => "slot moved during the drain",
            Self::ReplicaPaused => "replica paused, master killed",
            Self::CertificatesRotated => "certificates rotated",
        }
    }
}
