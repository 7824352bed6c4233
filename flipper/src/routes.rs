//! The flipper's own admin routes: `GET /generations`, `POST /flip`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use generations::protocol::FlipperEvent;
use tokio::sync::{mpsc, watch};

use crate::status::Status;

#[derive(Clone)]
struct Shared {
    status: watch::Receiver<Status>,
    events: mpsc::Sender<FlipperEvent>,
}

/// The routes; `events` is the flip loop's queue.
pub(crate) fn routes(status: watch::Receiver<Status>, events: mpsc::Sender<FlipperEvent>) -> Router {
    Router::new()
        .route("/generations", get(generations))
        .route("/flip", post(flip))
        .with_state(Shared { status, events })
}

async fn generations(State(shared): State<Shared>) -> Json<Status> {
    let status = shared.status.borrow().clone();
    Json(status)
}

/// Asks for a flip; it happens once the generation before the active one has its verdict.
async fn flip(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    if !shared.status.borrow().elected {
        return (
            StatusCode::CONFLICT,
            "this flipper stands by: ask the one that works\n",
        );
    }
    match shared.events.try_send(FlipperEvent::FlipAsked) {
        Ok(()) => (StatusCode::ACCEPTED, "a flip is asked for\n"),
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the flipper is busy or leaving: try again\n",
        ),
    }
}
