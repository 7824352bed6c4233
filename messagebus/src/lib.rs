#![doc = include_str!("../README.md")]

pub mod admin;
pub mod args;
mod client;
pub mod clock;
pub mod config;
pub mod consumer;
pub mod credentials;
pub mod election;
mod ending;
pub mod health;
pub mod http;
mod ledger;
pub mod log;
mod memory;
pub mod metrics;
pub mod offsets;
pub mod producer;
pub mod service;
pub mod telemetry;
pub mod token;
pub mod topics;
pub mod trace;
mod trouble;

#[cfg(test)]
mod lost;

pub use args::{AdminArgs, KafkaArgs, LogArgs, TraceArgs};
pub use clock::{BootInstant, now_ms};
pub use consumer::{Consumer, ConsumerOptions, PartitionStatus, Record, RecordBatch, consume};
pub use election::{Candidate, elect};
pub use health::Health;
pub use ledger::Span;
pub use log::{Follower, LogEvent, LogRecord, follow};
pub use metrics::{BusMetrics, Registrar};
pub use producer::{Delivered, Delivery, OutRecord, ProduceError, Producer};
pub use service::Service;
pub use topics::Topics;
