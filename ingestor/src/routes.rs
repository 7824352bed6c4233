//! The ingestor's own admin routes: `GET /partitions`, `POST /partitions/<n>/resume`.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use messagebus::Consumer;
use serde::Serialize;

use crate::stop::StopCause;
use crate::stops::Stops;

#[derive(Clone)]
struct Shared {
    consumer: Consumer,
    stops: Stops,
}

/// One partition that this process holds.
#[derive(Debug, Serialize)]
struct PartitionView {
    partition: i32,
    committed: Option<i64>,
    position: Option<i64>,
    high_watermark: Option<i64>,
    lag_messages: i64,
    lag_seconds: f64,
    stopped: bool,
    /// Why it is stopped.
    cause: Option<String>,
}

/// The routes.
pub(crate) fn routes(consumer: Consumer, stops: Stops) -> Router {
    Router::new()
        .route("/partitions", get(partitions))
        .route("/partitions/{partition}/resume", post(resume))
        .with_state(Shared { consumer, stops })
}

async fn partitions(State(shared): State<Shared>) -> Json<Vec<PartitionView>> {
    let view = |status: messagebus::PartitionStatus| PartitionView {
        partition: status.partition,
        committed: status.committed,
        position: status.position,
        high_watermark: status.high_watermark,
        lag_messages: status.lag_messages,
        lag_seconds: status.lag_seconds,
        stopped: status.stopped,
        cause: shared.stops.cause(status.partition).map(sentence),
    };
    Json(shared.consumer.partitions().into_iter().map(view).collect())
}

fn sentence(cause: StopCause) -> String {
    match cause {
        StopCause::InARow(records) => format!("{records} records in a row were rejected"),
        StopCause::Share { judged, rejected } => {
            format!("{rejected} of the last minute's {judged} records were rejected")
        }
    }
}

/// Lets a stopped partition go on from where everything is done.
async fn resume(State(shared): State<Shared>, Path(partition): Path<i32>) -> (StatusCode, &'static str) {
    shared.stops.reset(partition);
    if shared.consumer.resume_partition(partition) {
        tracing::info!(partition, "resumed by hand");
        (StatusCode::OK, "resumed\n")
    } else {
        (
            StatusCode::NOT_FOUND,
            "this process holds no stopped partition of that number\n",
        )
    }
}
