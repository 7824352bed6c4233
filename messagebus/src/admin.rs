//! The admin port: metrics, probes, and what a service adds, with a token for all that changes something.

use std::net::SocketAddr;

use axum::{
    Router,
    extract::{Request, State},
    http::{Method, StatusCode, header::CONTENT_TYPE},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus::{Registry, TEXT_FORMAT, TextEncoder};
use tokio_util::sync::CancellationToken;

use crate::{health::Health, http, token::Token};

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
/// The address cannot be bound.
pub async fn serve(
    address: SocketAddr,
    state: AdminState,
    extra: Router,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let listener = http::bind(address, "the admin port").await?;
    http::serve(listener, router(state, extra), shutdown).await;
    Ok(())
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

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::header::AUTHORIZATION;
    use axum::routing::post;
    use tower::ServiceExt as _;

    use super::*;
    use crate::metrics::{BusMetrics, Registrar};

    async fn ask(token: &Token, method: Method, bearer: Option<&str>) -> StatusCode {
        let registry = Registry::new();
        let bus = BusMetrics::register(&Registrar::new(&registry, "test")).unwrap();
        let state = AdminState {
            registry,
            health: Health::new(bus),
            token: token.clone(),
        };
        let extra = Router::new().route("/thing", post(async || "done").get(async || "seen"));
        let mut request = Request::builder().method(method).uri("/thing");
        if let Some(bearer) = bearer {
            request = request.header(AUTHORIZATION, format!("Bearer {bearer}"));
        }
        let request = request.body(Body::empty()).unwrap();
        router(state, extra).oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn looking_is_free_and_every_change_needs_the_token() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "secret\n").unwrap();
        let token = Token::new(Some(file.path().to_owned()));
        assert_eq!(ask(&token, Method::GET, None).await, StatusCode::OK);
        for (bearer, status) in [
            (None, StatusCode::UNAUTHORIZED),
            (Some("guess"), StatusCode::UNAUTHORIZED),
            (Some("secre"), StatusCode::UNAUTHORIZED),
            (Some("secret"), StatusCode::OK),
        ] {
            assert_eq!(ask(&token, Method::POST, bearer).await, status, "{bearer:?}");
        }
        let none = Token::new(None);
        assert_eq!(ask(&none, Method::POST, Some("")).await, StatusCode::FORBIDDEN);
    }
}
