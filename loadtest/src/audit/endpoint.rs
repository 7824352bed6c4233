//! Admin ports of living services: a name may stand for many processes.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use tokio::net::lookup_host;

use super::books::Triple;
use crate::scrape::Scrape;

/// How often an ingestor's figures are compared in one look.
const COMPARED: usize = 2;
/// A process that is stopped in its tracks must not stop the audit.
const PATIENCE: Duration = Duration::from_secs(5);

/// `http://host:port`, as given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected an admin port such as http://ingestor:8081".to_owned();
        let address = text.strip_prefix("http://").ok_or_else(expected)?;
        let address = address.trim_end_matches('/');
        let (host, port) = address.rsplit_once(':').ok_or_else(expected)?;
        port.parse::<u16>().map_err(|_| expected())?;
        if host.is_empty() || host.contains('/') {
            return Err(expected());
        }
        Ok(Self(address.to_owned()))
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self(address.to_string())
    }
}

/// What processes say of themselves.
#[derive(Clone, Debug)]
pub(super) struct Heard<T> {
    /// Those that answer, by address.
    pub(super) answers: Vec<(String, T)>,
    /// Those that do not, and why.
    pub(super) silent: Vec<String>,
}

/// A client that asks them.
///
/// # Errors
/// It cannot be made.
pub(super) fn client() -> anyhow::Result<reqwest::Client> {
    let client = reqwest::Client::builder().timeout(PATIENCE);
    client.build().context("making an HTTP client")
}

/// Scrapes every process behind the endpoints.
pub(super) async fn scrape(client: &reqwest::Client, endpoints: &[Endpoint]) -> Heard<Scrape> {
    let (addresses, mut heard) = resolve(endpoints).await;
    for address in addresses {
        heard.note(address, Scrape::of(client, address).await);
    }
    heard
}

/// Scrapes every process behind the endpoints as often as the books of one ingestor need.
pub(super) async fn scrape_often(client: &reqwest::Client, endpoints: &[Endpoint]) -> Heard<Vec<Triple>> {
    let (addresses, mut heard) = resolve(endpoints).await;
    for address in addresses {
        heard.note(address, triples(client, address).await);
    }
    heard
}

async fn triples(client: &reqwest::Client, address: SocketAddr) -> anyhow::Result<Vec<Triple>> {
    let mut triples = Vec::new();
    for _ in 0..COMPARED {
        triples.push(Triple([
            Scrape::of(client, address).await?,
            Scrape::of(client, address).await?,
            Scrape::of(client, address).await?,
        ]));
    }
    Ok(triples)
}

async fn resolve<T>(endpoints: &[Endpoint]) -> (Vec<SocketAddr>, Heard<T>) {
    let (mut found, mut heard) = (Vec::new(), Heard::nothing());
    for Endpoint(name) in endpoints {
        match lookup_host(name).await {
            Ok(addresses) => found.extend(addresses),
            Err(error) => heard.silent.push(format!("{name}: {error}")),
        }
    }
    found.sort_unstable();
    found.dedup();
    (found, heard)
}

impl<T> Heard<T> {
    fn nothing() -> Self {
        Self {
            answers: Vec::new(),
            silent: Vec::new(),
        }
    }

    fn note(&mut self, address: SocketAddr, answer: anyhow::Result<T>) {
        match answer {
            Ok(answer) => self.answers.push((address.to_string(), answer)),
            Err(error) => self.silent.push(format!("{address}: {error:#}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_plain_http_address_with_a_port() {
        assert!("http://ingestor:8081/".parse::<Endpoint>().is_ok());
        assert!("http://[::1]:8081".parse::<Endpoint>().is_ok());
        for wrong in [
            "ingestor:8081",
            "http://ingestor",
            "http://:1",
            "http://a/b:1",
            "http://a:port",
        ] {
            assert!(
                wrong.parse::<Endpoint>().unwrap_err().contains("expected"),
                "{wrong}"
            );
        }
    }
}
