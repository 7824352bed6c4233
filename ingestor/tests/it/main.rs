//! Tests of the ingestor from outside.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod hostile_urls;
mod malformed_messages;
mod notation;
mod second_opinion;
mod table;
mod vectors;
