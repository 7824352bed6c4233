//! A sizing, to be read.

use std::fmt;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};

use super::size::Sizing;

impl Sizing {
    fn rows(&self) -> [(&'static str, String); 18] {
        let count = |number: f64| format!("{number:.0}");
        let some = |number: f64| format!("{number:.2}");
        let long = |seconds: f64| format!("{seconds:.1} s");
        [
            ("records/s", count(self.load.records_per_second)),
            ("new URLs/s", count(self.load.new_urls())),
            ("partitions of cache-misses", count(self.partitions)),
            ("ingestors", count(self.ingestors)),
            ("cores of all ingestors", some(self.ingestor_cores)),
            ("a generation is written to for", long(self.generation_seconds)),
            ("keys of a generation", count(self.generation_keys)),
            ("a drain takes, on one core", long(self.drain_seconds)),
            ("masters of each Redis cluster", count(self.masters)),
            ("cores of both clusters' masters", some(self.redis_cores)),
            (
                "memory of one cluster's masters",
                format!("{:.2} GiB", self.redis_gib),
            ),
            ("requests/s to each partner", count(self.requests)),
            (
                "dispatchers, and partitions of batches",
                format!("{:.0}, {:.0}", self.dispatchers, self.batch_partitions),
            ),
            ("cores of all dispatchers", some(self.dispatcher_cores)),
            ("memory of all pods", format!("{:.2} GiB", self.pods_gib)),
            (
                "written to Kafka, cores of its brokers",
                format!("{:.1} MB/s, {:.2}", self.kafka_megabytes, self.broker_cores),
            ),
            ("kept by Kafka", format!("{:.2} TB", self.kafka_terabytes)),
            ("egress", format!("{:.1} MB/s", self.egress_megabytes)),
        ]
    }
}

impl fmt::Display for Sizing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        for (what, value) in self.rows() {
            table.add_row([what.to_owned(), value]);
        }
        let figures = table.column_iter_mut().skip(1);
        figures.for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        write!(f, "{table}")?;
        for limit in &self.limits {
            let verdict = if limit.headroom < 1.0 { "BREAKS" } else { "holds" };
            let (what, headroom) = (limit.what, limit.headroom);
            write!(
                f,
                "\n{verdict}: {what}, {headroom:.2} of what is needed: {}",
                limit.why
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::Load;
    use super::super::size::size;
    use super::super::size::tests::costs;

    #[test]
    fn everything_that_was_sized_is_shown() {
        let shown = size(&Load::default(), &costs()).to_string();
        for word in [
            "18000",
            "masters of each Redis cluster",
            "egress",
            "holds: the flipper's drain",
        ] {
            assert!(shown.contains(word), "{word}: {shown}");
        }
    }
}
