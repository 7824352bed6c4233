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
    use axum::body::{Body, to_bytes};
    use axum::http::header::AUTHORIZATION;
    use axum::routing::post;
    use tower::ServiceExt as _;

    use super::*;
    use crate::metrics::{BusMetrics, Registrar};

    fn health() -> Health {
        let registrar = Registrar::new(&Registry::new(), "test");
        Health::new(BusMetrics::register(&registrar).unwrap())
    }

    async fn answer(health: Health, token: &Token, request: Request) -> Response {
        let state = AdminState {
            registry: Registry::new(),
            health,
            token: token.clone(),
        };
        let extra = Router::new().route("/thing", post(async || "done").get(async || "seen"));
        router(state, extra).oneshot(request).await.unwrap()
    }

    async fn ask(token: &Token, method: Method, bearer: Option<&str>) -> StatusCode {
        let mut request = Request::builder().method(method).uri("/thing");
        if let Some(bearer) = bearer {
            request = request.header(AUTHORIZATION, format!("Bearer {bearer}"));
        }
        let request = request.body(Body::empty()).unwrap();
        answer(health(), token, request).await.status()
    }

    async fn probe(health: &Health, path: &str) -> (StatusCode, String) {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let answer = answer(health.clone(), &Token::new(None), request).await;
        let status = answer.status();
        let said = to_bytes(answer.into_body(), 1_000).await.unwrap();
        (status, String::from_utf8(said.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn probes_answer_as_the_process_does_and_say_why_it_does_not() {
        let starting = health();
        starting.set_ready("zones", false);
        let stuck = Health::stuck();
        for (health, path, reason) in [
            (&starting, "/livez", None),
            (&starting, "/readyz", Some("not yet: zones\n")),
            (&starting, "/startupz", Some("starting\n")),
            (&stuck, "/livez", Some("topic[0] is stuck in group\n")),
            (&stuck, "/readyz", None),
            (&stuck, "/startupz", None),
        ] {
            let expected = match reason {
                None => (StatusCode::OK, "ok\n"),
                Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason),
            };
            let (status, said) = probe(health, path).await;
            assert_eq!((status, said.as_str()), expected, "{path}");
        }
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
