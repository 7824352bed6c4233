//! What the two tables of bad input share: their notation, and the judgement of one payload.

use hint_schema::{Zone, ZoneHost};
use ingestor::pipeline::Pipeline;
use ingestor::reason::Reason;
use ingestor::zones::{ZoneTable, Zones};
use messagebus::consumer::Record;

/// Writes `«text×n»` out.
pub(crate) fn expand(text: &str) -> String {
    let mut parts = text.split(['«', '»']);
    let mut out = String::new();
    while let Some(plain) = parts.next() {
        out.push_str(plain);
        if let Some((repeated, times)) = parts.next().and_then(|part| part.rsplit_once('×')) {
            out.push_str(&repeated.repeat(times.parse().unwrap()));
        }
    }
    out
}

/// The rows of a table: lines that are no comments, cut at tabs.
pub(crate) fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    table
        .lines()
        .filter(|line| !line.starts_with("# "))
        .map(|line| line.split('\t').collect())
}

/// Zone 7 with these hosts, opted in.
pub(crate) fn zones(hosts: &[&str]) -> std::sync::Arc<Zones> {
    let host = |name: &&str| ZoneHost {
        name: (*name).to_owned(),
        ..ZoneHost::default()
    };
    let zone = Zone {
        id: 7,
        enabled: true,
        hosts: hosts.iter().map(host).collect(),
    };
    let mut table = ZoneTable::default();
    table.apply(b"7", Some(&zone.encode())).unwrap();
    table.snapshot()
}

/// What becomes of one payload: the canonical URL, or the reason's label.
pub(crate) fn verdict(payload: &[u8], zones: &Zones) -> Result<String, &'static str> {
    let mut pipeline = Pipeline::new(&"opt_in|policy|canonical|host".parse().unwrap());
    let record = Record {
        partition: 0,
        offset: 0,
        timestamp_ms: 0,
        key: None,
        payload,
    };
    let mut verdicts = Vec::new();
    pipeline.judge(std::iter::once(record), zones, |judged| {
        let url = judged.verdict.map(|hint| hint.url.unwrap().as_str().to_owned());
        verdicts.push(url.map_err(Reason::label));
    });
    assert_eq!(verdicts.len(), 1);
    verdicts.remove(0)
}
