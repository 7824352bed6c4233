//! Takes any text to its canonical URL, or to the reason why it has none.
//!
//! What a URL parser would silently repair is looked for in the raw text first: two parsers that repair it
//! differently would see two URLs.

use std::borrow::Cow;

use super::encode::{self, Part};
use super::{CanonicalUrl, MAX_URL_BYTES, host, path, secret};
use crate::reason::Reason;

/// The canonical URL for `raw`.
pub(super) fn parse(raw: &str) -> Result<CanonicalUrl<'static>, Reason> {
    check_raw(raw)?;
    let (https, rest) = split_scheme(raw).ok_or(Reason::Scheme)?;
    let (before_fragment, _) = rest.split_once('#').unwrap_or((rest, ""));
    let (authority, path_and_query) = split_authority(before_fragment);
    let name = host::canonical_host(strip_port(authority, https)?)?;
    if path_and_query.contains("%00") {
        return Err(Reason::Percent);
    }

    let mut text = String::with_capacity(raw.len() + 16);
    text.push_str(if https { "https://" } else { "http://" });
    text.push_str(&name);
    let path_start = text.len();
    append_path_and_query(&mut text, path_and_query)?;
    if text.len() > MAX_URL_BYTES {
        return Err(Reason::TooLong);
    }
    Ok(CanonicalUrl {
        text: Cow::Owned(text),
        https,
        path_start,
    })
}

fn check_raw(raw: &str) -> Result<(), Reason> {
    if raw.is_empty() {
        return Err(Reason::Empty);
    }
    if raw.len() > MAX_URL_BYTES {
        return Err(Reason::TooLong);
    }
    if raw.chars().any(|char| char == ' ' || char.is_control()) {
        return Err(Reason::ControlChars);
    }
    if raw.contains('\\') {
        return Err(Reason::Backslash);
    }
    Ok(())
}

/// Whether the scheme is https, and what follows a literal `http://` or `https://` in any case.
fn split_scheme(raw: &str) -> Option<(bool, &str)> {
    let (scheme, rest) = raw.split_once("://")?;
    match scheme {
        _ if scheme.eq_ignore_ascii_case("https") => Some((true, rest)),
        _ if scheme.eq_ignore_ascii_case("http") => Some((false, rest)),
        _ => None,
    }
}

fn split_authority(rest: &str) -> (&str, &str) {
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    rest.split_at_checked(end).unwrap_or((rest, ""))
}

/// The host of an authority that names no user, and no port but its scheme's.
fn strip_port(authority: &str, https: bool) -> Result<&str, Reason> {
    if authority.contains('@') {
        return Err(Reason::Userinfo);
    }
    // The colons of an IPv6 address stand before its bracket.
    let end = match authority.find(']') {
        Some(bracket) => bracket + 1,
        None if authority.starts_with('[') => authority.len(),
        None => authority.rfind(':').unwrap_or(authority.len()),
    };
    let (name, after) = authority.split_at_checked(end).ok_or(Reason::Host)?;
    let Some(port) = after.strip_prefix(':') else {
        return if after.is_empty() {
            Ok(name)
        } else {
            Err(Reason::Host)
        };
    };
    let usual = if https { 443 } else { 80 };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    if port.is_empty() || (digits && port.parse() == Ok(usual)) {
        Ok(name)
    } else {
        Err(Reason::Port)
    }
}

/// Appends path and query, each with what its grammar lacks encoded.
fn append_path_and_query(text: &mut String, raw: &str) -> Result<(), Reason> {
    let (raw_path, raw_query) = match raw.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (raw, None),
    };
    let path_start = text.len();
    path::append(text, raw_path);
    if secret::in_path(text.get(path_start..).unwrap_or_default()) {
        return Err(Reason::Secret);
    }
    if let Some(query) = raw_query {
        text.push('?');
        let query_start = text.len();
        encode::append(text, query, Part::Query);
        if secret::in_query(text.get(query_start..).unwrap_or_default()) {
            return Err(Reason::Secret);
        }
    }
    Ok(())
}
