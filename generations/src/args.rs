//! Settings of the two clusters, shared by the services that use them.

use std::path::PathBuf;

use clap::Args;

use crate::address::Seed;
use crate::cluster_name::ClusterName;

/// How to reach the two Redis clusters.
#[derive(Args, Clone, Debug)]
pub struct RedisArgs {
    /// Seed nodes of the cluster of the even generations, comma-separated, redis:// or rediss://. Any node that
    /// answers will do; the rest of the cluster is found through it.
    #[arg(long, env, value_delimiter = ',', required = true, num_args = 1..)]
    pub redis_a: Vec<Seed>,

    /// Seed nodes of the cluster of the odd generations, comma-separated, redis:// or rediss://.
    #[arg(long, env, value_delimiter = ',', required = true, num_args = 1..)]
    pub redis_b: Vec<Seed>,

    /// ACL user of this service. Without it and without a password nothing is authenticated.
    #[arg(long, env, requires = "redis_password_file")]
    pub redis_username: Option<String>,

    /// File that holds the password. Looked at every few seconds, so it can be rotated.
    #[arg(long, env)]
    pub redis_password_file: Option<PathBuf>,

    /// PEM file of the authorities that may sign the nodes' certificates. Without it the system's are used. Read
    /// again at each connection, like the next two.
    #[arg(long, env)]
    pub redis_tls_ca: Option<PathBuf>,

    /// PEM file of this service's certificate, where the nodes ask for one.
    #[arg(long, env, requires = "redis_tls_key")]
    pub redis_tls_cert: Option<PathBuf>,

    /// PEM file (PKCS#8) of the key of that certificate.
    #[arg(long, env, requires = "redis_tls_cert")]
    pub redis_tls_key: Option<PathBuf>,
}

impl RedisArgs {
    /// The seed nodes of one cluster.
    #[must_use]
    pub fn seeds(&self, cluster: ClusterName) -> &[Seed] {
        match cluster {
            ClusterName::A => &self.redis_a,
            ClusterName::B => &self.redis_b,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser)]
    struct Config {
        #[command(flatten)]
        redis: RedisArgs,
    }

    #[test]
    fn settings_are_well_formed() {
        Config::command().debug_assert();
    }

    #[test]
    fn seeds_are_separated_by_commas() {
        let args = [
            "x",
            "--redis-a",
            "redis://h:1,redis://h:2",
            "--redis-b",
            "rediss://i",
        ];
        let redis = Config::try_parse_from(args).unwrap().redis;
        assert_eq!(redis.seeds(ClusterName::A).len(), 2);
        assert!(redis.seeds(ClusterName::B)[0].tls);
    }

    #[test]
    fn a_seed_that_does_not_parse_is_named() {
        let error = Config::try_parse_from(["x", "--redis-a", "h:1", "--redis-b", "redis://i"])
            .err()
            .unwrap();
        let text = error.to_string();
        assert!(
            text.contains("--redis-a") && text.contains("'h:1'") && text.contains("expected"),
            "{text}"
        );
    }

    #[test]
    fn a_certificate_needs_its_key() {
        let args = [
            "x",
            "--redis-a",
            "redis://h",
            "--redis-b",
            "redis://i",
            "--redis-tls-cert",
            "c.pem",
        ];
        assert!(Config::try_parse_from(args).is_err());
    }
}
