#![doc = include_str!("../README.md")]

mod answer;
mod client;
mod error;
mod hinter;
mod indexnow;
mod key;
mod registry;
mod retry_after;

pub use answer::{action, words};
pub use client::{ClientError, HttpClient};
pub use error::{Action, Failure, IndexerError};
pub use hinter::{Accepted, Hinter, Submission};
pub use indexnow::IndexNow;
#[doc(hidden)]
pub use indexnow::body;
pub use key::{HostKey, KeyError, MasterKey};
pub use registry::{INDEXNOW, KINDS, Kind, PartnerSetting, PartnerSettingError};
pub use retry_after::{LONGEST_WAIT, retry_after};

/// For the implementation of [`Hinter`]: the macro that its methods need.
pub use async_trait::async_trait;
