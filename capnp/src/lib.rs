#![doc = include_str!("../README.md")]

pub mod cache_miss;
pub mod generation_event;
mod hint_batch;
mod malformed;
mod message;
mod outcome;
mod zone;

pub use hint_batch::{BatchId, HintBatch, HostHints};
pub use malformed::Malformed;
pub use outcome::{Receipt, Undeliverable};
pub use zone::{Zone, ZoneHost};

#[expect(
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    reason = "written by the schema compiler"
)]
mod generated {
    #[rustfmt::skip]
    pub mod cache_miss_capnp;
    #[rustfmt::skip]
    pub mod generation_event_capnp;
    #[rustfmt::skip]
    pub mod hint_batch_capnp;
    #[rustfmt::skip]
    pub mod zone_capnp;
}
