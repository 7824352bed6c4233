//! What went wrong with a submission, and what to do about it.

use std::fmt;
use std::time::Duration;

/// Most bytes of a partner's words that are kept.
const DETAIL_BYTES: usize = 1_024;

/// A submission that a partner did not accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{indexer} did not accept {urls} URLs of {host}: {failure}{}", said(.detail))]
pub struct IndexerError {
    /// The partner's name.
    pub indexer: String,
    /// Whose URLs.
    pub host: String,
    /// How many.
    pub urls: usize,
    /// What happened.
    pub failure: Failure,
    /// What to do next.
    pub action: Action,
    /// The partner's words, at most 1 KiB.
    pub detail: String,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// An answer with this status, which is none of 2xx.
    Status(u16),
    /// No answer in time.
    Timeout,
    /// No connection, or it broke.
    Connect,
    /// The partner's certificate was not accepted.
    Tls,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The partner's trouble: try again, not sooner than asked.
    Retry {
        /// How long the partner asked to be left alone.
        after: Option<Duration>,
    },
    /// Too many requests from this address: slow the whole partner down, and try again.
    SlowDown {
        /// How long the partner asked to be left alone.
        after: Option<Duration>,
    },
    /// Trying again would give the same answer.
    GiveUp,
}

impl IndexerError {
    /// Cuts `detail` to what is kept.
    #[must_use]
    pub(crate) fn clip(mut detail: String) -> String {
        let end = (0..=DETAIL_BYTES.min(detail.len()))
            .rev()
            .find(|&end| detail.is_char_boundary(end));
        detail.truncate(end.unwrap_or(0));
        detail
    }
}

impl Failure {
    /// The HTTP status, 0 where there was no answer.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Status(status) => status,
            Self::Timeout | Self::Connect | Self::Tls => 0,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Connect => f.write_str("no connection"),
            Self::Tls => f.write_str("its certificate is not accepted"),
        }
    }
}

/// An error and its causes in one sentence.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn said(detail: &str) -> String {
    if detail.is_empty() {
        String::new()
    } else {
        format!(" ({detail})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_answer_is_cut_at_a_character() {
        assert_eq!(IndexerError::clip("ä".repeat(600)).len(), DETAIL_BYTES);
        assert_eq!(
            IndexerError::clip(format!("a{}", "ä".repeat(600))).len(),
            DETAIL_BYTES - 1
        );
        assert_eq!(IndexerError::clip("short".to_owned()), "short");
    }

    #[test]
    fn the_message_names_the_indexer_the_host_and_its_words() {
        let error = IndexerError {
            indexer: "bing".to_owned(),
            host: "a.example".to_owned(),
            urls: 3,
            failure: Failure::Status(503),
            action: Action::Retry { after: None },
            detail: "busy".to_owned(),
        };
        assert_eq!(
            error.to_string(),
            "bing did not accept 3 URLs of a.example: status 503 (busy)"
        );
    }
}
