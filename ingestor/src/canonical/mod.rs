//! One spelling for each URL, or the reason why there is none.
//!
//! The same page must be the same key in Redis however the edge spelt its URL, and what is sent to a search
//! engine must match the grammar of RFC 3986. Most URLs arrive canonical already: `fast` recognises those in
//! one pass and borrows them. Everything it does not recognise goes through `full`, which alone decides; a
//! property test holds the two together. Canonicalising a canonical URL changes nothing.
//!
//! Nothing is decoded: `%7e` becomes `%7E`, never `~`, because an origin may tell the two apart.

mod encode;
mod fast;
mod full;
mod host;
mod path;
mod secret;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use generations::CanonicalParts;

pub use host::canonical_host;

use crate::reason::Reason;

/// The longest URL, in bytes, both as it comes and as it is sent on.
pub const MAX_URL_BYTES: usize = 2048;

/// A URL in its one spelling. Borrows its text where the URL came in that spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalUrl<'a> {
    text: Cow<'a, str>,
    https: bool,
    /// Where the host ends and the path starts.
    path_start: usize,
}

impl<'a> CanonicalUrl<'a> {
    /// The canonical spelling of `raw`.
    ///
    /// # Errors
    /// The reason to reject a URL that has none.
    pub fn parse(raw: &'a str) -> Result<Self, Reason> {
        match fast::recognise(raw) {
            Some(canonical) => Ok(canonical),
            None => full::parse(raw),
        }
    }

    /// The same URL with a text of its own.
    #[must_use]
    pub fn into_owned(self) -> CanonicalUrl<'static> {
        CanonicalUrl {
            text: Cow::Owned(self.text.into_owned()),
            ..self
        }
    }

    /// The whole URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Lower-case host name, punycode where it is international.
    #[must_use]
    pub fn host(&self) -> &str {
        self.text
            .get(self.host_start()..self.path_start)
            .unwrap_or_default()
    }

    /// Path and query; starts with `/`.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        self.text.get(self.path_start..).unwrap_or_default()
    }

    /// The parts that a key name is made of.
    #[must_use]
    pub fn parts(&self) -> CanonicalParts<'_> {
        CanonicalParts {
            https: self.https,
            host: self.host(),
            path_and_query: self.path_and_query(),
        }
    }

    fn host_start(&self) -> usize {
        if self.https {
            "https://".len()
        } else {
            "http://".len()
        }
    }
}
