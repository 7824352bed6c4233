//! What an independent parser (Ada, the one of Node.js) makes of a URL, held against what we make of it.
//!
//! The two are meant to differ: Ada repairs as browsers do, we refuse what would need repair and send on what
//! RFC 3986 allows. Every difference has to be of a class below, each with the reason for it and with a test
//! that the class does explain it; any other is a defect of one of the two.

use ada_url::{HostType, Idna, Url};
use ingestor::canonical::{CanonicalUrl, MAX_URL_BYTES};
use ingestor::reason::Reason;

use crate::vectors::no_names;

/// The policy's names of parameters.
const SECRETS: [&str; 25] = [
    "token",
    "access_token",
    "id_token",
    "refresh_token",
    "auth",
    "auth_token",
    "authorization",
    "api_key",
    "apikey",
    "jwt",
    "sig",
    "signature",
    "session",
    "sessionid",
    "session_id",
    "sid",
    "phpsessid",
    "jsessionid",
    "password",
    "passwd",
    "pwd",
    "secret",
    "client_secret",
    "otp",
    "reset_token",
];

/// How the two parsers differ on a text, by class; nothing where they agree.
pub(crate) type Classes = Vec<&'static str>;

/// A class of URLs that we refuse and Ada reads.
struct Refusal {
    reason: Reason,
    /// Why we refuse them.
    class: &'static str,
    /// Whether Ada's view of the URL confirms it.
    explains: fn(raw: &str, seen: &Url) -> bool,
}

const REFUSALS: &[Refusal] = &[
    Refusal {
        reason: Reason::Scheme,
        class: "refused: repaired to a web page's URL, or of another protocol; hints are of web pages",
        explains: |raw, _| after_scheme(raw).is_none(),
    },
    Refusal {
        reason: Reason::Userinfo,
        class: "refused: a user, even one without a name, must not reach third parties",
        explains: |raw, _| authority(raw).contains('@'),
    },
    Refusal {
        reason: Reason::ControlChars,
        class: "refused: spaces and controls, which browsers drop or encode",
        explains: |raw, _| raw.contains(|char: char| char <= ' ' || char.is_control()),
    },
    Refusal {
        reason: Reason::Backslash,
        class: "refused: a backslash, which browsers turn into a slash",
        explains: |raw, _| raw.contains('\\'),
    },
    Refusal {
        reason: Reason::Port,
        class: "refused: another port than the scheme's; keys and IndexNow know hosts only",
        explains: |_, seen| !seen.port().is_empty(),
    },
    Refusal {
        reason: Reason::IpLiteral,
        class: "refused: an address, which belongs to no zone",
        explains: |_, seen| seen.host_type() != HostType::Domain,
    },
    Refusal {
        reason: Reason::Local,
        class: "refused: a name that is not of the public internet",
        explains: |_, seen| {
            let name = name_of(seen);
            name.rsplit_once('.')
                .is_none_or(|(_, last)| matches!(last, "localhost" | "local" | "internal"))
        },
    },
    Refusal {
        reason: Reason::Host,
        class: "refused: a host that browsers would repair, or that DNS does not know",
        explains: |raw, seen| {
            authority(raw).is_empty() || authority(raw).contains('%') || !is_dns_name(name_of(seen))
        },
    },
    Refusal {
        reason: Reason::Host,
        class: "refused: a name that UTS #46 does not allow, although Ada reads it",
        explains: |raw, seen| decodes_to_no_label(seen) || no_names().contains(authority(raw)),
    },
    Refusal {
        reason: Reason::Secret,
        class: "refused: a parameter that carries a credential",
        explains: |_, seen| has_secret(&format!("{}{}", seen.pathname(), seen.search())),
    },
    Refusal {
        reason: Reason::Percent,
        class: "refused: an encoded NUL, at which some servers end the path",
        explains: |raw, _| raw.contains("%00"),
    },
    Refusal {
        reason: Reason::TooLong,
        class: "refused: longer than a URL may be",
        explains: |raw, seen| raw.len() > MAX_URL_BYTES || encoded(seen.href()).len() > MAX_URL_BYTES,
    },
];

/// The class of URLs that we read and Ada refuses.
const UNASSIGNED: &str = "accepted: a host with a character of plane 3 that Unicode 16.0 has not assigned; crate \
    `idna` lets it through, and the name has to be one of the zone's all the same";

/// A step from Ada's spelling to ours.
struct Respelling {
    /// Why our spelling is another.
    class: &'static str,
    respell: fn(&str) -> String,
}

