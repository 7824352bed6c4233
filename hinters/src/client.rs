//! The HTTP client that partners are reached with: every default that would surprise is overridden.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, retry};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Of a request, its answer included.
const TIMEOUT: Duration = Duration::from_secs(10);
const IDLE_PER_HOST: usize = 16;

/// Shared by all partners; cheap to clone.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: Client,
    allow_http: bool,
}

/// The client cannot be made: the system's TLS library refused.
#[derive(Debug, thiserror::Error)]
#[error("making the HTTP client for partners")]
pub struct ClientError(#[from] reqwest::Error);

impl HttpClient {
    /// Makes one. `allow_http` lets plain-http endpoints be used, for tests.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn new(allow_http: bool) -> Result<Self, ClientError> {
        let client = Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .https_only(!allow_http)
            .retry(retry::never())
            .no_proxy()
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .tcp_nodelay(true)
            .user_agent(concat!("crawler-hints/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, allow_http })
    }

    /// Whether plain-http endpoints may be used.
    #[must_use]
    pub fn allows_http(&self) -> bool {
        self.allow_http
    }

    /// The client itself, for an implementation of [`crate::Hinter`].
    #[must_use]
    pub fn inner(&self) -> &Client {
        &self.client
    }
}
