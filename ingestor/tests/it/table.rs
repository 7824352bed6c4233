//! What the two tables of bad input share: the judgement of one payload.

use hint_schema::{Zone, ZoneHost};
use ingestor::pipeline::Pipeline;
use ingestor::reason::Reason;
use ingestor::zones::{ZoneTable, Zones};
use messagebus::consumer::Record;

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
