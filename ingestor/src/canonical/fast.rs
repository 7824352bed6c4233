//! Recognises a URL that is canonical already, in one pass and without a copy.
//!
//! It says yes or "not sure", never no: what is rejected, and why, is decided in [`super::full`] alone.

use std::borrow::Cow;

use super::encode::{Part, Scan};
use super::{CanonicalUrl, MAX_URL_BYTES, host, secret};

/// `raw` itself where it is certainly canonical; `None` where the full parser has to look.
pub(super) fn recognise(raw: &str) -> Option<CanonicalUrl<'_>> {
    if raw.len() > MAX_URL_BYTES {
        return None;
    }
    let (https, rest) = match raw.strip_prefix("https://") {
        Some(rest) => (true, rest),
        None => (false, raw.strip_prefix("http://")?),
    };
    let (name, path_and_query) = rest.split_at_checked(rest.find('/')?)?;
    if !host::is_plainly_canonical(name) || !is_canonical_path_and_query(path_and_query) {
        return None;
    }
    let path_start = raw.len() - path_and_query.len();
    Some(CanonicalUrl {
        text: Cow::Borrowed(raw),
        https,
        path_start,
    })
}

fn is_canonical_path_and_query(text: &str) -> bool {
    match text.split_once('?') {
        Some((path, query)) => is_canonical_path(path) && is_canonical_query(query),
        None => is_canonical_path(text),
    }
}

fn is_canonical_path(path: &str) -> bool {
    let scan = Scan::of(path);
    scan.fits(Part::Path)
        && !(scan.has_dot() && path.contains("/."))
        && (!scan.has_percent() || escapes_are_canonical(path))
        && !(scan.has_semicolon() && secret::in_path(path))
}

fn is_canonical_query(query: &str) -> bool {
    let scan = Scan::of(query);
    scan.fits(Part::Query)
        && (!scan.has_percent() || escapes_are_canonical(query))
        && !secret::in_query(query)
}

/// Whether every `%` starts an escape with upper-case digits that is neither NUL nor a dot, which could make a
/// dot segment.
fn escapes_are_canonical(text: &str) -> bool {
    let upper_hex = |digit: u8| digit.is_ascii_digit() || (b'A'..=b'F').contains(&digit);
    text.split('%').skip(1).all(|after| match after.as_bytes() {
        [b'0', b'0', ..] | [b'2', b'E', ..] => false,
        [high, low, ..] => upper_hex(*high) && upper_hex(*low),
        _ => false,
    })
}
