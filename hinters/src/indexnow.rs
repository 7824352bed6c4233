//! A partner that speaks IndexNow (<https://www.indexnow.org/documentation>).

use std::time::SystemTime;

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde::Serialize;

use crate::answer;
use crate::client::HttpClient;
use crate::error::{Action, IndexerError};
use crate::hinter::{Accepted, Hinter, Submission};

/// One endpoint.
#[derive(Clone, Debug)]
pub struct IndexNow {
    name: String,
    endpoint: Url,
    client: HttpClient,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    host: &'a str,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_location: Option<&'a str>,
    url_list: &'a [String],
}

impl IndexNow {
    /// A partner called `name` that takes POST requests at `endpoint`.
    #[must_use]
    pub fn new(name: impl Into<String>, endpoint: Url, client: HttpClient) -> Self {
        Self {
            name: name.into(),
            endpoint,
            client,
        }
    }

    fn error(
        &self,
        submission: Submission<'_>,
    ) -> impl FnOnce(crate::Failure, Action, String) -> IndexerError {
        let (indexer, host) = (self.name.clone(), submission.host.to_owned());
        let urls = submission.urls.len();
        move |failure, action, detail| IndexerError {
            indexer,
            host,
            urls,
            failure,
            action,
            detail,
        }
    }
}

/// The body of the request that a submission becomes.
///
/// # Errors
/// None: strings always have a JSON form.
#[doc(hidden)]
pub fn body(submission: Submission<'_>) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Request {
        host: submission.host,
        key: submission.key.key(),
        key_location: submission.key.location(),
        url_list: submission.urls,
    })
}

#[async_trait]
impl Hinter for IndexNow {
    fn name(&self) -> &str {
        &self.name
    }

    async fn hint(&self, submission: Submission<'_>) -> Result<Accepted, IndexerError> {
        let error = self.error(submission);
        let Ok(body) = body(submission) else {
            // Strings always have a JSON form.
            return Err(error(
                crate::Failure::Status(400),
                Action::GiveUp,
                "no JSON form".to_owned(),
            ));
        };
        let request = self.client.inner().post(self.endpoint.clone());
        let request = request
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .body(body);
        let response = match request.send().await {
            Ok(response) => response,
            Err(cause) => {
                let detail = IndexerError::clip(crate::error::chain(&cause));
                return Err(error(
                    answer::failure(&cause),
                    Action::Retry { after: None },
                    detail,
                ));
            }
        };
        let status = response.status().as_u16();
        if response.status().is_success() {
            return Ok(Accepted { status });
        }
        let action = answer::action(status, response.headers(), SystemTime::now());
        let detail = answer::detail(response).await;
        Err(error(crate::Failure::Status(status), action, detail))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wiremock::matchers::{body_json, header, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::{Failure, HostKey};

    fn partner(server: &MockServer) -> IndexNow {
        let endpoint = format!("{}/indexnow", server.uri()).parse().unwrap();
        IndexNow::new("test", endpoint, HttpClient::new(true).unwrap())
    }

    async fn hint(partner: &IndexNow, key: &HostKey) -> Result<Accepted, IndexerError> {
        let urls = [
            "https://a.example/1".to_owned(),
            "http://a.example/2?q=%C3%A4".to_owned(),
        ];
        let submission = Submission {
            host: "a.example",
            key,
            urls: &urls,
        };
        partner.hint(submission).await
    }

    #[tokio::test]
    async fn a_request_looks_as_the_protocol_says() {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path("/indexnow"))
            .and(header("content-type", "application/json; charset=utf-8"))
            .and(body_json(serde_json::json!({
                "host": "a.example", "key": "0123456789abcdef", "keyLocation": "https://a.example/k/0.txt",
                "urlList": ["https://a.example/1", "http://a.example/2?q=%C3%A4"],
            })))
            .respond_with(ResponseTemplate::new(202))
            .expect(1)
            .mount(&server)
            .await;
        let key = HostKey::new("a.example", "0123456789abcdef", "https://a.example/k/0.txt").unwrap();
        assert_eq!(hint(&partner(&server), &key).await, Ok(Accepted { status: 202 }));
    }

    /// What comes of an answer 403 with this body.
    async fn refusal(body: &str) -> IndexerError {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(403).set_body_string(body))
            .mount(&server)
            .await;
        let key = HostKey::new("a.example", "0123456789abcdef", "").unwrap();
        hint(&partner(&server), &key).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_refusal_carries_the_partners_words() {
        let body = r#"{"errorCode":"UserForbiddedToAccessSite","message":"no","details":null}"#;
        let error = refusal(body).await;
        assert_eq!(
            (error.failure, error.action),
            (Failure::Status(403), Action::GiveUp)
        );
        assert_eq!(error.detail, "UserForbiddedToAccessSite: no");
    }

    #[tokio::test]
    async fn an_answer_is_read_no_further_than_64_kib() {
        // Read to its end it would be JSON with a code and a message.
        let body = format!(r#"{{"errorCode":"Long","message":"{}"}}"#, "a".repeat(64 << 10));
        let detail = refusal(&body).await.detail;
        assert!(detail.starts_with(r#"{"errorCode":"Long""#), "{detail}");
    }

    #[tokio::test]
    async fn redirects_are_not_followed() {
        let server = MockServer::start().await;
        let moved = ResponseTemplate::new(307).insert_header("location", "/elsewhere");
        Mock::given(path("/indexnow"))
            .respond_with(moved)
            .mount(&server)
            .await;
        Mock::given(path("/elsewhere"))
            .respond_with(ResponseTemplate::new(200))
            .expect(0)
            .mount(&server)
            .await;
        let key = HostKey::new("a.example", "0123456789abcdef", "").unwrap();
        let error = hint(&partner(&server), &key).await.unwrap_err();
        assert_eq!(error.failure, Failure::Status(307));
    }

    #[tokio::test]
    async fn a_partner_that_hangs_up_is_tried_again() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/", listener.local_addr().unwrap());
        let hangs_up = tokio::spawn(async move { drop(listener.accept().await) });
        let partner = IndexNow::new("test", endpoint.parse().unwrap(), HttpClient::new(true).unwrap());
        let key = HostKey::new("a.example", "0123456789abcdef", "").unwrap();
        let error = hint(&partner, &key).await.unwrap_err();
        assert_eq!(
            (error.failure, error.action),
            (Failure::Connect, Action::Retry { after: None })
        );
        hangs_up.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_partner_that_does_not_answer_is_tried_again() {
        // The system takes the connection, and nobody reads what comes.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/", listener.local_addr().unwrap());
        let partner = IndexNow::new("test", endpoint.parse().unwrap(), HttpClient::new(true).unwrap());
        let key = HostKey::new("a.example", "0123456789abcdef", "").unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(60), hint(&partner, &key)).await;
        let error = answer.expect("nobody waits that long").unwrap_err();
        assert_eq!(
            (error.failure, error.action),
            (Failure::Timeout, Action::Retry { after: None })
        );
    }

    #[tokio::test]
    async fn nothing_goes_out_in_the_clear_unless_that_is_allowed() {
        let server = MockServer::start().await;
        let endpoint = format!("{}/indexnow", server.uri()).parse().unwrap();
        let partner = IndexNow::new("test", endpoint, HttpClient::new(false).unwrap());
        let key = HostKey::new("a.example", "0123456789abcdef", "").unwrap();
        let error = hint(&partner, &key).await.unwrap_err();
        assert_eq!(error.failure, Failure::Connect);
        assert!(server.received_requests().await.unwrap().is_empty());
    }
}