const RESPELLINGS: &[Respelling] = &[
    Respelling {
        class: "respelt: without its fragment, which no server sees",
        respell: |href| href.split('#').next().unwrap_or_default().to_owned(),
    },
    Respelling {
        class: "respelt: without the dot behind its host, so that one page has one URL",
        respell: |href| match href.split_once("./") {
            Some((host, path)) if !host.trim_start_matches("https://").contains(['/', '?']) => {
                [host, path].join("/")
            }
            _ => href.to_owned(),
        },
    },
    Respelling {
        class: "respelt: escapes in upper case, as RFC 3986, 6.2.2.1 prefers",
        respell: upper_case_escapes,
    },
    Respelling {
        class: "respelt: what the grammar of RFC 3986 lacks is encoded, also a % that starts no escape",
        respell: encoded,
    },
];

/// The classes of which the difference between the two is, and an error where no class explains it.
pub(crate) fn compare(raw: &str) -> Result<Classes, String> {
    let ours = CanonicalUrl::parse(raw);
    let theirs = Url::parse(raw, None).ok();
    match (ours, theirs) {
        (Err(_), None) => Ok(Vec::new()),
        (Ok(_), None) if authority(raw).contains(|char| ('\u{323b0}'..='\u{3fffd}').contains(&char)) => {
            Ok(vec![UNASSIGNED])
        }
        (Ok(ours), None) => Err(format!("{raw:?}: Ada refuses what we take for {}", ours.as_str())),
        (Err(reason), Some(seen)) => refused(raw, reason, &seen).map(|class| vec![class]),
        (Ok(ours), Some(seen)) => respelt(raw, ours.as_str(), seen.href()),
    }
}

/// Every class there is.
pub(crate) fn classes() -> impl Iterator<Item = &'static str> {
    let refusals = REFUSALS.iter().map(|refusal| refusal.class);
    let respellings = RESPELLINGS.iter().map(|respelling| respelling.class);
    refusals.chain(respellings).chain([UNASSIGNED])
}

fn refused(raw: &str, reason: Reason, seen: &Url) -> Result<&'static str, String> {
    let mut of_reason = REFUSALS.iter().filter(|refusal| refusal.reason == reason);
    of_reason
        .find(|refusal| (refusal.explains)(raw, seen))
        .map(|refusal| refusal.class)
        .ok_or_else(|| format!("{raw:?}: refused for {reason:?}, Ada reads {}", seen.href()))
}

fn respelt(raw: &str, ours: &str, href: &str) -> Result<Classes, String> {
    let mut classes = Vec::new();
    let mut text = href.to_owned();
    for respelling in RESPELLINGS {
        let next = (respelling.respell)(&text);
        if next != text {
            classes.push(respelling.class);
        }
        text = next;
    }
    if text == ours {
        Ok(classes)
    } else {
        Err(format!("{raw:?}: ours {ours}, Ada's {href}, respelt {text}"))
    }
}

fn after_scheme(raw: &str) -> Option<&str> {
    let (scheme, rest) = raw.split_once("://")?;
    matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https").then_some(rest)
}

fn authority(raw: &str) -> &str {
    let rest = after_scheme(raw).unwrap_or(raw);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

fn name_of(seen: &Url) -> &str {
    seen.hostname().strip_suffix('.').unwrap_or(seen.hostname())
}

fn is_dns_name(name: &str) -> bool {
    let allowed =
        |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || matches!(char, '-' | '_');
    name.len() <= 253
        && name
            .split('.')
            .all(|label| (1..=63).contains(&label.len()) && label.chars().all(allowed))
}

/// Ada lets any ASCII through in a host; its decoder of punycode leaves alone what is no valid label.
fn decodes_to_no_label(seen: &Url) -> bool {
    let mut labels = name_of(seen).split('.').filter(|label| label.starts_with("xn--"));
    labels.any(|label| Idna::unicode(label).starts_with("xn--"))
}

fn has_secret(text: &str) -> bool {
    let text = percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .to_ascii_lowercase();
    let mut words = text.split(|char: char| !(char.is_ascii_alphanumeric() || "_-".contains(char)));
    words.any(|word| SECRETS.contains(&word) || word.starts_with("x-amz-") || word.starts_with("x-goog-"))
}

fn upper_case_escapes(text: &str) -> String {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push('%');
        match part.split_at_checked(2) {
            Some((digits, rest)) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                out.push_str(&digits.to_ascii_uppercase());
                out.push_str(rest);
            }
            _ => out.push_str(part),
        }
    }
    out
}

/// Encodes what is neither reserved, unreserved nor an escape, and the brackets, which are for addresses only.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for (index, char) in text.char_indices() {
        let digits = text.get(index + 1..index + 3).unwrap_or_default();
        let is_escape = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let stands = char.is_ascii_alphanumeric() || "-._~:/?@!$&'()*+,;=".contains(char);
        if stands || (char == '%' && is_escape) {
            out.push(char);
        } else {
            char.to_string()
                .bytes()
                .for_each(|byte| out.push_str(&format!("%{byte:02X}")));
        }
    }
    out
}
