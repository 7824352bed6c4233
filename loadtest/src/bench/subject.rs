//! Our own code's way of a record, without Kafka and Redis: for counting what it allocates.

use std::sync::Arc;

use generations::encode_name;
use ingestor::pipeline::Pipeline;
use ingestor::recent::RecentFilter;
use ingestor::zones::{ZoneTable, Zones};
use messagebus::Record;

use super::mix::Mix;
use crate::traffic::{Traffic, TrafficArgs};

const HOSTS: u32 = 50;
const STEPS: &str = "opt_in|policy|canonical|host";

/// Valid canonical records, and what judges them.
pub struct Subject {
    payloads: Vec<Vec<u8>>,
    zones: Arc<Zones>,
    pipeline: Pipeline,
    filter: RecentFilter,
    names: Vec<u8>,
}

impl Subject {
    /// Room for batches of up to `records`.
    ///
    /// # Errors
    /// The product does not take what it is given: a mistake of this module.
    pub fn new(records: u64) -> anyhow::Result<Self> {
        let mix = Mix::unique(HOSTS);
        let args = TrafficArgs {
            hosts: HOSTS,
            ..TrafficArgs::default()
        };
        let mut table = ZoneTable::default();
        for zone in Traffic::new(args)?.zones() {
            table.apply(zone.id.to_string().as_bytes(), Some(&zone.encode()))?;
        }
        let payloads: Vec<_> = (0..records).map(|n| mix.record(n, 1).1).collect();
        Ok(Self {
            names: Vec::with_capacity(payloads.len() * 256),
            payloads,
            zones: table.snapshot(),
            pipeline: Pipeline::new(&STEPS.parse()?),
            filter: RecentFilter::new(),
        })
    }

    /// Takes a batch of the first `records` through the steps, the filter and into key names; says how many were
    /// accepted.
    pub fn judge(&mut self, records: usize) -> usize {
        let (names, filter) = (&mut self.names, &mut self.filter);
        names.clear();
        let mut accepted = 0;
        let batch = self.payloads.iter().take(records).map(|payload| Record {
            partition: 0,
            offset: 0,
            timestamp_ms: 0,
            key: None,
            payload,
        });
        self.pipeline.judge(batch, &self.zones, |judged| {
            let hint = judged.verdict.ok();
            if let Some((url, spread)) = hint.and_then(|hint| Some((hint.url?, hint.spread))) {
                let from = names.len();
                encode_name(names, 0, url.parts(), spread);
                let name = filter.fingerprint(names.get(from..).unwrap_or_default());
                if !filter.contains(name) {
                    filter.insert(name);
                }
                accepted += 1;
            }
        });
        accepted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_accepted() {
        let mut subject = Subject::new(300).unwrap();
        assert_eq!(subject.judge(300), 300);
        assert_eq!(subject.judge(200), 200);
    }
}
