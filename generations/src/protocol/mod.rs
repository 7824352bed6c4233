//! The flip protocol as pure state machines: `step(now, event)` in, effects out, no clock and no client.
//!
//! [`Writer`] is what an ingestor follows, [`Flipper`] what the flipper follows; both fold the same log of
//! [`GenerationEvent`](hint_schema::generation_event::GenerationEvent)s, in its order, and nothing else tells
//! them about each other. The invariants I1 to I8 are named where the code keeps them; ARCHITECTURE.md has
//! the list.

mod admission;
pub mod books;
pub mod coverage;
pub mod flipper;
pub mod history;
pub mod lease;
pub mod replays;
mod roster;
pub mod writer;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use books::{BooksPolicy, DrainReport};
pub use coverage::Coverage;
pub use flipper::{ClusterView, Flipper, FlipperEffect, FlipperEvent, FlipperSettings, Trigger};
pub use history::History;
pub use replays::Replays;
pub use writer::{BatchTag, Writer, WriterEffect, WriterEvent};

/// How long a lease lasts from the moment its heartbeat was sent: T of the protocol.
pub const LEASE: Duration = Duration::from_secs(10);

/// How often a writer sends a heartbeat: T/5, so that four may be lost before a lease lapses.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(2);

/// How long after reading `Opened(g+1)` a flipper believes that every lease for g has lapsed: T and two
/// seconds for clocks that do not run at quite the same rate.
pub const BARRIER_BY_TIME: Duration = Duration::from_secs(12);

/// How long the owner of any slot must have been silent before its cluster counts as unreachable: 2T.
pub const UNREACHABLE_AFTER: Duration = Duration::from_secs(20);
