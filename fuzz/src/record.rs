//! A payload of `cache-misses` through every step of the ingestor.

use std::sync::{Arc, LazyLock};

use hint_schema::cache_miss::{self, MAX_PAYLOAD_BYTES};
use hint_schema::{Zone, ZoneHost};
use ingestor::pipeline::Pipeline;
use ingestor::reason::Outcome;
use ingestor::transformation::{REGISTRY, Transformations};
use ingestor::zones::{ZoneTable, Zones};
use messagebus::consumer::Record;

use crate::canonical;

/// The zone that the seeds claim to be of.
const ZONE: u64 = 7;

static ZONES: LazyLock<Arc<Zones>> = LazyLock::new(|| {
    let host = ZoneHost {
        name: "example.com".to_owned(),
        ..ZoneHost::default()
    };
    let zone = Zone {
        id: ZONE,
        enabled: true,
        hosts: vec![host],
    };
    let mut table = ZoneTable::default();
    table
        .apply(ZONE.to_string().as_bytes(), Some(&zone.encode()))
        .expect("a zone as it is encoded");
    table.snapshot()
});

static STEPS: LazyLock<Transformations> = LazyLock::new(|| {
    let names: Vec<_> = REGISTRY.iter().map(|step| step.name).collect();
    names.join("|").parse().expect("the registry's order is allowed")
});

/// The payload gets one verdict; what decodes is encoded to the same; what is accepted is a canonical URL of
/// its zone.
pub fn check(payload: &[u8]) {
    if let Ok(miss) = cache_miss::read(payload) {
        let encoded = miss.encode();
        // Texts that share their bytes are encoded apart, which may be more than a payload can hold.
        if encoded.len() <= MAX_PAYLOAD_BYTES {
            assert_eq!(
                cache_miss::read(&encoded).expect("what was encoded decodes"),
                miss
            );
        }
    }
    let record = Record {
        partition: 0,
        offset: 0,
        timestamp_ms: 0,
        key: None,
        payload,
    };
    let mut verdicts = 0;
    Pipeline::new(&STEPS).judge(std::iter::once(record), &ZONES, |judged| {
        verdicts += 1;
        match judged.verdict {
            Ok(hint) => {
                let url = hint.url.expect("an accepted hint has its URL");
                assert_eq!(url.host(), "example.com");
                canonical::holds(&url);
            }
            Err(reason) => assert!(matches!(reason.outcome(), Outcome::Rejected | Outcome::Filtered)),
        }
    });
    assert_eq!(verdicts, 1, "one verdict a record");
}
