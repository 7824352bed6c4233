//! What the protocol demands of a request (<https://www.indexnow.org/documentation>).

use std::collections::HashSet;

use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, HOST};
use iri_string::types::UriStr;
use parking_lot::Mutex;
use serde::Deserialize;

const MOST_URLS: usize = 10_000;

/// A request of the protocol.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Request {
    pub(super) host: String,
    pub(super) key: String,
    #[serde(default)]
    pub(super) key_location: Option<String>,
    pub(super) url_list: Vec<String>,
}

/// A breach of the protocol, and the status that an engine answers it with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// 400, 403 or 422.
    pub status: u16,
    /// What was wrong.
    pub what: String,
}

fn violation(status: u16, what: impl Into<String>) -> Violation {
    Violation {
        status,
        what: what.into(),
    }
}

/// Everything that the request alone shows.
pub(super) fn check(headers: &HeaderMap, body: &[u8]) -> Result<Request, Violation> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if content_type != Some("application/json; charset=utf-8") {
        return Err(violation(400, format!("content type {content_type:?}")));
    }
    let request: Request = serde_json::from_slice(body).map_err(|error| violation(400, error.to_string()))?;
    if request.url_list.is_empty() || request.url_list.len() > MOST_URLS {
        return Err(violation(400, format!("{} URLs", request.url_list.len())));
    }
    let is_key = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !(8..=128).contains(&request.key.len()) || !request.key.bytes().all(is_key) {
        return Err(violation(422, format!("key {:?}", request.key)));
    }
    let mut seen = HashSet::new();
    for url in &request.url_list {
        check_url(&request.host, url)?;
        if !seen.insert(url) {
            return Err(violation(422, format!("{url} stands there twice")));
        }
    }
    Ok(request)
}

fn check_url(host: &str, url: &str) -> Result<(), Violation> {
    let uri = UriStr::new(url).map_err(|_| violation(422, format!("{url} is no RFC 3986 URI")))?;
    let is_web = matches!(uri.scheme_str(), "https" | "http");
    if !is_web || uri.authority_str() != Some(host) || uri.fragment().is_some() {
        return Err(violation(422, format!("{url} is no page of {host}")));
    }
    Ok(())
}

/// Looks key files up, each once.
#[derive(Debug)]
pub(super) struct KeyFiles {
    server: String,
    client: reqwest::Client,
    known: Mutex<HashSet<(String, String)>>,
}

impl KeyFiles {
    pub(super) fn new(server: &str) -> Self {
        Self {
            server: server.to_owned(),
            client: reqwest::Client::new(),
            known: Mutex::default(),
        }
    }

    /// Fetches `https://<host>/<key>.txt` from where the edge would, and compares it byte by byte.
    pub(super) async fn check(&self, request: &Request) -> Result<(), Violation> {
        let known = (request.host.clone(), request.key.clone());
        if request.key_location.is_some() || self.known.lock().contains(&known) {
            return Ok(());
        }
        let url = format!("http://{}/{}.txt", self.server, request.key);
        let answer = self.client.get(&url).header(HOST, &request.host).send().await;
        let file = match answer {
            Ok(answer) if answer.status().is_success() => answer.text().await.unwrap_or_default(),
            Ok(answer) => {
                return Err(violation(
                    403,
                    format!("{url} for {}: {}", request.host, answer.status()),
                ));
            }
            // The dispatcher restarts: an engine would try again.
            Err(error) => return Err(violation(503, format!("{url}: {error}"))),
        };
        if file != request.key {
            return Err(violation(
                403,
                format!("the key file of {} holds {file:?}", request.host),
            ));
        }
        self.known.lock().insert(known);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(body: &serde_json::Value) -> u16 {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "application/json; charset=utf-8".parse().unwrap());
        let body = serde_json::to_vec(body).unwrap();
        check(&headers, &body).map_or_else(|violation| violation.status, |_| 200)
    }

    #[test]
    fn breaches_are_answered_as_an_engine_answers_them() {
        let request =
            |urls: &[&str]| serde_json::json!({"host": "a.example", "key": "12345678", "urlList": urls});
        assert_eq!(
            status(&request(&["https://a.example/1", "http://a.example/"])),
            200
        );
        assert_eq!(status(&request(&[])), 400);
        assert_eq!(status(&request(&["https://b.example/"])), 422);
        assert_eq!(status(&request(&["https://a.example/#x"])), 422);
        assert_eq!(status(&request(&["https://a.example/{x}"])), 422);
        assert_eq!(
            status(&request(&["https://a.example/1", "https://a.example/1"])),
            422
        );
        assert_eq!(
            status(
                &serde_json::json!({"host": "a.example", "key": "short", "urlList": ["https://a.example/"]})
            ),
            422
        );
        assert_eq!(status(&serde_json::json!({"host": "a.example"})), 400);
    }
}
