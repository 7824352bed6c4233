//! What on-call sees of records and hints.

use std::array;

use messagebus::metrics::{CounterFamily, GaugeFamily, Registrar};
use prometheus::IntCounter;

use crate::reason::{Outcome, Reason};
use crate::zones::{ZoneChange, Zones};

/// Every metric of the ingestor's own; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    accepted: IntCounter,
    /// By [`Reason::index`].
    reasons: [IntCounter; Reason::COUNT],
    /// Accepted URLs, by what Redis or the filter said.
    pub urls: Urls,
    /// Times that input was dropped because a lease had run out.
    pub lease_lost: IntCounter,
    /// Records of failed generations that were read again, beside those that the group polled.
    pub reread: IntCounter,
    /// Records that had to be read again and that retention had removed.
    pub replay_gone: IntCounter,
    in_flight_urls: GaugeFamily<0>,
    stopped_partitions: GaugeFamily<0>,
    active_generation: GaugeFamily<0>,
    zones: GaugeFamily<1>,
    zone_changes: CounterFamily<1>,
    zones_refreshed: GaugeFamily<0>,
}

/// Accepted URLs: each ends in one of these.
#[derive(Clone, Debug)]
pub struct Urls {
    /// New in its generation.
    pub new: IntCounter,
    /// In its generation already.
    pub repeated: IntCounter,
    /// Known to the recent filter.
    pub repeated_in_process: IntCounter,
    /// Given up without an answer that counted; Kafka delivers the record again.
    pub unknown: IntCounter,
}

/// Outcomes of a batch's records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Accepted records.
    pub accepted: u64,
    /// The others, by [`Reason::index`].
    pub reasons: [u64; Reason::COUNT],
}

impl Metrics {
    /// Registers them all, at 0.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn register(registrar: &Registrar) -> prometheus::Result<Self> {
        let records = registrar.counter(
            "ingestor_records_total",
            "What became of records, and why?",
            ["outcome", "reason"],
        )?;
        let urls = registrar.counter(
            "ingestor_urls_total",
            "How many accepted URLs were new, and how many repeated?",
            ["result"],
        )?;
        let metrics = Self {
            accepted: records.with([Outcome::Accepted.label(), "none"]),
            reasons: array::from_fn(|index| {
                let reason = Reason::ALL.get(index).copied().unwrap_or(Reason::Decode);
                records.with([reason.outcome().label(), reason.label()])
            }),
            urls: Urls {
                new: urls.with(["new"]),
                repeated: urls.with(["repeated"]),
                repeated_in_process: urls.with(["repeated_in_process"]),
                unknown: urls.with(["unknown"]),
            },
            lease_lost: registrar
                .counter(
                    "ingestor_lease_lost_total",
                    "How often did input have to be dropped because a lease had run out?",
                    [],
                )?
                .with([]),
            reread: registrar
                .counter(
                    "ingestor_reread_records_total",
                    "How many records of failed generations were read again?",
                    [],
                )?
                .with([]),
            replay_gone: registrar
                .counter(
                    "ingestor_replay_gone_records_total",
                    "How many records of failed generations had retention removed?",
                    [],
                )?
                .with([]),
            in_flight_urls: registrar.gauge(
                "ingestor_in_flight_urls",
                "How many accepted URLs have no answer yet: in flight in book B?",
                [],
            )?,
            stopped_partitions: registrar.gauge(
                "ingestor_stopped_partitions",
                "How many partitions are stopped because of bad input?",
                [],
            )?,
            active_generation: registrar.gauge(
                "ingestor_active_generation",
                "Which generation is being written?",
                [],
            )?,
            zones: registrar.gauge("optin_zones", "How many zones have opted in?", ["state"])?,
            zone_changes: registrar.counter(
                "optin_changes_total",
                "How often do zones opt in and out?",
                ["change"],
            )?,
            zones_refreshed: registrar.gauge(
                "optin_last_refresh_timestamp_seconds",
                "When was the list of zones last known to be complete?",
                [],
            )?,
        };
        for change in ZoneChange::ALL {
            drop(metrics.zone_changes.with([change.label()]));
        }
        metrics.in_flight_urls.set([], 0);
        metrics.stopped_partitions.set([], 0);
        metrics.active_generation.set([], 0);
        metrics.zones(&Zones::default());
        Ok(metrics)
    }

    /// Counts a batch's records.
    pub fn records(&self, tally: &Tally) {
        self.accepted.inc_by(tally.accepted);
        for (counter, &count) in self.reasons.iter().zip(&tally.reasons) {
            if count > 0 {
                counter.inc_by(count);
            }
        }
    }

    /// Counts records that were let go before they were judged.
    pub fn dropped(&self, reason: Reason, records: u64) {
        if let Some(counter) = self.reasons.get(reason.index()) {
            counter.inc_by(records);
        }
    }

    /// Shows how many accepted URLs have no answer that counted, nor were given up.
    pub fn in_flight(&self, urls: u64) {
        self.in_flight_urls.set([], urls);
    }

    /// Shows how many partitions are stopped.
    pub fn stopped(&self, partitions: usize) {
        self.stopped_partitions.set([], partitions as u64);
    }

    /// Shows the generation that batches are bound to.
    pub fn active(&self, generation: u64) {
        self.active_generation.set([], generation);
    }

    /// Shows how many zones there are.
    pub fn zones(&self, zones: &Zones) {
        self.zones.set(["enabled"], zones.enabled() as u64);
        self.zones.set(["disabled"], zones.disabled() as u64);
    }

    /// Counts a changed zone.
    pub fn zone_changed(&self, change: ZoneChange) {
        self.zone_changes.with([change.label()]).inc();
    }

    /// Notes that the list of zones is complete as of this Unix second.
    pub fn zones_refreshed(&self, second: u64) {
        self.zones_refreshed.set([], second);
    }
}

impl Tally {
    /// Counts a record that goes no further.
    pub fn stopped_by(&mut self, reason: Reason) {
        if let Some(count) = self.reasons.get_mut(reason.index()) {
            *count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;

    #[test]
    fn every_reason_is_exported_from_the_start_under_its_outcome() {
        let registry = Registry::new();
        let metrics = Metrics::register(&Registrar::new(&registry, "ingestor")).unwrap();
        let mut tally = Tally {
            accepted: 2,
            ..Tally::default()
        };
        tally.stopped_by(Reason::Secret);
        metrics.records(&tally);
        let families = registry.gather();
        let records = families
            .iter()
            .find(|family| family.name() == "crawlerhints_ingestor_records_total");
        let records = records.unwrap().get_metric();
        assert_eq!(records.len(), Reason::COUNT + 1);
        let counted: Vec<_> = records
            .iter()
            .filter(|metric| metric.get_counter().get_value() > 0.0)
            .map(|metric| {
                (
                    metric.get_label()[0].value(),
                    metric.get_label()[1].value(),
                    metric.get_counter().get_value(),
                )
            })
            .collect();
        assert_eq!(counted, [("accepted", "none", 2.0), ("rejected", "secret", 1.0)]);
    }
}
