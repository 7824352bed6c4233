//! Host names: lower case, punycode, of the public internet. The same function spells the hosts of zones, so the
//! two can be compared byte by byte.

use url::{Host, ParseError};

use crate::reason::Reason;

const MAX_NAME_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;

/// Last labels of names that mean another machine to each reader.
const LOCAL_SUFFIXES: [&str; 3] = ["localhost", "local", "internal"];

/// The one spelling of a host name: lower case, punycode, no trailing dot.
///
/// # Errors
/// [`Reason::IpLiteral`] for an address in any notation, [`Reason::Local`] for a name that is not of the public
/// internet, [`Reason::Host`] for what is no DNS name.
pub fn canonical_host(raw: &str) -> Result<String, Reason> {
    // The parser would decode escapes in a host; nothing is decoded here.
    if raw.contains('%') {
        return Err(Reason::Host);
    }
    match Host::parse(raw) {
        Ok(Host::Domain(mut name)) => {
            if name.ends_with('.') {
                name.pop();
            }
            check_name(&name).map(|()| name)
        }
        Ok(Host::Ipv4(_) | Host::Ipv6(_))
        | Err(ParseError::InvalidIpv4Address | ParseError::InvalidIpv6Address) => Err(Reason::IpLiteral),
        Err(_) => Err(Reason::Host),
    }
}

/// Whether `name` is a canonical host name beyond doubt. Punycode is in doubt: it may be invalid.
pub(super) fn is_plainly_canonical(name: &str) -> bool {
    check_name(name).is_ok() && !name.contains("xn--") && !ends_in_digit_label(name)
}

fn check_name(name: &str) -> Result<(), Reason> {
    if name.len() > MAX_NAME_BYTES || !name.split('.').all(is_label) {
        return Err(Reason::Host);
    }
    match name.rsplit_once('.') {
        Some((_, last)) if !LOCAL_SUFFIXES.contains(&last) => Ok(()),
        _ => Err(Reason::Local),
    }
}

/// Letters, digits, hyphens and, since names with them resolve, underscores.
fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL_BYTES).contains(&label.len())
        && label
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}

/// Such a name may be an IPv4 address in one of its notations.
fn ends_in_digit_label(name: &str) -> bool {
    name.rsplit('.')
        .next()
        .is_some_and(|last| last.starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_get_one_spelling() {
        for (raw, canonical) in [
            ("Example.COM", "example.com"),
            ("example.com.", "example.com"),
            ("Bücher.example", "xn--bcher-kva.example"),
            ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
            ("ｅｘａｍｐｌｅ．ｃｏｍ", "example.com"),
            ("my_shop.example.com", "my_shop.example.com"),
        ] {
            assert_eq!(canonical_host(raw).as_deref(), Ok(canonical), "{raw}");
        }
    }

    #[test]
    fn addresses_in_every_notation_are_recognised() {
        for raw in [
            "127.0.0.1",
            "0x7f.1",
            "2130706433",
            "[::1]",
            "[::1",
            "1.2.3.999",
            "１２７.0.0.1",
            "017700000001",
        ] {
            assert_eq!(canonical_host(raw), Err(Reason::IpLiteral), "{raw}");
        }
    }

    #[test]
    fn lengths_are_those_of_dns() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "b".repeat(61));
        assert_eq!(longest.len(), 253);
        assert!(canonical_host(&longest).is_ok());
        assert_eq!(canonical_host(&format!("{longest}b")), Err(Reason::Host));
        assert_eq!(canonical_host(&format!("{label}a.example")), Err(Reason::Host));
    }
}
