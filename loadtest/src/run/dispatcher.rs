//! What the dispatchers of a run say of partners, and are asked to do.

use anyhow::Context;
use serde::Deserialize;

use super::Run;
use crate::service::Kind;

/// How a dispatcher sees a partner: `GET /partners`, as far as a run asks.
#[derive(Clone, Debug, Deserialize)]
pub struct Standing {
    /// The partner.
    pub name: String,
    /// Nothing is sent until a probe succeeds.
    pub circuit_open: bool,
}

impl Run {
    /// How the first dispatcher sees its partners, all at one moment.
    ///
    /// # Errors
    /// None runs, or it does not answer.
    pub async fn standings(&self) -> anyhow::Result<Vec<Standing>> {
        let dispatcher = self.of(Kind::Dispatcher).next().context("no dispatcher runs")?;
        let url = format!("http://{}/partners", dispatcher.admin);
        let answer = self.client.get(&url).send().await;
        let standings = answer.with_context(|| format!("asking {url}"))?.json().await;
        standings.with_context(|| format!("reading {url}"))
    }

    /// Lets every dispatcher send nothing to a partner, or go on, as on-call does.
    ///
    /// # Errors
    /// One does not do it.
    pub async fn set_paused(&self, partner: &str, paused: bool) -> anyhow::Result<()> {
        let verb = if paused { "pause" } else { "resume" };
        for dispatcher in self.of(Kind::Dispatcher) {
            let what = format!("partners/{partner}/{verb}");
            let answer = self.post(dispatcher, &what).await;
            let status = answer.with_context(|| format!("asking for {what}"))?.status();
            anyhow::ensure!(status.is_success(), "POST /{what} is answered {status}");
        }
        Ok(())
    }
}
