//! What must hold for every text, found by generating many.

use iri_string::types::UriStr;
use proptest::prelude::*;

use super::{CanonicalUrl, MAX_URL_BYTES, canonical_host, fast, full};
use crate::reason::Outcome;

/// Pieces of which URLs and near-URLs are made, so that most generated texts get past the first check.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-zA-Z0-9._~/?&=;%-]{1,6}",
        4 => prop::sample::select(PIECES).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ]
}

const PIECES: &[&str] = &[
    "..", "/.", "/./", "/../", "//", "%2e", "%2E%2e", "%00", "%7e", "%C3%A9", "%", "%z", "%2", "é", "ü", "'",
    "\"", "{", "}", "|", "[", "]", "^", "`", "<", ">", "#", "@", ":", ":443", ":80", "\\", "xn--", ";a=",
    ";sid=", "token=", "+", "!", "*", "&", "?", "。", "\u{200b}", "\u{85}", "0x7f.1", "local", "www.",
];

fn scheme() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["https://", "http://", "HTTPS://", "HtTp://"][..])
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[a-z]{1,8}(\\.[a-z0-9_-]{1,8}){0,2}\\.[a-z]{2,5}",
        2 => "[a-zA-Z0-9._-]{1,20}",
        1 => "(xn--)?[a-z0-9-]{1,12}\\.(com|bücher|[0-9]{1,3}|local)\\.?(:443|:80|:)?",
        1 => prop::collection::vec(piece(), 0..3).prop_map(|pieces| pieces.concat()),
    ]
}

fn url() -> impl Strategy<Value = String> {
    (
        scheme(),
        host(),
        prop::sample::select(&["", "/", "/a/b.html", "?", "#"][..]),
        prop::collection::vec(piece(), 0..8),
    )
        .prop_map(|(scheme, host, start, pieces)| [scheme, &host, start, &pieces.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn canonical_is_idempotent(raw in url()) {
        if let Ok(once) = CanonicalUrl::parse(&raw) {
            let twice = CanonicalUrl::parse(once.as_str());
            prop_assert_eq!(twice.as_ref(), Ok(&once));
            prop_assert_eq!(&full::parse(once.as_str()), &twice);
        }
    }

    #[test]
    fn the_shortcut_agrees_with_the_full_parser(raw in url()) {
        if let Some(recognised) = fast::recognise(&raw) {
            prop_assert_eq!(full::parse(&raw), Ok(recognised));
        }
    }

    #[test]
    fn no_url_can_pick_its_own_hash_tag(raw in url()) {
        if let Ok(canonical) = CanonicalUrl::parse(&raw) {
            let braces = canonical.as_str().contains(['{', '}']);
            prop_assert!(!braces);
        }
    }

    #[test]
    fn the_parts_of_a_canonical_url_are_canonical(raw in url()) {
        if let Ok(canonical) = CanonicalUrl::parse(&raw) {
            prop_assert!(canonical.as_str().len() <= MAX_URL_BYTES);
            prop_assert!(canonical.path_and_query().starts_with('/'));
            prop_assert_eq!(canonical_host(canonical.host()), Ok(canonical.host().to_owned()));
        }
    }

    #[test]
    fn every_canonical_url_matches_rfc_3986(raw in url()) {
        if let Ok(canonical) = CanonicalUrl::parse(&raw) {
            let uri = UriStr::new(canonical.as_str());
            prop_assert!(uri.is_ok(), "{}", canonical.as_str());
            prop_assert_eq!(uri.ok().and_then(|uri| uri.authority_str()), Some(canonical.host()));
        }
    }

    #[test]
    fn any_text_gets_an_answer(raw in any::<String>()) {
        if let Err(reason) = CanonicalUrl::parse(&raw) {
            prop_assert_eq!(reason.outcome(), Outcome::Rejected);
        }
    }
}
