//! The table of hostile URLs: each row says what becomes of its URL.

use ingestor::canonical::CanonicalUrl;
use ingestor::reason::Reason;

const TABLE: &str = include_str!("../data/hostile_urls.tsv");

/// The hosts of the zone that the URLs claim to be of.
const ZONE_HOSTS: [&str; 4] = [
    "example.com",
    "my_shop.example.com",
    "www.example.com",
    "xn--bcher-kva.example",
];

/// Undoes the escapes that the table's first lines explain.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        match char {
            '\\' => match rest.next().unwrap() {
                't' => out.push('\t'),
                'n' => out.push('\n'),
                'r' => out.push('\r'),
                '0' => out.push('\0'),
                '\\' => out.push('\\'),
                'u' => {
                    let digits: String = rest.by_ref().skip(1).take_while(|&char| char != '}').collect();
                    out.push(char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap());
                }
                other => panic!("unknown escape \\{other}"),
            },
            '«' => {
                let repeated: String = rest.by_ref().take_while(|&char| char != '»').collect();
                let (text, times) = repeated.rsplit_once('×').unwrap();
                out.push_str(&text.repeat(times.parse().unwrap()));
            }
            plain => out.push(plain),
        }
    }
    out
}

fn verdict(url: &str) -> String {
    match CanonicalUrl::parse(url) {
        Ok(canonical) if ZONE_HOSTS.contains(&canonical.host()) => format!("={}", canonical.as_str()),
        Ok(_) => Reason::ForeignHost.label().to_owned(),
        Err(reason) => reason.label().to_owned(),
    }
}

#[test]
fn each_hostile_url_meets_the_expected_reason() {
    let rows: Vec<_> = TABLE.lines().filter(|line| !line.starts_with("# ")).collect();
    assert!(rows.len() >= 350, "only {} rows", rows.len());
    let mut wrong = String::new();
    for row in rows {
        let (url, expected) = row.split_once('\t').unwrap();
        let verdict = verdict(&unescape(url));
        if verdict != unescape(expected) {
            wrong.push_str(&format!("{url}\n  expected {expected}\n  got      {verdict}\n"));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
