//! Why a message is refused.

/// A payload that is not the message its topic promises.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// Refused before parsing.
    #[error("{bytes} bytes are more than the {limit} a message may have")]
    TooLarge {
        /// The payload's size.
        bytes: usize,
        /// The most that is parsed.
        limit: usize,
    },
    /// A record of a schema that this build does not know.
    #[error("schema version {0} is unknown, expected 1")]
    SchemaVersion(u16),
    /// No payload, or no URL in it.
    #[error("the message is empty")]
    Empty,
    /// Not a well-formed message: the parser's words.
    #[error("not a well-formed message: {0}")]
    Decode(String),
}

impl Malformed {
    /// The reason under which it is counted.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::SchemaVersion(_) => "schema_version",
            Self::Empty => "empty",
            Self::Decode(_) => "decode",
        }
    }
}

impl From<capnp::Error> for Malformed {
    fn from(error: capnp::Error) -> Self {
        Self::Decode(error.to_string())
    }
}

impl From<capnp::NotInSchema> for Malformed {
    fn from(error: capnp::NotInSchema) -> Self {
        Self::Decode(error.to_string())
    }
}

impl From<std::str::Utf8Error> for Malformed {
    fn from(error: std::str::Utf8Error) -> Self {
        Self::Decode(error.to_string())
    }
}
