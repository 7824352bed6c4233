//! Seeded traffic: record number `n` is the same whoever asks, so nothing has to be remembered.

use clap::Args;
use hint_schema::cache_miss::{CacheMiss, CacheStatus};
use hint_schema::{Zone, ZoneHost};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Zipf};

/// Hosts of one zone.
const ZONE_HOSTS: u32 = 5;
/// A zone that nobody has.
const NO_ZONE: u64 = 999_999_999;

/// What the traffic looks like.
#[derive(Args, Clone, Debug)]
pub struct TrafficArgs {
    /// Seed: the same one makes the same records
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Hosts, five to a zone
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub hosts: u32,
    /// How unevenly records spread over hosts: the exponent of Zipf's law
    #[arg(long, default_value_t = 1.0)]
    pub zipf: f64,
    /// Share of records that repeat an earlier URL
    #[arg(long, default_value_t = 0.5)]
    pub repeats: f64,
    /// Share of records that are rejected, of every kind in turn
    #[arg(long, default_value_t = 0.01)]
    pub bad: f64,
    /// Share of records that are filtered, of every kind in turn
    #[arg(long, default_value_t = 0.02)]
    pub unwanted: f64,
}

impl Default for TrafficArgs {
    fn default() -> Self {
        Self {
            seed: 1,
            hosts: 500,
            zipf: 1.0,
            repeats: 0.5,
            bad: 0.01,
            unwanted: 0.02,
        }
    }
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// Kafka key.
    pub host: String,
    /// Kafka value.
    pub payload: Vec<u8>,
    /// What must become of it.
    pub truth: Truth,
}

/// What must become of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Truth {
    /// This canonical URL reaches every partner.
    Accepted(String),
    /// It is rejected or filtered, for this reason.
    Stopped(&'static str),
}

/// The records.
#[derive(Clone, Debug)]
pub struct Traffic {
    args: TrafficArgs,
    hosts: Zipf<f64>,
}

/// What record `n` is, before its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    New,
    Repeats(u64),
    Bad(usize),
    Unwanted(usize),
}

