//! Why a record went no further: the closed set of reasons, each with the outcome it stands for.
//!
//! A reason is a label of `crawlerhints_ingestor_records_total` and a header of a rejected record, so a new
//! variant is also a new row in the README's table.

use hint_schema::Malformed;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Valid and wanted.
    Accepted,
    /// Malformed or not allowed: a copy goes to the `rejected` topic.
    Rejected,
    /// Well-formed and not wanted: counted, nothing else.
    Filtered,
    /// Let go without being judged to its end; Kafka delivers it again.
    Dropped,
}

/// Why a record was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The payload is no `CacheMiss` message.
    Decode,
    /// The payload is over 64 KiB.
    TooLarge,
    /// The message's schema version is one that this build does not know.
    SchemaVersion,
    /// No payload, or no URL in it.
    Empty,
    /// The URL, as it came or as it would be sent on, is over 2,048 bytes.
    TooLong,
    /// The URL does not start with a literal `http://` or `https://`.
    Scheme,
    /// The URL names a user.
    Userinfo,
    /// The URL holds a space, a control character or a delete.
    ControlChars,
    /// The URL holds a backslash, which parsers disagree about.
    Backslash,
    /// The URL's host is no DNS name.
    Host,
    /// The URL names another port than its scheme's.
    Port,
    /// The URL's host is an address.
    IpLiteral,
    /// The URL's host is not of the public internet.
    Local,
    /// The URL holds an encoded NUL.
    Percent,
    /// The URL has a parameter that is known to carry a credential.
    Secret,
    /// The URL's host is none of the zone's.
    ForeignHost,
    /// The zone is unknown or has opted out.
    NotOptedIn,
    /// The page asks not to be indexed.
    Noindex,
    /// The cache status says that nothing changed, or nothing is cacheable.
    CacheStatus,
    /// The origin's answer says nothing about the page.
    OriginStatus,
    /// The content is no page.
    ContentType,
    /// The writer's lease ran out before the record's answer counted.
    Lease,
    /// The record's partition moved to another process.
    Revoked,
}

impl Outcome {
    /// The word for it in metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Filtered => "filtered",
            Self::Dropped => "dropped",
        }
    }
}

impl Reason {
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Every reason, in the order of its declaration.
    pub const ALL: [Self; 23] = [
        Self::Decode,
        Self::TooLarge,
        Self::SchemaVersion,
        Self::Empty,
        Self::TooLong,
        Self::Scheme,
        Self::Userinfo,
        Self::ControlChars,
        Self::Backslash,
        Self::Host,
        Self::Port,
        Self::IpLiteral,
        Self::Local,
        Self::Percent,
        Self::Secret,
        Self::ForeignHost,
        Self::NotOptedIn,
        Self::Noindex,
        Self::CacheStatus,
        Self::OriginStatus,
        Self::ContentType,
        Self::Lease,
        Self::Revoked,
    ];

    /// The word for it in metrics and in the headers of a rejected record.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::TooLarge => "too_large",
            Self::SchemaVersion => "schema_version",
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::Scheme => "scheme",
            Self::Userinfo => "userinfo",
            Self::ControlChars => "control_chars",
            Self::Backslash => "backslash",
            Self::Host => "host",
            Self::Port => "port",
            Self::IpLiteral => "ip_literal",
            Self::Local => "local",
            Self::Percent => "percent",
            Self::Secret => "secret",
            Self::ForeignHost => "foreign_host",
            Self::NotOptedIn => "not_opted_in",
            Self::Noindex => "noindex",
            Self::CacheStatus => "cache_status",
            Self::OriginStatus => "origin_status",
            Self::ContentType => "content_type",
            Self::Lease => "lease",
            Self::Revoked => "revoked",
        }
    }

    /// What becomes of a record with this reason.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Decode
            | Self::TooLarge
            | Self::SchemaVersion
            | Self::Empty
            | Self::TooLong
            | Self::Scheme
            | Self::Userinfo
            | Self::ControlChars
            | Self::Backslash
            | Self::Host
            | Self::Port
            | Self::IpLiteral
            | Self::Local
            | Self::Percent
            | Self::Secret
            | Self::ForeignHost => Outcome::Rejected,
            Self::NotOptedIn | Self::Noindex | Self::CacheStatus | Self::OriginStatus | Self::ContentType => {
                Outcome::Filtered
            }
            Self::Lease | Self::Revoked => Outcome::Dropped,
        }
    }

    /// Its place in [`Self::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

impl From<Malformed> for Reason {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::TooLarge { .. } => Self::TooLarge,
            Malformed::SchemaVersion(_) => Self::SchemaVersion,
            Malformed::Empty => Self::Empty,
            Malformed::Decode(_) => Self::Decode,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_at_its_own_index_with_its_own_label() {
        let mut labels = std::collections::HashSet::new();
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), index);
            assert!(labels.insert(reason.label()));
        }
    }

    #[test]
    fn only_these_outcomes_have_reasons() {
        let count = |outcome| {
            Reason::ALL
                .iter()
                .filter(|reason| reason.outcome() == outcome)
                .count()
        };
        assert_eq!(count(Outcome::Accepted), 0);
        assert_eq!(count(Outcome::Rejected), 16);
        assert_eq!(count(Outcome::Filtered), 5);
        assert_eq!(count(Outcome::Dropped), 2);
    }
}
