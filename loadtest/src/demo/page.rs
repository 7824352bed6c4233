//! The page that shows the demo live, on loopback: one document that loads nothing else.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::figures::Figures;

const DOCUMENT: &str = include_str!("page.html");
/// The page asks for nothing but its own figures.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Somebody who asked this recently still looks.
const LOOKS: Duration = Duration::from_secs(3);

/// Serves the page until it is dropped.
#[derive(Debug)]
pub(crate) struct Page {
    /// Where it is.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    serving: AbortHandle,
}

#[derive(Debug, Default)]
struct Shared {
    figures: Mutex<String>,
    /// When somebody asked for them last.
    asked: Mutex<Option<Instant>>,
}

impl Page {
    /// Begins to serve on a free port.
    ///
    /// # Errors
    /// No port is free.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.context("binding a port for the page")?;
        let address = listener.local_addr().context("asking for the page's port")?;
        let shared = Arc::new(Shared::default());
        let routes = Router::new()
            .route("/", get(document))
            .route("/figures", get(figures))
            .with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await }).abort_handle();
        Ok(Self {
            address,
            shared,
            serving,
        })
    }

    /// Shows these figures from now on.
    ///
    /// # Errors
    /// They cannot be written as JSON.
    pub(crate) fn show(&self, figures: &Figures) -> anyhow::Result<()> {
        *self.shared.figures.lock() = serde_json::to_string(figures).context("writing the figures")?;
        Ok(())
    }

    /// Waits until a page that is open has fetched what is shown now; not at all where none is.
    pub(crate) async fn linger(&self) {
        let (now, asked) = (Instant::now(), || *self.shared.asked.lock());
        if asked().is_none_or(|last| now.duration_since(last) > LOOKS) {
            return;
        }
        while asked().is_some_and(|last| last < now) && now.elapsed() < LOOKS {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn document() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, Html(DOCUMENT))
}

async fn figures(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    *shared.asked.lock() = Some(Instant::now());
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, shared.figures.lock().clone())
}