/// How to make a bad record of a good one, and the reason that it must be given.
type Spoiler = (&'static str, fn(&str, &str, u64, u64) -> Vec<u8>);

const BAD: [Spoiler; 15] = [
    ("decode", |_, _, _, _| b"no capnp message at all".to_vec()),
    ("too_large", |_, _, _, _| vec![0; 64 * 1024 + 8]),
    ("empty", |_, _, zone, now| with_url("", zone, now)),
    ("too_long", |host, _, zone, now| {
        with_url(&format!("https://{host}/{}", "x".repeat(2_048)), zone, now)
    }),
    ("scheme", |host, path, zone, now| {
        with_url(&format!("ftp://{host}{path}"), zone, now)
    }),
    ("userinfo", |host, path, zone, now| {
        with_url(&format!("https://user:pw@{host}{path}"), zone, now)
    }),
    ("control_chars", |host, path, zone, now| {
        with_url(&format!("https://{host}{path}\n"), zone, now)
    }),
    ("backslash", |host, path, zone, now| {
        with_url(&format!("https:\\\\{host}{path}"), zone, now)
    }),
    ("host", |_, path, zone, now| {
        with_url(&format!("https://a..b.example{path}"), zone, now)
    }),
    ("port", |host, path, zone, now| {
        with_url(&format!("https://{host}:8443{path}"), zone, now)
    }),
    ("ip_literal", |_, path, zone, now| {
        with_url(&format!("https://0x7f.1{path}"), zone, now)
    }),
    ("local", |_, path, zone, now| {
        with_url(&format!("https://printer.local{path}"), zone, now)
    }),
    ("percent", |host, path, zone, now| {
        with_url(&format!("https://{host}{path}%00"), zone, now)
    }),
    ("secret", |host, path, zone, now| {
        with_url(&format!("https://{host}{path}&token=1"), zone, now)
    }),
    ("foreign_host", |_, path, zone, now| {
        with_url(&format!("https://www.not-of-this-zone.example{path}"), zone, now)
    }),
];

const UNWANTED: [Spoiler; 5] = [
    ("not_opted_in", |host, path, _, now| {
        with_url(&format!("https://{host}{path}"), NO_ZONE, now)
    }),
    ("noindex", |host, path, zone, now| {
        miss(host, path, zone, now, |miss| miss.noindex = true)
    }),
    ("cache_status", |host, path, zone, now| {
        miss(host, path, zone, now, |miss| {
            miss.cache_status = CacheStatus::Stale;
        })
    }),
    ("origin_status", |host, path, zone, now| {
        miss(host, path, zone, now, |miss| miss.origin_status = 404)
    }),
    ("content_type", |host, path, zone, now| {
        miss(host, path, zone, now, |miss| miss.content_type = "text/css")
    }),
];

impl Traffic {
    /// Traffic as the settings say.
    ///
    /// # Errors
    /// Shares that are none, or a law that is none.
    pub fn new(args: TrafficArgs) -> anyhow::Result<Self> {
        for share in [args.repeats, args.bad, args.unwanted] {
            anyhow::ensure!(
                (0.0..=1.0).contains(&share),
                "{share} is no share: expected 0 to 1"
            );
        }
        let hosts = Zipf::new(f64::from(args.hosts), args.zipf)?;
        Ok(Self { args, hosts })
    }

    /// Every zone, opted in.
    #[must_use]
    pub fn zones(&self) -> Vec<Zone> {
        let numbers: Vec<u32> = (0..self.args.hosts).collect();
        let zone = |hosts: &[u32]| Zone {
            id: hosts.first().map_or(0, |host| zone_of(*host)),
            enabled: true,
            hosts: hosts.iter().map(|host| zone_host(*host)).collect(),
        };
        numbers.chunks(ZONE_HOSTS as usize).map(zone).collect()
    }

    /// Record number `n`, as of Unix millisecond `now_ms`.
    #[must_use]
    pub fn record(&self, n: u64, now_ms: u64) -> Generated {
        match self.plan(n) {
            Plan::New => self.good(n, now_ms),
            Plan::Repeats(earlier) => self.good(earlier, now_ms),
            Plan::Bad(kind) => self.spoiled(n, now_ms, BAD.get(kind)),
            Plan::Unwanted(kind) => self.spoiled(n, now_ms, UNWANTED.get(kind)),
        }
    }

    fn plan(&self, n: u64) -> Plan {
        let mut random = self.random(n, 0);
        let kind: f64 = random.random();
        if kind < self.args.bad {
            Plan::Bad(random.random_range(0..BAD.len()))
        } else if kind < self.args.bad + self.args.unwanted {
            Plan::Unwanted(random.random_range(0..UNWANTED.len()))
        } else if n > 0 && random.random_bool(self.args.repeats) {
            let mut earlier = random.random_range(0..n);
            // What it repeats must have been sent: a repeat's own original, never a bad record.
            loop {
                match self.plan(earlier) {
                    Plan::New => return Plan::Repeats(earlier),
                    Plan::Repeats(original) => return Plan::Repeats(original),
                    Plan::Bad(_) | Plan::Unwanted(_) if earlier == 0 => return Plan::New,
                    Plan::Bad(_) | Plan::Unwanted(_) => earlier -= 1,
                }
            }
        } else {
            Plan::New
        }
    }

    /// Where record `n` points to: host number and path.
    fn place(&self, n: u64) -> (u32, String) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the law gives 1 to the number of hosts"
        )]
        let host = self.hosts.sample(&mut self.random(n, 1)) as u32 - 1;
        (host.min(self.args.hosts - 1), format!("/page/{n:x}?view=full"))
    }

    fn good(&self, n: u64, now_ms: u64) -> Generated {
        let (number, path) = self.place(n);
        let host = host_name(number);
        let url = format!("https://{host}{path}");
        Generated {
            payload: with_url(&url, zone_of(number), now_ms),
            host,
            truth: Truth::Accepted(url),
        }
    }

    fn spoiled(&self, n: u64, now_ms: u64, spoiler: Option<&Spoiler>) -> Generated {
        let (number, path) = self.place(n);
        let host = host_name(number);
        match spoiler {
            Some((reason, spoil)) => Generated {
                payload: spoil(&host, &path, zone_of(number), now_ms),
                host,
                truth: Truth::Stopped(reason),
            },
            None => self.good(n, now_ms),
        }
    }

    fn random(&self, n: u64, purpose: u64) -> StdRng {
        StdRng::seed_from_u64(self.args.seed ^ n.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (purpose << 56))
    }
}

