//! The report: a row each, the curves that are drawn, and what went wrong.

use std::fmt;
use std::path::Path;

use anyhow::Context;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use serde::{Deserialize, Serialize};

use super::metric::Metric;
use super::statistics::{MOST_DISTURBANCE, Verdict, judge, median, spread};

/// The file's name in the report's directory.
pub(super) const FILE: &str = "report.json";

/// One row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What it is.
    pub name: String,
    /// Of the figures.
    pub unit: String,
    /// The median of the samples.
    pub measured: f64,
    /// What it must reach, where it is a goal.
    pub gate: Option<f64>,
    /// What we wish it to reach.
    pub stretch: Option<f64>,
    /// Small values are good.
    pub lower_is_better: bool,
    /// Every measurement, in the order in which they were taken.
    pub samples: Vec<f64>,
    /// How far the samples are apart, as a share of the median.
    pub spread: f64,
    /// The share of the machine that other programs took meanwhile.
    pub disturbance: f64,
    /// How it stands.
    pub verdict: Verdict,
}

/// What one process costs, at saturation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Which, as `ingestor`.
    pub part: String,
    /// Microseconds of CPU a record of the input.
    pub micros: f64,
    /// Share of the machine.
    pub share: f64,
}

/// A curve: how something grows, or goes on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// What it shows, also the name of its picture.
    pub name: String,
    /// Of x.
    pub x: String,
    /// Of y.
    pub y: String,
    /// A line each.
    pub lines: Vec<Line>,
}

/// One line of a curve.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// What it is of.
    pub name: String,
    /// Its points, ascending.
    pub points: Vec<(f64, f64)>,
}

/// Everything that was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// How large a run it was.
    pub size: String,
    /// Goals and figures.
    pub rows: Vec<Row>,
    /// Where the CPU goes.
    #[serde(default)]
    pub cpu: Vec<Share>,
    /// What is drawn beside the rows.
    #[serde(default)]
    pub curves: Vec<Curve>,
    /// What could not be measured, and why.
    #[serde(default)]
    pub failures: Vec<String>,
}

impl Row {
    /// A row of these samples; nothing where there is none. `disturbance`: see [`judge`].
    #[must_use]
    pub fn of(metric: &Metric, samples: Vec<f64>, disturbance: f64) -> Option<Self> {
        Some(Self {
            name: metric.name.to_owned(),
            unit: metric.unit.to_owned(),
            measured: median(&samples)?,
            gate: metric.gate,
            stretch: metric.stretch,
            lower_is_better: metric.lower_is_better,
            spread: spread(&samples),
            verdict: judge(metric, &samples, disturbance),
            samples,
            disturbance,
        })
    }

    fn cells(&self) -> [String; 7] {
        let goal = |goal: Option<f64>| {
            let sign = if self.lower_is_better { "≤" } else { "≥" };
            goal.map_or_else(String::new, |goal| format!("{sign} {}", short(goal)))
        };
        let samples: Vec<_> = self.samples.iter().map(|sample| short(*sample)).collect();
        [
            self.name.clone(),
            format!("{} {}", short(self.measured), self.unit),
            goal(self.gate),
            goal(self.stretch),
            self.verdict.label().to_owned(),
            format!("{:.0} %", 100.0 * self.spread),
            samples.join(" "),
        ]
    }
}

impl Verdict {
    fn label(self) -> &'static str {
        match self {
            Self::Figure => "",
            Self::Stretch => "good",
            Self::Met => "met",
            Self::Missed => "MISSED",
            Self::Noisy => "too noisy",
        }
    }
}

