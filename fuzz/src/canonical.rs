//! A text through the canonicaliser.

use generations::{MAX_SPREAD, Name, encode_name, slot_of_host, slot_of_name};
use ingestor::canonical::{CanonicalUrl, MAX_URL_BYTES, canonical_host};
use ingestor::reason::{Outcome, Reason};
use iri_string::types::UriStr;
use url::Url;

/// Names that no parameter of a URL that goes on may have, beside those that start with a cloud's prefix.
const SECRET_NAMES: &str = " token access_token id_token refresh_token auth auth_token authorization api_key \
    apikey jwt sig signature session sessionid session_id sid phpsessid jsessionid password passwd pwd secret \
    client_secret otp reset_token ";

/// A text has one canonical spelling or a reason to be rejected, whichever way it is found.
pub fn check(input: &[u8]) {
    let Ok(raw) = std::str::from_utf8(input) else {
        return;
    };
    let verdict = CanonicalUrl::parse(raw);
    if let Some(slowly) = without_the_shortcut(raw) {
        assert_eq!(verdict, slowly, "the shortcut and the full parser disagree");
    }
    match verdict {
        Ok(canonical) => holds(&canonical),
        Err(reason) => assert_eq!(reason.outcome(), Outcome::Rejected),
    }
}

/// The shortcut knows lower-case schemes only, and a scheme's case changes nothing else.
fn without_the_shortcut(raw: &str) -> Option<Result<CanonicalUrl<'static>, Reason>> {
    let shouted = match raw.strip_prefix("https://") {
        Some(rest) => ["HTTPS://", rest].concat(),
        None => ["HTTP://", raw.strip_prefix("http://")?].concat(),
    };
    Some(CanonicalUrl::parse(&shouted).map(CanonicalUrl::into_owned))
}

/// What must hold for every canonical URL.
pub fn holds(canonical: &CanonicalUrl<'_>) {
    let text = canonical.as_str();
    assert!(text.len() <= MAX_URL_BYTES);
    assert_eq!(
        CanonicalUrl::parse(text).as_ref(),
        Ok(canonical),
        "not idempotent"
    );
    assert_eq!(canonical_host(canonical.host()).as_deref(), Ok(canonical.host()));

    let uri = UriStr::new(text).expect("the grammar of RFC 3986");
    assert_eq!(uri.authority_str(), Some(canonical.host()));
    assert!(uri.fragment().is_none() && !text.contains("%00"));

    let browsers = Url::parse(text).expect("a URL to browsers");
    assert_eq!(browsers.host_str(), Some(canonical.host()));
    assert_eq!(
        browsers.path(),
        uri.path_str(),
        "a browser would ask for another path"
    );
    for (name, _) in browsers.query_pairs() {
        carries_no_secret(&name);
    }
    a_key_gives_it_back(canonical);
}

fn carries_no_secret(name: &str) {
    let name = name.to_ascii_lowercase();
    assert!(!SECRET_NAMES.contains(&format!(" {name} ")), "a secret passes");
    assert!(
        !name.starts_with("x-amz-") && !name.starts_with("x-goog-"),
        "a secret passes"
    );
}

/// The name in Redis stands for this URL alone, and is in the slot of its host unless the host is spread.
fn a_key_gives_it_back(canonical: &CanonicalUrl<'_>) {
    for spread in [0, 1, MAX_SPREAD] {
        let mut name = Vec::new();
        encode_name(&mut name, 35, canonical.parts(), spread);
        let read = Name::parse(&name).expect("a name as it is encoded");
        assert_eq!((read.generation, read.url().as_str()), (35, canonical.as_str()));
        if spread <= 1 {
            assert_eq!(slot_of_name(&name), slot_of_host(canonical.host()));
        }
    }
}
