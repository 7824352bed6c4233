//! Metrics: families whose label count the compiler checks, and those that every service on the bus exports.

mod bus;
mod certificates;
mod family;
mod group;
mod names;
mod topic;

pub use bus::BusMetrics;
pub use certificates::CertificateEnd;
pub use family::{CounterFamily, Described, GaugeFamily, HistogramFamily, Registrar};
pub use group::{ConsumerError, GroupMetrics};
pub use names::{Check, Peer, ProduceFailure, RebalanceKind, Stage};
pub(crate) use topic::TopicMetrics;
