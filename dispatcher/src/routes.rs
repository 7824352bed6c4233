//! The dispatcher's own admin routes: `GET /partners`, `POST /partners/<name>/pause|resume`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use messagebus::Consumer;
use serde::Serialize;

use crate::gate::Gate;

/// A lane as the admin port sees it.
#[derive(Clone)]
pub(crate) struct LaneView {
    pub(crate) name: String,
    pub(crate) consumer: Consumer,
    pub(crate) gate: Arc<Gate>,
}

type Lanes = State<Arc<[LaneView]>>;

#[derive(Debug, Serialize)]
struct PartnerView {
    name: String,
    /// By on-call.
    paused: bool,
    circuit_open: bool,
    /// How long it wants to be left alone.
    throttled_for_seconds: f64,
    requests_in_flight: usize,
    /// Batches that this process's part of the lane has not finished.
    lag_batches: i64,
    /// Age of the oldest of them.
    lag_seconds: f64,
}

/// The routes.
pub(crate) fn routes(lanes: Vec<LaneView>) -> Router {
    Router::new()
        .route("/partners", get(partners))
        .route("/partners/{name}/pause", post(pause))
        .route("/partners/{name}/resume", post(resume))
        .with_state(Arc::from(lanes))
}

async fn partners(State(lanes): Lanes) -> Json<Vec<PartnerView>> {
    Json(lanes.iter().map(LaneView::view).collect())
}

async fn pause(lanes: Lanes, name: Path<String>) -> (StatusCode, &'static str) {
    set_paused(&lanes, &name, true)
}

async fn resume(lanes: Lanes, name: Path<String>) -> (StatusCode, &'static str) {
    set_paused(&lanes, &name, false)
}

fn set_paused(lanes: &[LaneView], name: &str, paused: bool) -> (StatusCode, &'static str) {
    let Some(lane) = lanes.iter().find(|lane| lane.name == name) else {
        return (
            StatusCode::NOT_FOUND,
            "there is no such partner: GET /partners lists them\n",
        );
    };
    lane.gate.set_paused(paused);
    tracing::info!(partner = name, paused, "by hand");
    (StatusCode::OK, if paused { "paused\n" } else { "resumed\n" })
}

impl LaneView {
    fn view(&self) -> PartnerView {
        let (standing, partitions) = (self.gate.standing(), self.consumer.partitions());
        PartnerView {
            name: self.name.clone(),
            paused: standing.paused,
            circuit_open: standing.circuit_open,
            throttled_for_seconds: standing.throttled_for.as_secs_f64(),
            requests_in_flight: standing.in_flight,
            lag_batches: partitions.iter().map(|status| status.lag_messages).sum(),
            lag_seconds: partitions
                .iter()
                .map(|status| status.lag_seconds)
                .fold(0.0, f64::max),
        }
    }
}
