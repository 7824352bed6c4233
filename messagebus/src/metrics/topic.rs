//! Metrics of what is produced to one topic.

use std::time::Duration;

use prometheus::Histogram;

use super::{BusMetrics, ProduceFailure};

/// The delivery metrics of a topic.
#[derive(Clone, Debug)]
pub(crate) struct TopicMetrics {
    bus: BusMetrics,
    topic: String,
    duration: Histogram,
}

impl TopicMetrics {
    pub(super) fn new(bus: BusMetrics, topic: &str) -> Self {
        for reason in ProduceFailure::ALL {
            drop(bus.families().failed.with([topic, reason.label()]));
        }
        let duration = bus.families().delivery_duration.with([topic]);
        Self {
            bus,
            topic: topic.to_owned(),
            duration,
        }
    }

    pub(crate) fn delivered(&self, partition: i32, took: Duration) {
        self.bus
            .families()
            .delivered
            .with([&self.topic, &partition.to_string()])
            .inc();
        self.duration.observe(took.as_secs_f64());
    }

    pub(crate) fn failed(&self, reason: ProduceFailure) {
        self.bus
            .families()
            .failed
            .with([&self.topic, reason.label()])
            .inc();
    }
}
