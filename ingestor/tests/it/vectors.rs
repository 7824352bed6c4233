//! The canonicaliser on the vectors of the WHATWG URL standard and of Unicode's IDNA, next to a second parser.
//! Where they come from and under which licences: `tests/data/vectors/README.md`.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

use ingestor::canonical::{CanonicalUrl, canonical_host};
use ingestor::reason::Reason;
use iri_string::types::UriStr;
use serde_json::Value;

use crate::notation::{expand, rows, unescape};
use crate::second_opinion::{classes, compare};

const URLS: &str = include_str!("../data/vectors/urltestdata.json");
const NAMES: &str = include_str!("../data/vectors/IdnaTestV2.txt");
const HOSTILE: &str = include_str!("../data/hostile_urls.tsv");

/// Where we accept a name that Unicode's table does not, by the step at which it fails there.
const ACCEPTED_ALL_THE_SAME: [(&str, &str); 2] = [
    (
        "V4",
        "a label that is xn-- once more when it is decoded: crate `idna` is of an edition without this rule",
    ),
    (
        "V7",
        "a character of plane 3 that 16.0 has not assigned: crate `idna` lets it through, and the host has to be one \
        of the zone's all the same",
    ),
];

/// Codes of steps that the URL standard leaves out: hyphens, STD3 and DNS lengths, which we check ourselves.
const NOT_CHECKED: [&str; 5] = ["V2", "V3", "U1", "A4_1", "A4_2"];

/// A row of Unicode's table: a name, its punycode, and the steps at which it fails.
struct Name {
    source: String,
    ascii: String,
    failures: Vec<String>,
}

/// The inputs and the results of the URL standard's vectors.
fn urls() -> Vec<String> {
    let vectors: Vec<Value> = serde_json::from_str(URLS).unwrap();
    let texts = vectors
        .iter()
        .flat_map(|vector| [vector.get("input"), vector.get("href")]);
    texts
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// Columns: source, toUnicode, its status, toAsciiN, its status; an empty one stands for the one it is made from.
fn names() -> Vec<Name> {
    let lines = NAMES.lines().filter_map(|line| line.split('#').next());
    let rows = lines.filter(|line| line.contains(';')).filter_map(|line| {
        let column = |index| line.split(';').nth(index).unwrap().trim();
        let source = characters(column(0))?;
        let or = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
        let unicode = or(characters(column(1))?, &source);
        let ascii = or(characters(column(3))?, &unicode);
        let status = or(column(4).to_owned(), column(2));
        let codes = status.trim_matches(['[', ']']).split(", ").map(str::to_owned);
        let failures = codes.filter(|code| !code.is_empty() && !NOT_CHECKED.contains(&code.as_str()));
        Some(Name {
            source,
            ascii,
            failures: failures.collect(),
        })
    });
    rows.collect()
}

/// Undoes `\uXXXX` and `\x{XXXX}`; nothing for half a surrogate pair, which no text can hold.
fn characters(column: &str) -> Option<String> {
    if column == "\"\"" {
        return Some(String::new());
    }
    let mut parts = column.split('\\');
    let mut out = parts.next()?.to_owned();
    for part in parts {
        let (digits, rest) = match part.strip_prefix("x{") {
            Some(braced) => braced.split_once('}')?,
            None => part.strip_prefix('u')?.split_at_checked(4)?,
        };
        out.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
        out.push_str(rest);
    }
    Some(out)
}

/// Names that Unicode's table refuses, in every spelling in which `every_text` uses them.
pub(crate) fn no_names() -> &'static HashSet<String> {
    static NO_NAMES: LazyLock<HashSet<String>> = LazyLock::new(|| {
        let refused = names().into_iter().filter(|name| !name.failures.is_empty());
        refused
            .flat_map(|name| [format!("{}.example", name.source), name.source])
            .collect()
    });
    &NO_NAMES
}

fn every_text() -> Vec<String> {
    let hostile = rows(HOSTILE).filter_map(|row| Some(expand(&unescape(row.first()?))));
    let names = names();
    let of_names = names.iter().flat_map(|name| {
        let source = &name.source;
        [format!("https://{source}/"), format!("https://{source}.example/")]
    });
    urls().into_iter().chain(of_names).chain(hostile).collect()
}

#[test]
fn every_difference_to_the_second_parser_has_its_reason() {
    let mut seen: BTreeMap<&str, usize> = classes().map(|class| (class, 0)).collect();
    let mut unexplained = Vec::new();
    for text in every_text() {
        match compare(&text) {
            Ok(classes) => classes
                .iter()
                .for_each(|class| *seen.entry(class).or_default() += 1),
            Err(difference) => unexplained.push(difference),
        }
    }
    assert!(
        unexplained.is_empty(),
        "{} differences: {unexplained:#?}",
        unexplained.len()
    );
    let stale: Vec<_> = seen.iter().filter(|(_, count)| **count == 0).collect();
    assert!(stale.is_empty(), "no vector is of these classes: {stale:#?}");
}

#[test]
fn names_are_spelt_as_unicodes_table_says() {
    let mut wrong = Vec::new();
    let (mut accepted, mut refused) = (0, 0);
    for name in names() {
        let ascii = name.ascii.strip_suffix('.').unwrap_or(&name.ascii);
        let fits = match canonical_host(&name.source) {
            Ok(ours) => {
                accepted += 1;
                let known = |code: &String| ACCEPTED_ALL_THE_SAME.iter().any(|(known, _)| known == code);
                ours == ascii && name.failures.iter().all(known)
            }
            Err(reason) => {
                refused += 1;
                !name.failures.is_empty() || refused_by_our_own_rules(reason, ascii)
            }
        };
        if !fits {
            let ours = canonical_host(&name.source);
            wrong.push(format!(
                "{:?}: {ours:?}, the table {ascii} {:?}",
                name.source, name.failures
            ));
        }
    }
    assert!(wrong.is_empty(), "{} differences: {wrong:#?}", wrong.len());
    assert!(
        accepted > 300 && refused > 3_000,
        "{accepted} accepted, {refused} refused"
    );
}

/// What Unicode allows and we do not: names of one label, addresses, characters and lengths that DNS lacks.
fn refused_by_our_own_rules(reason: Reason, ascii: &str) -> bool {
    let allowed = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.chars().all(allowed);
    match reason {
        Reason::Local => !ascii.contains('.'),
        Reason::IpLiteral => ascii
            .rsplit('.')
            .next()
            .is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit())),
        Reason::Host => ascii.len() > 253 || !ascii.split('.').all(is_label),
        _ => false,
    }
}

#[test]
fn canonical_vectors_are_canonical_for_good_and_match_rfc_3986() {
    let mut accepted = 0;
    for text in every_text() {
        let Ok(once) = CanonicalUrl::parse(&text) else {
            continue;
        };
        accepted += 1;
        assert_eq!(CanonicalUrl::parse(once.as_str()).as_ref(), Ok(&once), "{text:?}");
        let uri = UriStr::new(once.as_str()).unwrap();
        assert_eq!(uri.authority_str(), Some(once.host()), "{text:?}");
    }
    assert!(accepted > 1_000, "{accepted} accepted");
}
