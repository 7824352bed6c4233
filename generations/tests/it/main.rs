//! The writer and the drain against real Redis clusters.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod draining;
mod faults;
mod migration;
mod redis_cluster;
mod slots;
mod support;
mod writing;
