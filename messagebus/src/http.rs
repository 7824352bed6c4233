//! Serves HTTP to clients that may mean harm: a connection carries one request, ends within a deadline whatever
//! its client does, and the oldest of too many makes room for the newest.
//!
//! Scrapes, probes and key files are rare and short, so nothing is lost without keep-alive, and one deadline bounds
//! a slow header, a slow body, a slow handler and a client that does not read alike.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tower::ServiceExt as _;

/// Bytes of a request's line and headers at most; more is answered 431.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Bytes of a request's body at most; more is answered 413. No route reads one so far.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// How long answers under way may take once the service ends.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);
/// The pause after the system had no file descriptor or memory for a connection.
const BREATHER: Duration = Duration::from_millis(100);

/// What a port bears.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Connections at once.
    connections: usize,
    /// From the accepted connection to the last byte of its answer.
    deadline: Duration,
}

/// A scrape may take ten seconds, Prometheus' own default.
const BOUNDS: Bounds = Bounds {
    connections: 256,
    deadline: Duration::from_secs(15),
};

/// Serves `routes` on `listener` until `shutdown`. Handlers find their client's address as [`ConnectInfo`].
pub async fn serve(listener: TcpListener, routes: Router, shutdown: CancellationToken) {
    serve_within(BOUNDS, listener, routes, shutdown).await;
}

/// Binds an address; `purpose` is for the message.
///
/// # Errors
/// It cannot be bound.
pub async fn bind(address: SocketAddr, purpose: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("binding {address} for {purpose}"))
}

async fn serve_within(bounds: Bounds, listener: TcpListener, routes: Router, shutdown: CancellationToken) {
    let routes = routes
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(refuse_large_bodies));
    let mut open: VecDeque<AbortOnDropHandle<()>> = VecDeque::new();
    while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a connection was not accepted"
                );
                tokio::time::sleep(BREATHER).await;
                continue;
            }
        };
        open.retain(|connection| !connection.is_finished());
        if open.len() >= bounds.connections {
            // Answers take milliseconds: the oldest is one that waits for its client.
            drop(open.pop_front());
        }
        let connection = timeout(
            bounds.deadline,
            answer(stream, peer, routes.clone(), shutdown.clone()),
        );
        open.push_back(AbortOnDropHandle::new(tokio::spawn(async move {
            if connection.await.is_err() {
                tracing::debug!(%peer, "a connection was closed at its deadline");
            }
        })));
    }
    // What is not answered by then is cut off.
    drop(timeout(LEAVE_WITHIN, join_all(open)).await);
}

async fn answer(stream: TcpStream, peer: SocketAddr, routes: Router, shutdown: CancellationToken) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        routes.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, error = &error as &dyn std::error::Error, "a connection failed");
    }
}

/// Answers at once where the size is announced; a body without a size is cut off where it is read.
async fn refuse_large_bodies(request: Request, next: Next) -> Response {
    if request.body().size_hint().lower() > MAX_BODY_BYTES as u64 {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests;
