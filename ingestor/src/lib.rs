//! Placeholder.

pub mod canonical;
pub mod reason;
