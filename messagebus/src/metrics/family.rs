//! Metric families with a fixed number of labels, and the registrar that makes them.

use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
    core::Collector,
};

/// Makes families on one registry; every name gets the prefix `crawlerhints_`.
#[derive(Clone, Debug)]
pub struct Registrar {
    registry: Registry,
    service: &'static str,
    described: Arc<Mutex<Vec<Described>>>,
}

/// A family as its users know it: a registry shows none before its first metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The full name.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The names of its labels.
    pub labels: Vec<String>,
}

impl Registrar {
    /// Registers on `registry` for the service of this name (`ingestor`, `flipper`, `dispatcher`).
    pub fn new(registry: &Registry, service: &'static str) -> Self {
        Self {
            registry: registry.clone(),
            service,
            described: Arc::default(),
        }
    }

    /// The service's name. No metric carries it: the scrape adds it.
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// The registry behind it.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Every family that this registrar and its clones have made, in that order.
    pub fn described(&self) -> Vec<Described> {
        self.described.lock().clone()
    }

    /// A family of counters; `name` ends in `_total`.
    ///
    /// # Errors
    /// The name is taken or malformed.
    pub fn counter<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&str; N],
    ) -> prometheus::Result<CounterFamily<N>> {
        let family = IntCounterVec::new(Opts::new(full(name), help), &labels)?;
        self.register(&family, "counter")?;
        Ok(CounterFamily(family))
    }

    /// A family of gauges.
    ///
    /// # Errors
    /// The name is taken or malformed.
    pub fn gauge<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&str; N],
    ) -> prometheus::Result<GaugeFamily<N>> {
        let family = GaugeVec::new(Opts::new(full(name), help), &labels)?;
        self.register(&family, "gauge")?;
        Ok(GaugeFamily(family))
    }

    /// A family of histograms with these upper bounds.
    ///
    /// # Errors
    /// The name is taken or malformed, or the bounds do not grow.
    pub fn histogram<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&str; N],
        buckets: &[f64],
    ) -> prometheus::Result<HistogramFamily<N>> {
        let options = HistogramOpts::new(full(name), help).buckets(buckets.to_vec());
        let family = HistogramVec::new(options, &labels)?;
        self.register(&family, "histogram")?;
        Ok(HistogramFamily(family))
    }

    fn register<C: Collector + Clone + 'static>(
        &self,
        collector: &C,
        kind: &'static str,
    ) -> prometheus::Result<()> {
        self.registry.register(Box::new(collector.clone()))?;
        let described = collector.desc().into_iter().map(|desc| Described {
            name: desc.fq_name.clone(),
            kind,
            labels: desc.variable_labels.clone(),
        });
        self.described.lock().extend(described);
        Ok(())
    }
}

fn full(name: &str) -> String {
    format!("crawlerhints_{name}")
}

/// Counters that differ in `N` labels.
#[derive(Clone, Debug)]
pub struct CounterFamily<const N: usize>(IntCounterVec);

impl<const N: usize> CounterFamily<N> {
    /// The counter of these label values, created at 0 on first use. Worth keeping on a hot path.
    #[must_use = "the counter is only looked up, not counted"]
    pub fn with(&self, values: [&str; N]) -> IntCounter {
        self.0.with_label_values(&values)
    }
}

/// Gauges that differ in `N` labels.
#[derive(Clone, Debug)]
pub struct GaugeFamily<const N: usize>(GaugeVec);

impl<const N: usize> GaugeFamily<N> {
    /// The gauge of these label values, created at 0 on first use.
    #[must_use = "the gauge is only looked up, not set"]
    pub fn with(&self, values: [&str; N]) -> Gauge {
        self.0.with_label_values(&values)
    }

    /// Sets the gauge of these label values to a count.
    #[expect(
        clippy::cast_precision_loss,
        reason = "gauges are floats; no count here comes near 2^52"
    )]
    pub fn set(&self, values: [&str; N], count: u64) {
        self.with(values).set(count as f64);
    }

    /// Stops exporting the gauge of these label values.
    pub fn remove(&self, values: [&str; N]) {
        // An error only says that there was no such gauge, which is what the caller wants.
        drop(self.0.remove_label_values(&values));
    }
}

/// Histograms that differ in `N` labels.
#[derive(Clone, Debug)]
pub struct HistogramFamily<const N: usize>(HistogramVec);

impl<const N: usize> HistogramFamily<N> {
    /// The histogram of these label values, created empty on first use.
    #[must_use = "the histogram is only looked up, nothing is observed"]
    pub fn with(&self, values: [&str; N]) -> Histogram {
        self.0.with_label_values(&values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_the_prefix_and_a_looked_up_counter_is_exported_at_zero() {
        let registry = Registry::new();
        let registrar = Registrar::new(&registry, "ingestor");
        let family = registrar
            .counter("ingestor_records_total", "records", ["outcome"])
            .unwrap();
        assert_eq!(family.with(["accepted"]).get(), 0);
        let gathered = registry.gather();
        assert_eq!(gathered[0].name(), "crawlerhints_ingestor_records_total");
    }

    #[test]
    fn a_family_is_described_before_its_first_metric() {
        let registry = Registry::new();
        let registrar = Registrar::new(&registry, "ingestor");
        drop(
            registrar
                .clone()
                .histogram("lag", "lag", ["partition"], &[1.0])
                .unwrap(),
        );
        assert!(registry.gather().is_empty());
        let described = registrar.described();
        assert_eq!(described[0].name, "crawlerhints_lag");
        assert_eq!(
            (described[0].kind, described[0].labels.as_slice()),
            ("histogram", ["partition".to_owned()].as_slice())
        );
    }

    #[test]
    fn a_removed_gauge_is_exported_no_longer() {
        let registry = Registry::new();
        let family = Registrar::new(&registry, "ingestor")
            .gauge("lag", "lag", ["partition"])
            .unwrap();
        family.with(["0"]).set(1.0);
        family.with(["1"]).set(1.0);
        family.remove(["0"]);
        family.remove(["7"]);
        assert_eq!(registry.gather()[0].get_metric().len(), 1);
    }
}
