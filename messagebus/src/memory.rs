//! Memory figures of the allocator, read when the metrics are gathered.

use prometheus::{
    IntGauge, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use tikv_jemalloc_ctl::{epoch, stats};

/// Reads jemalloc's counters at each scrape; they say nothing in a process with another allocator.
struct Memory {
    allocated: IntGauge,
    resident: IntGauge,
}

/// Registers `crawlerhints_memory_allocated_bytes` and `crawlerhints_memory_resident_bytes`.
///
/// # Errors
/// The registry has them already.
pub(crate) fn register(registry: &Registry) -> prometheus::Result<()> {
    let allocated = IntGauge::new(
        "crawlerhints_memory_allocated_bytes",
        "Bytes that the process has allocated and not freed",
    )?;
    let resident = IntGauge::new(
        "crawlerhints_memory_resident_bytes",
        "Bytes of physical memory that the allocator holds, what it will give back included",
    )?;
    registry.register(Box::new(Memory { allocated, resident }))
}

impl Memory {
    fn read(&self) {
        // The figures are a snapshot that only this call renews.
        if epoch::advance().is_err() {
            return;
        }
        self.allocated.set(bytes(stats::allocated::read()));
        self.resident.set(bytes(stats::resident::read()));
    }
}

fn bytes(figure: tikv_jemalloc_ctl::Result<usize>) -> i64 {
    figure
        .ok()
        .and_then(|bytes| i64::try_from(bytes).ok())
        .unwrap_or(0)
}

impl Collector for Memory {
    fn desc(&self) -> Vec<&Desc> {
        [self.allocated.desc(), self.resident.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.read();
        [self.allocated.collect(), self.resident.collect()].concat()
    }
}

#[cfg(test)]
mod tests {
    use tikv_jemalloc_ctl::{Access, AsName};

    /// Where the build did not see `.cargo/config.toml`, resident memory grows with what was freed.
    #[test]
    fn freed_memory_goes_back_to_the_kernel_within_a_second() {
        for (setting, expected) in [("opt.dirty_decay_ms\0", 1_000), ("opt.muzzy_decay_ms\0", 0)] {
            let milliseconds: isize = setting.name().read().unwrap();
            assert_eq!(milliseconds, expected, "{setting}");
        }
    }
}
