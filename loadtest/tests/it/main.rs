//! The whole pipeline, as real processes, with real Kafka and Redis, under faults. Each test ends with the books.
#![expect(clippy::unwrap_used, reason = "tests")]

mod audit;
mod bench;
mod catching_up;
mod certificates;
mod consuming;
mod degraded;
mod doors;
mod exported;
mod faults;
mod full_disk;
mod logs;
mod memory;
mod partners;
mod passwords;
mod pipeline;
mod readiness;
mod rejecting;
mod settings;
mod support;
mod traces;