/// The name of the host of that number.
pub(crate) fn host_name(number: u32) -> String {
    format!("www.site-{number}.example")
}

/// The zone of the host of that number.
pub(crate) fn zone_of(host: u32) -> u64 {
    u64::from(host / ZONE_HOSTS) + 1
}

fn zone_host(number: u32) -> ZoneHost {
    ZoneHost {
        name: host_name(number),
        // Every third host names a key of its own; the others' are derived.
        key: if number.is_multiple_of(3) {
            format!("own-key-of-{number:08}")
        } else {
            String::new()
        },
        ..ZoneHost::default()
    }
}

fn with_url(url: &str, zone_id: u64, timestamp_ms: u64) -> Vec<u8> {
    encode(url, zone_id, timestamp_ms, |_| {})
}

fn miss(host: &str, path: &str, zone_id: u64, timestamp_ms: u64, change: fn(&mut CacheMiss<'_>)) -> Vec<u8> {
    encode(&format!("https://{host}{path}"), zone_id, timestamp_ms, change)
}

fn encode(url: &str, zone_id: u64, timestamp_ms: u64, change: fn(&mut CacheMiss<'_>)) -> Vec<u8> {
    let mut record = CacheMiss {
        timestamp_ms,
        url,
        zone_id,
        origin_status: 200,
        content_type: "text/html; charset=utf-8",
        ..CacheMiss::default()
    };
    change(&mut record);
    record.encode()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use ingestor::pipeline::Pipeline;
    use ingestor::transformation::Transformations;
    use ingestor::zones::ZoneTable;
    use messagebus::Record;

    use super::*;

    fn traffic() -> Traffic {
        Traffic::new(TrafficArgs {
            bad: 0.2,
            unwanted: 0.1,
            hosts: 12,
            ..TrafficArgs::default()
        })
        .unwrap()
    }

    #[test]
    fn the_pipeline_judges_every_kind_of_record_as_the_traffic_says() {
        let traffic = traffic();
        let mut table = ZoneTable::default();
        for zone in traffic.zones() {
            table
                .apply(zone.id.to_string().as_bytes(), Some(&zone.encode()))
                .unwrap();
        }
        let zones = table.snapshot();
        let steps: Transformations = "opt_in|policy|canonical|host".parse().unwrap();
        let mut pipeline = Pipeline::new(&steps);
        let mut seen = HashSet::new();
        for n in 0..2_000 {
            let generated = traffic.record(n, 1_000);
            let record = Record {
                partition: 0,
                offset: 0,
                timestamp_ms: 0,
                key: None,
                payload: &generated.payload,
            };
            pipeline.judge(std::iter::once(record), &zones, |judged| {
                let verdict = match judged.verdict {
                    Ok(hint) => Truth::Accepted(hint.url.unwrap().as_str().to_owned()),
                    Err(reason) => Truth::Stopped(reason.label()),
                };
                if let Truth::Stopped(reason) = verdict {
                    seen.insert(reason);
                }
                assert_eq!(verdict, generated.truth, "record {n}");
            });
        }
        assert_eq!(seen.len(), BAD.len() + UNWANTED.len());
    }

    #[test]
    fn a_repeat_is_of_a_url_that_was_sent_before() {
        let traffic = traffic();
        let (mut sent, mut repeats) = (HashSet::new(), 0);
        for n in 0..5_000 {
            if let Truth::Accepted(url) = traffic.record(n, 0).truth {
                let is_new = sent.insert(url);
                assert_eq!(is_new, traffic.plan(n) == Plan::New, "record {n}");
                repeats += u32::from(!is_new);
            }
        }
        assert!((1_500..2_000).contains(&repeats), "{repeats}");
    }
}
