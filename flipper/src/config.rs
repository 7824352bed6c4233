//! The flipper's settings.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};
use generations::RedisArgs;
use generations::protocol::{BooksPolicy, FlipperSettings};
use messagebus::{AdminArgs, KafkaArgs, LogArgs, TraceArgs, config};

/// Opens, drains and settles generations.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Config {
    /// Kafka.
    #[command(flatten)]
    pub kafka: KafkaArgs,
    /// Redis.
    #[command(flatten)]
    pub redis: RedisArgs,
    /// When to flip, and how to judge.
    #[command(flatten)]
    pub flip: FlipArgs,
    /// How hints become batches.
    #[command(flatten)]
    pub batch: BatchArgs,
    /// Address of the admin port: metrics, probes, `GET /generations`, `POST /flip`, `POST /generations/<g>/replay`
    #[arg(long, env, default_value = "0.0.0.0:8082")]
    pub admin_addr: SocketAddr,
    /// Admin token.
    #[command(flatten)]
    pub admin: AdminArgs,
    /// Logs.
    #[command(flatten)]
    pub log: LogArgs,
    /// Traces.
    #[command(flatten)]
    pub trace: TraceArgs,
}

/// When to flip, and how to judge.
#[derive(Args, Clone, Copy, Debug)]
pub struct FlipArgs {
    /// How long a generation is active; longer means fewer, fuller requests and older hints
    #[arg(long, env, default_value = "2m", value_parser = config::duration)]
    pub flip_interval: Duration,
    /// Keys at which the next generation is opened early
    #[arg(long, env, default_value_t = 5_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub flip_max_urls: u64,
    /// What becomes of a generation whose books are inexact, without any sign of a loss
    #[arg(long, env, value_enum, default_value = "visible")]
    pub books: Books,
}

/// `BOOKS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Books {
    /// It is settled and counted as unaudited.
    Visible,
    /// It fails and is read again.
    Strict,
}

impl FlipArgs {
    /// As the flip protocol takes them.
    #[must_use]
    pub fn settings(&self) -> FlipperSettings {
        FlipperSettings {
            interval: self.flip_interval,
            max_urls: self.flip_max_urls,
            books: match self.books {
                Books::Visible => BooksPolicy::Visible,
                Books::Strict => BooksPolicy::Strict,
            },
        }
    }
}

/// How hints become batches.
#[derive(Args, Clone, Copy, Debug)]
pub struct BatchArgs {
    /// Most URLs in one batch
    #[arg(long, env, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub batch_max_urls: u32,
    /// Most bytes of one encoded batch; Kafka's own limit is 1,000,000
    #[arg(long, env, default_value_t = 900_000, value_parser = clap::value_parser!(u32).range(4_096..=990_000))]
    pub batch_max_bytes: u32,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_settings_fit_together() {
        Config::command().debug_assert();
    }
}
