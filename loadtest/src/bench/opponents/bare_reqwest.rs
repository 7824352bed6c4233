//! reqwest alone: bodies made beforehand, no batches, keys, receipts or retries.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use axum::body::Bytes;
use reqwest::Client;
use tokio::task::JoinSet;

use crate::bench::number::float;

/// Requests under way, as many as one of the dispatcher's lanes has.
const AT_ONCE: usize = 16;

/// Posts every body; says how many requests a second.
///
/// # Errors
/// A request is not answered by 200.
pub(in crate::bench) async fn run(endpoint: &str, bodies: &Arc<[Bytes]>) -> anyhow::Result<f64> {
    let client = Client::builder()
        .no_proxy()
        .tcp_nodelay(true)
        .build()
        .context("making an HTTP client")?;
    let started = Instant::now();
    let mut workers = JoinSet::new();
    for first in 0..AT_ONCE {
        let (client, endpoint, bodies) = (client.clone(), endpoint.to_owned(), Arc::clone(bodies));
        workers.spawn(async move {
            for body in bodies.iter().skip(first).step_by(AT_ONCE) {
                post(&client, &endpoint, body.clone()).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended.context("posting")??;
    }
    Ok(float(bodies.len() as u64) / started.elapsed().as_secs_f64())
}

async fn post(client: &Client, endpoint: &str, body: Bytes) -> anyhow::Result<()> {
    let request = client.post(endpoint).body(body);
    let request = request.header("content-type", "application/json; charset=utf-8");
    let answer = request
        .send()
        .await
        .with_context(|| format!("posting to {endpoint}"))?;
    answer
        .error_for_status()
        .with_context(|| format!("posting to {endpoint}"))?;
    Ok(())
}
