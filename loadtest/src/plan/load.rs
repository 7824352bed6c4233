//! The load that is planned for, and what a deployment is meant to be like.

use std::time::Duration;

use clap::Args;
use messagebus::config::duration;
use serde::Serialize;

/// What comes in, and how it is to be taken.
#[derive(Args, Clone, Debug, PartialEq, Serialize)]
pub struct Load {
    /// Records a second, at the peak
    #[arg(long)]
    pub records_per_second: f64,
    /// Hosts that have opted in
    #[arg(long)]
    pub hosts: f64,
    /// Partners
    #[arg(long)]
    pub partners: f64,
    /// Share of the records that repeat a URL of the same generation
    #[arg(long, default_value_t = 0.5)]
    pub repeats: f64,
    /// `FLIP_INTERVAL`
    #[arg(long, default_value = "2m", value_parser = duration)]
    #[serde(skip)]
    pub flip_interval: Duration,
    /// `FLIP_MAX_URLS`
    #[arg(long, default_value_t = 5_000_000.0)]
    pub flip_max_urls: f64,
    /// Share of its CPU that a process is to use at the peak: the rest is for failures and catching up
    #[arg(long, default_value_t = 0.5)]
    pub utilisation: f64,
    /// How long a partner takes to answer a request
    #[arg(long, default_value = "100ms", value_parser = duration)]
    #[serde(skip)]
    pub answer_time: Duration,
    /// Copies of each Kafka record
    #[arg(long, default_value_t = 3.0)]
    pub replication: f64,
    /// Memory of a Redis master, in GiB
    #[arg(long, default_value_t = 8.0)]
    pub master_gib: f64,
}

impl Default for Load {
    /// The load that Crawler Hints has published, and the settings' defaults.
    fn default() -> Self {
        Self {
            records_per_second: 18_000.0,
            hosts: 81_000.0,
            partners: 2.0,
            repeats: 0.5,
            flip_interval: Duration::from_secs(120),
            flip_max_urls: 5_000_000.0,
            utilisation: 0.5,
            answer_time: Duration::from_millis(100),
            replication: 3.0,
            master_gib: 8.0,
        }
    }
}

impl Load {
    /// Whether it makes sense.
    ///
    /// # Errors
    /// It does not; says which setting.
    pub fn check(&self) -> anyhow::Result<()> {
        let shares = [("--repeats", self.repeats), ("--utilisation", self.utilisation)];
        for (setting, share) in shares {
            anyhow::ensure!(
                (0.0..=1.0).contains(&share) && (share > 0.0 || setting == "--repeats"),
                "{setting} {share} is no share: expected 0 to 1"
            );
        }
        let sizes = [
            ("--records-per-second", self.records_per_second),
            ("--hosts", self.hosts),
            ("--partners", self.partners),
            ("--replication", self.replication),
            ("--master-gib", self.master_gib),
            ("--flip-max-urls", self.flip_max_urls),
            ("--flip-interval", self.flip_interval.as_secs_f64()),
        ];
        for (setting, size) in sizes {
            anyhow::ensure!(
                size.is_finite() && size > 0.0,
                "{setting} {size}: expected more than 0"
            );
        }
        Ok(())
    }

    /// URLs a second that are new in their generation.
    #[must_use]
    pub fn new_urls(&self) -> f64 {
        self.records_per_second * (1.0 - self.repeats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_that_makes_no_sense_says_which_setting() {
        assert!(Load::default().check().is_ok());
        let usual = Load::default;
        let cases = [
            (
                Load {
                    repeats: 1.5,
                    ..usual()
                },
                "--repeats",
            ),
            (
                Load {
                    utilisation: 0.0,
                    ..usual()
                },
                "--utilisation",
            ),
            (
                Load {
                    hosts: 0.0,
                    ..usual()
                },
                "--hosts",
            ),
            (
                Load {
                    records_per_second: f64::NAN,
                    ..usual()
                },
                "--records-per-second",
            ),
        ];
        for (load, setting) in cases {
            let error = load.check().unwrap_err().to_string();
            assert!(error.contains(setting), "{error}");
        }
    }
}
