//! What a partner is to the dispatcher.

use std::fmt;

use async_trait::async_trait;

use crate::error::IndexerError;
use crate::key::HostKey;

/// Changed pages of one host.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    /// Bare host, lower case, punycode.
    pub host: &'a str,
    /// The host's key.
    pub key: &'a HostKey,
    /// Canonical URLs of that host, at most 10,000, each once.
    pub urls: &'a [String],
}

/// A partner took a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its HTTP status.
    pub status: u16,
}

/// A partner that is told which pages changed.
///
/// An implementation makes one attempt and classifies what came of it; retries, limits and metrics are the
/// lane's.
#[async_trait]
pub trait Hinter: fmt::Debug + Send + Sync {
    /// The partner's name, as in metrics and topics.
    fn name(&self) -> &str;

    /// Makes one attempt. Dropping the future gives the attempt up; it may have reached the partner.
    ///
    /// # Errors
    /// What happened and what to do next.
    async fn hint(&self, submission: Submission<'_>) -> Result<Accepted, IndexerError>;
}
