//! Partners that take everything: they read a request's body, count it, and answer 200. [`crate::partners`] checks
//! what it is sent, at a cost that would hide the dispatcher's.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// The protocol's own bound and some more.
const BODY_BYTES: usize = 6 << 20;
/// The name of its thread.
pub(crate) const THREAD: &str = "partners";

/// A server with a thread of its own. Gone when dropped.
#[derive(Debug)]
pub(crate) struct Sink {
    address: SocketAddr,
    counts: Arc<Counts>,
    runtime: Option<Runtime>,
}

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl Sink {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// No port or thread can be had.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(THREAD)
            .enable_all()
            .build()
            .context("starting the partners' thread")?;
        let counts = Arc::new(Counts::default());
        let app = Router::new()
            .fallback(take)
            .layer(DefaultBodyLimit::max(BODY_BYTES))
            .with_state(Arc::clone(&counts));
        let binding = runtime.spawn(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = binding.await.context("binding the partners' port")?;
        let listener = listener.context("binding the partners' port")?;
        let address = listener.local_addr().context("asking for the partners' port")?;
        runtime.spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!("the partners have died: {error}");
            }
        });
        Ok(Self {
            address,
            counts,
            runtime: Some(runtime),
        })
    }

    /// The endpoint of a partner.
    pub(crate) fn endpoint(&self, partner: &str) -> String {
        format!("http://{}/{partner}/indexnow", self.address)
    }

    /// The setting `PARTNERS` that leads a dispatcher here.
    pub(crate) fn setting(&self, partners: &[&str]) -> (String, String) {
        let one = |partner: &&str| format!("{partner}={}", self.endpoint(partner));
        let all: Vec<_> = partners.iter().map(one).collect();
        ("PARTNERS".to_owned(), all.join(","))
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> u64 {
        self.counts.requests.load(Ordering::Relaxed)
    }

    /// Bytes of their bodies.
    pub(crate) fn bytes(&self) -> u64 {
        self.counts.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A runtime must not be waited for by a task of another.
            runtime.shutdown_background();
        }
    }
}

async fn take(State(counts): State<Arc<Counts>>, body: Bytes) {
    counts.requests.fetch_add(1, Ordering::Relaxed);
    counts.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
}
