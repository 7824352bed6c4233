//! The key-file server: `GET /<key>.txt` answers the key of the host that is asked for.

use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ipnet::IpNet;
use messagebus::http;
use tokio_util::sync::CancellationToken;

use crate::hosts::{Found, HostDirectory, canonical};

/// Serves keys.
#[derive(Clone, Debug)]
pub(crate) struct KeyServer {
    pub(crate) hosts: HostDirectory,
    /// Networks whose `X-Forwarded-Host` is believed.
    pub(crate) trusted: Vec<IpNet>,
}

impl KeyServer {
    /// Serves until `shutdown`.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub(crate) async fn serve(self, address: SocketAddr, shutdown: CancellationToken) -> anyhow::Result<()> {
        let listener = http::bind(address, "key files").await?;
        let routes = Router::new().route("/{file}", get(key_file)).with_state(self);
        http::serve(listener, routes, shutdown).await;
        Ok(())
    }

    fn answer(&self, peer: IpAddr, headers: &HeaderMap, file: &str) -> Option<String> {
        let host = self.asked_for(peer, headers)?;
        let Found::Key(key) = self.hosts.find(&host) else {
            return None;
        };
        (file.strip_suffix(".txt") == Some(key.key())).then(|| key.key().to_owned())
    }

    fn asked_for(&self, peer: IpAddr, headers: &HeaderMap) -> Option<Box<str>> {
        let is_trusted = self
            .trusted
            .iter()
            .any(|network| network.contains(&peer.to_canonical()));
        let forwarded = headers.get("x-forwarded-host").filter(|_| is_trusted);
        let host = forwarded.or(headers.get(header::HOST))?.to_str().ok()?;
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        canonical(name)
    }
}

async fn key_file(
    State(server): State<KeyServer>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Response {
    match server.answer(peer.ip(), &headers, &file) {
        // Exactly the key, no line end: engines were seen to refuse a file with one.
        Some(key) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], key).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use hint_schema::{Zone, ZoneHost};

    use super::*;

    const EDGE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 1, 2, 3));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn server() -> KeyServer {
        let hosts = HostDirectory::new(None);
        let host = |name: &str, key: &str| ZoneHost {
            name: name.to_owned(),
            key: key.to_owned(),
            ..ZoneHost::default()
        };
        let zone = Zone {
            id: 1,
            enabled: true,
            hosts: vec![host("a.example", "key-of-a"), host("b.example", "key-of-b")],
        };
        hosts.apply(b"1", Some(&zone.encode())).unwrap();
        KeyServer {
            hosts,
            trusted: vec!["10.0.0.0/8".parse().unwrap()],
        }
    }

    fn ask(peer: IpAddr, host: &str, forwarded: Option<&str>, file: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(forwarded) = forwarded {
            headers.insert("x-forwarded-host", forwarded.parse().unwrap());
        }
        server().answer(peer, &headers, file)
    }

    #[test]
    fn a_host_gets_its_own_key_and_nothing_else() {
        let key = Some("key-of-a".to_owned());
        assert_eq!(ask(OTHER, "a.example", None, "key-of-a.txt"), key);
        assert_eq!(ask(OTHER, "A.example:443", None, "key-of-a.txt"), key);
        for (host, file) in [
            ("b.example", "key-of-a.txt"),
            ("c.example", "key-of-a.txt"),
            ("a.example", "key-of-a"),
            ("a.example", ".txt"),
        ] {
            assert_eq!(ask(OTHER, host, None, file), None, "{host} {file}");
        }
    }

    #[test]
    fn only_the_edge_may_speak_for_another_host() {
        let key = Some("key-of-b".to_owned());
        assert_eq!(ask(EDGE, "internal", Some("b.example"), "key-of-b.txt"), key);
        assert_eq!(ask(OTHER, "internal", Some("b.example"), "key-of-b.txt"), None);
    }
}
