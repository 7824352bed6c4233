//! Key names: `<generation in base 36>:{<host>}<s or p><path?query>`, with `{<host>#<k>}` where the zone asked
//! for `spread`.
//!
//! The generation in the name is what keeps a late SET from being mistaken for, or deleted with, a newer hint.
//! Reading is strict: a name that this module would not have written is not parsed, so a parsed name always
//! encodes to the same bytes again.

use memchr::memchr2_iter;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// Most shards a host can be spread over.
pub const MAX_SPREAD: u16 = 64;

/// A canonical URL in the parts that a key name is made of. No part holds `{` or `}`: the canonicaliser
/// percent-encodes them, so no URL picks its own slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CanonicalParts<'a> {
    /// `https` rather than `http`.
    pub https: bool,
    /// Lower-case host, without a port.
    pub host: &'a str,
    /// Path and query; starts with `/`.
    pub path_and_query: &'a str,
}

/// A key name, read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    /// Generation it was written under.
    pub generation: u64,
    /// Bare host.
    pub host: &'a str,
    /// Which of the host's shards, where its zone asked for `spread`.
    pub shard: Option<u16>,
    /// `https` rather than `http`.
    pub https: bool,
    /// Path and query.
    pub path_and_query: &'a str,
}

/// Appends the name of a URL under generation `g`. `spread` of 0 or 1 is none; more than [`MAX_SPREAD`] counts
/// as that.
///
/// The shard follows from path and query together, so that a host that serves everything from one path is
/// spread as well.
pub fn encode_name(out: &mut Vec<u8>, g: u64, canonical: CanonicalParts<'_>, spread: u16) {
    let shard = (spread > 1).then(|| {
        let hash = xxh3_64(canonical.path_and_query.as_bytes()) % u64::from(spread.min(MAX_SPREAD));
        u16::try_from(hash).unwrap_or(0)
    });
    let CanonicalParts {
        https,
        host,
        path_and_query,
    } = canonical;
    Name {
        generation: g,
        host,
        shard,
        https,
        path_and_query,
    }
    .encode(out);
}

/// What the names of generation `g`, and of no other, start with.
#[must_use]
pub fn name_prefix(g: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_prefix(&mut out, g);
    out
}

/// 128-bit hash of a name. The books sum it with `wrapping_add`.
#[must_use]
pub fn name_hash(name: &[u8]) -> u128 {
    xxh3_128(name)
}

impl<'a> Name<'a> {
    /// Appends the name's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_prefix(out, self.generation);
        out.extend_from_slice(self.host.as_bytes());
        if let Some(shard) = self.shard {
            out.push(b'#');
            put_number(out, u64::from(shard), 10);
        }
        out.extend_from_slice(if self.https { b"}s" } else { b"}p" });
        out.extend_from_slice(self.path_and_query.as_bytes());
    }

    /// Reads a name; `None` for a name that [`encode_name`] did not write.
    #[must_use]
    pub fn parse(name: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(name).ok()?;
        let mut braces = memchr2_iter(b'{', b'}', name);
        let (open, close) = (braces.next()?, braces.next()?);
        if braces.next().is_some() {
            return None;
        }
        let generation = text.get(..open)?.strip_suffix(':')?;
        let tag = text.get(open..close)?.strip_prefix('{')?;
        let rest = text.get(close..)?.strip_prefix('}')?;
        let (host, shard) = match tag.split_once('#') {
            Some((host, shard)) => (host, Some(parse_shard(shard)?)),
            None => (tag, None),
        };
        let (https, path_and_query) = match rest.strip_prefix('s') {
            Some(path_and_query) => (true, path_and_query),
            None => (false, rest.strip_prefix('p')?),
        };
        if host.is_empty() || !path_and_query.starts_with('/') {
            return None;
        }
        Some(Self {
            generation: parse_number(generation, 36)?,
            host,
            shard,
            https,
            path_and_query,
        })
    }

    /// The URL it stands for.
    #[must_use]
    pub fn url(&self) -> String {
        [self.scheme(), self.host, self.path_and_query].concat()
    }

    /// Bytes of that URL.
    #[must_use]
    pub fn url_len(&self) -> usize {
        self.scheme().len() + self.host.len() + self.path_and_query.len()
    }

    fn scheme(&self) -> &'static str {
        if self.https { "https://" } else { "http://" }
    }
}

fn put_prefix(out: &mut Vec<u8>, g: u64) {
    put_number(out, g, 36);
    out.extend_from_slice(b":{");
}

fn parse_shard(text: &str) -> Option<u16> {
    let shard = u16::try_from(parse_number(text, 10)?).ok()?;
    (shard < MAX_SPREAD).then_some(shard)
}

/// Reads what [`put_number`] writes and nothing else: no sign, no leading zero, lower case.
fn parse_number(text: &str, radix: u32) -> Option<u64> {
    let digits = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    let canonical = digits && (text == "0" || !text.starts_with('0'));
    u64::from_str_radix(text, radix).ok().filter(|_| canonical)
}

fn put_number(out: &mut Vec<u8>, number: u64, radix: u64) {
    let start = out.len();
    let mut rest = number;
    loop {
        let digit = u8::try_from(rest % radix).unwrap_or(0);
        out.push(if digit < 10 {
            b'0' + digit
        } else {
            b'a' + digit - 10
        });
        rest /= radix;
        if rest == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