impl Report {
    /// The row of that metric.
    #[must_use]
    pub fn row(&self, metric: &Metric) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == metric.name)
    }

    /// Adds a row, unless there is no sample.
    pub(super) fn add(&mut self, metric: &Metric, samples: Vec<f64>, disturbance: f64) {
        self.rows.extend(Row::of(metric, samples, disturbance));
    }

    /// Whether everything was measured and nothing concluded against us: noise is no failure.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.failures.is_empty() && self.rows.iter().all(|row| row.verdict != Verdict::Missed)
    }

    /// Goals that the machine was too noisy to conclude.
    fn noisy(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.verdict == Verdict::Noisy)
    }

    /// Reads what a benchmark wrote.
    ///
    /// # Errors
    /// There is no such file, or it is none of ours.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let text = std::fs::read(path).with_context(|| format!("reading {shown}: `make bench` writes it"))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("parsing {shown}: `make bench` writes what is expected there"))
    }

    /// Writes `report.json` into a directory that exists.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write(&self, dir: &Path) -> anyhow::Result<()> {
        let path = dir.join(FILE);
        let json = serde_json::to_vec_pretty(self).context("writing the report")?;
        std::fs::write(&path, json).with_context(|| format!("writing {}", path.display()))
    }

    /// What the rows leave to be said.
    fn conclusion(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let noisy = self.noisy().count();
        if noisy > 0 {
            let busiest = self.rows.iter().map(|row| row.disturbance).fold(0.0, f64::max);
            lines.push(format!(
                "the machine was too noisy to conclude {noisy} rows: other programs took up to {:.0} % of it (at most \
                 {:.0} % will do), or samples lie far apart on both sides of a gate; measure again on a quiet machine",
                100.0 * busiest,
                100.0 * MOST_DISTURBANCE
            ));
        }
        lines.extend(self.failures.iter().map(|failure| format!("FAILED: {failure}")));
        lines
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        table.set_header(["row", "median", "gate", "stretch", "", "spread", "samples"]);
        for row in &self.rows {
            table.add_row(row.cells());
        }
        write!(f, "{table}")?;
        if !self.cpu.is_empty() {
            write!(f, "\n{}", shares(&self.cpu))?;
        }
        self.conclusion()
            .iter()
            .try_for_each(|line| write!(f, "\n{line}"))
    }
}

fn shares(cpu: &[Share]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header(["where the CPU goes", "µs a record", "of the machine"]);
    for share in cpu {
        let percent = format!("{:.0} %", 100.0 * share.share);
        table.add_row([share.part.clone(), format!("{:.3}", share.micros), percent]);
    }
    let figures = table.column_iter_mut().skip(1);
    figures.for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table
}

/// Three digits that matter, or all of a large number.
fn short(number: f64) -> String {
    let digits = match number.abs() {
        size if size == 0.0 || size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{number:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::super::metric::{INGEST_RATE, VERSUS_REDIS};
    use super::*;

    fn report(samples: &[f64], disturbance: f64) -> Report {
        let mut report = Report::default();
        report.add(&VERSUS_REDIS, samples.to_vec(), disturbance);
        report.add(&INGEST_RATE, vec![400_000.0], disturbance);
        report
    }

    #[test]
    fn rows_have_the_fields_that_are_promised() {
        let json = serde_json::to_value(report(&[0.6, 0.7, 0.8], 0.0)).unwrap();
        let row = &json["rows"][0];
        assert_eq!(row["name"], VERSUS_REDIS.name);
        assert_eq!(
            (
                row["measured"].as_f64(),
                row["gate"].as_f64(),
                row["stretch"].as_f64()
            ),
            (Some(0.7), Some(0.5), Some(0.7))
        );
        assert_eq!(row["lower_is_better"], false);
        assert_eq!(row["samples"].as_array().unwrap().len(), 3);
        assert_eq!(row["unit"], "ratio");
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let report = report(&[0.6], 0.0);
        report.write(dir.path()).unwrap();
        assert_eq!(Report::read(&dir.path().join(FILE)).unwrap(), report);
        let missing = Report::read(&dir.path().join("none")).unwrap_err();
        assert!(format!("{missing:#}").contains("make bench"), "{missing:#}");
    }

    #[test]
    fn noise_is_said_and_no_failure() {
        let noisy = report(&[0.2], 0.6);
        assert!(noisy.is_good());
        let shown = noisy.to_string();
        assert!(shown.contains("too noisy to conclude 1 rows"), "{shown}");
        assert!(shown.contains("60 %"), "{shown}");
    }

    #[test]
    fn a_miss_and_a_failure_are_failures() {
        assert!(!report(&[0.2], 0.0).is_good());
        let mut failed = report(&[0.9], 0.0);
        assert!(failed.is_good());
        failed
            .failures
            .push("the drain: Redis does not answer".to_owned());
        assert!(!failed.is_good());
        assert!(failed.to_string().contains("FAILED: the drain"));
    }

    #[test]
    fn figures_keep_the_digits_that_matter() {
        assert_eq!(
            [0.0, 0.6543, 1.234, 45.67, 412_345.6].map(short),
            ["0", "0.654", "1.23", "45.7", "412346"]
        );
    }
}
