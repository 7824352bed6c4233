//! The dispatcher's settings.

use std::net::SocketAddr;

use clap::Parser;
use hinters::PartnerSetting;
use ipnet::IpNet;
use messagebus::config::SecretFile;
use messagebus::{AdminArgs, KafkaArgs, LogArgs, TraceArgs};

/// Tells partners which pages changed.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Config {
    /// Kafka.
    #[command(flatten)]
    pub kafka: KafkaArgs,
    /// Partners: names from the registry, or `name=url` of an IndexNow endpoint, comma-separated
    #[arg(long, env, default_value = "bing,yandex")]
    pub partners: PartnerSetting,
    /// File of the secret from which a host's key is derived when its zone names none
    #[arg(long, env)]
    pub indexnow_master_key_file: Option<SecretFile>,
    /// Lets partners be reached without TLS, for tests
    #[arg(long, env, default_value_t = false, action = clap::ArgAction::Set)]
    pub allow_http_partners: bool,
    /// Address of the admin port: metrics, probes, `GET /partners`, `POST /partners/<name>/pause|resume`
    #[arg(long, env, default_value = "0.0.0.0:8083")]
    pub admin_addr: SocketAddr,
    /// Address of the key-file server, `GET /<key>.txt`: its own port, so that the admin port is never public
    #[arg(long, env, default_value = "0.0.0.0:8084")]
    pub keys_addr: SocketAddr,
    /// Networks whose `X-Forwarded-Host` the key-file server believes, as `10.0.0.0/8`, comma-separated
    #[arg(long, env, value_delimiter = ',')]
    pub trusted_edge: Vec<IpNet>,
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
