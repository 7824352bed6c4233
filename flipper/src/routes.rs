//! The flipper's own admin routes: `GET /generations`, `POST /flip`, `POST /generations/<g>/replay`.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use generations::protocol::FlipperEvent;
use tokio::sync::{mpsc, watch};

use crate::status::{GenerationStatus, Status};

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
        .route("/generations/{generation}/replay", post(replay))
        .with_state(Shared { status, events })
}

async fn generations(State(shared): State<Shared>) -> Json<Status> {
    let status = shared.status.borrow().clone();
    Json(status)
}

/// Asks for a flip; it happens once the generation before the active one has its verdict.
async fn flip(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    ask(&shared, FlipperEvent::FlipAsked, "a flip is asked for\n")
}

/// Asks to read the input of a generation again, from where it was opened to where the input ends now.
async fn replay(State(shared): State<Shared>, Path(generation): Path<u64>) -> (StatusCode, &'static str) {
    let status = shared.status.borrow().clone();
    let is_open = |known: &GenerationStatus| known.generation == generation && known.keys.is_none();
    let is_behind_us = status.active.is_some_and(|active| generation < active);
    if status.elected && (!is_behind_us || status.generations.iter().any(is_open)) {
        return (
            StatusCode::CONFLICT,
            "that generation has no verdict yet: GET /generations shows it\n",
        );
    }
    ask(
        &shared,
        FlipperEvent::ReplayAsked(generation),
        "a replay is asked for\n",
    )
}

fn ask(shared: &Shared, event: FlipperEvent, asked: &'static str) -> (StatusCode, &'static str) {
    if !shared.status.borrow().elected {
        return (
            StatusCode::CONFLICT,
            "this flipper stands by: ask the one that works\n",
        );
    }
    match shared.events.try_send(event) {
        Ok(()) => (StatusCode::ACCEPTED, asked),
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the flipper is busy or leaving: try again\n",
        ),
    }
}
