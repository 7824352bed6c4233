//! The admin port: metrics, probes, and what a service adds, with a token for all that changes something.

use std::net::SocketAddr;

use anyhow::Context;
use axum::{
    Router,
    extract::{Request, State},
    http::{Method, StatusCode, header::CONTENT_TYPE},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus::{Registry, TEXT_FORMAT, TextEncoder};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{health::Health, token::Token};

/// What the admin port shows.
#[derive(Clone)]
pub struct AdminState {
    /// Gathered at each scrape.
    pub registry: Registry,
    /// Read by the probes.
    pub health: Health,
    /// Guards every request that is not a GET or HEAD.
    pub token: Token,
}

/// Serves `/metrics`, `/livez`, `/readyz`, `/startupz` and the routes of `extra` until `shutdown`.
///
/// # Errors
/// The address cannot be bound, or the listener failed.
pub async fn serve(
    address: SocketAddr,
    state: AdminState,
    extra: Router,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("binding {address}"))?;
    serve_on(listener, state, extra, shutdown).await
}

/// As [`serve`], on a listener that is bound already: its port may have been chosen by the system.
///
/// # Errors
/// The listener failed.
pub async fn serve_on(
    listener: TcpListener,
    state: AdminState,
    extra: Router,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let stop = async move { shutdown.cancelled().await };
    axum::serve(listener, router(state, extra))
        .with_graceful_shutdown(stop)
        .await
        .context("serving the admin port")
}

fn router(state: AdminState, extra: Router) -> Router {
    let guard = middleware::from_fn_with_state(state.token.clone(), guard);
    Router::new()
        .route("/metrics", get(metrics))
        .route(
            "/livez",
            get(async |State(state): State<AdminState>| probe(state.health.live())),
        )
        .route(
            "/readyz",
            get(async |State(state): State<AdminState>| probe(state.health.ready())),
        )
        .route(
            "/startupz",
            get(async |State(state): State<AdminState>| probe(state.health.started())),
        )
        .with_state(state)
        .merge(extra)
        .layer(guard)
}

async fn guard(State(token): State<Token>, request: Request, next: Next) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD)
        && let Err(status) = token.check(request.headers()).await
    {
        return status.into_response();
    }
    next.run(request).await
}

async fn metrics(State(state): State<AdminState>) -> Response {
    match TextEncoder::new().encode_to_string(&state.registry.gather()) {
        Ok(text) => ([(CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn probe(result: Result<(), Vec<String>>) -> Response {
    match result {
        Ok(()) => "ok\n".into_response(),
        Err(reasons) => (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n").into_response(),
    }
}
