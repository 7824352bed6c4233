//! Where a node listens.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

const DEFAULT_PORT: u16 = 6379;

/// Host and port of one Redis node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// Name or IP address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// A node named in the settings: `redis://host:port`, or `rediss://` for TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// Where to connect.
    pub address: Address,
    /// `rediss://`.
    pub tls: bool,
}

impl Address {
    /// Reads `host:port` as Redis writes it in a redirection; an empty host means `asked`, the host that
    /// answered.
    pub(crate) fn parse(text: &str, asked: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let host = if host.is_empty() || host == "?" {
            asked
        } else {
            host
        };
        Some(Self {
            host: host.to_owned(),
            port: port.parse().ok()?,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Seed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "expected redis://host:port or rediss://host:port";
        let url = Url::parse(text).map_err(|error| format!("{error}, {expected}"))?;
        let tls = match url.scheme() {
            "redis" => false,
            "rediss" => true,
            other => return Err(format!("scheme {other}, {expected}")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "a URL must not hold credentials, use REDIS_USERNAME and REDIS_PASSWORD_FILE".to_owned(),
            );
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(format!(
                "a cluster has no databases or options in its URL, {expected}"
            ));
        }
        let host = match url.host() {
            Some(Host::Ipv6(ip)) => ip.to_string(),
            Some(host) => host.to_string(),
            None => return Err(format!("no host, {expected}")),
        };
        Ok(Self {
            address: Address {
                host,
                port: url.port().unwrap_or(DEFAULT_PORT),
            },
            tls,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(text: &str) -> Result<(String, bool), String> {
        text.parse::<Seed>()
            .map(|seed| (seed.address.to_string(), seed.tls))
    }

    #[test]
    fn seeds_name_a_host_a_port_and_whether_to_use_tls() {
        assert_eq!(
            seed("redis://127.0.0.1:7000"),
            Ok(("127.0.0.1:7000".to_owned(), false))
        );
        assert_eq!(
            seed("rediss://redis-a.svc/"),
            Ok(("redis-a.svc:6379".to_owned(), true))
        );
        assert_eq!(seed("redis://[::1]:7000"), Ok(("[::1]:7000".to_owned(), false)));
    }

    #[test]
    fn what_is_not_a_seed_says_what_was_expected() {
        for text in [
            "localhost:7000",
            "http://h:1",
            "redis://",
            "redis://h:1/3",
            "redis://h?a=b",
            "redis://h:99999",
        ] {
            let error = seed(text).unwrap_err();
            assert!(error.contains("expected redis://"), "{text}: {error}");
        }
        assert!(
            seed("redis://u:p@h:1")
                .unwrap_err()
                .contains("REDIS_PASSWORD_FILE")
        );
    }

    #[test]
    fn redirections_may_leave_the_host_to_the_one_that_answered() {
        let parse = |text| Address::parse(text, "asked").map(|address| address.to_string());
        assert_eq!(parse("10.0.0.1:7001").as_deref(), Some("10.0.0.1:7001"));
        assert_eq!(parse(":7001").as_deref(), Some("asked:7001"));
        assert_eq!(parse("::1:7001").as_deref(), Some("[::1]:7001"));
        assert_eq!(parse("nonsense"), None);
    }
}
