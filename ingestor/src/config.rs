//! The ingestor's settings.

use std::net::SocketAddr;

use clap::Parser;
use generations::RedisArgs;
use messagebus::{AdminArgs, KafkaArgs, LogArgs, TraceArgs, config};

use crate::transformation::Transformations;

/// Turns cache misses into hints and writes them into the active generation.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Config {
    /// Kafka.
    #[command(flatten)]
    pub kafka: KafkaArgs,
    /// Redis.
    #[command(flatten)]
    pub redis: RedisArgs,
    /// Steps between decoding and writing, in the order in which they run, separated by `|`
    #[arg(long, env, default_value = "opt_in|policy|canonical|host")]
    pub transformations: Transformations,
    /// Bytes of records read from Kafka and not yet written: what a backlog may hold in memory
    #[arg(long, env, default_value = "96MiB", value_parser = config::bytes)]
    pub buffer_max_bytes: usize,
    /// Address of the admin port: metrics, probes, `GET /partitions`, `POST /partitions/<n>/resume`
    #[arg(long, env, default_value = "0.0.0.0:8081")]
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_settings_fit_together() {
        Config::command().debug_assert();
    }
}
