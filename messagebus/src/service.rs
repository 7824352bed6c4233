//! A process as a set of tasks with one stop signal and a deadline for ending.

use std::{future::Future, time::Duration};

use anyhow::{Context, anyhow};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

type Named = (&'static str, anyhow::Result<()>);

/// Runs tasks until SIGTERM, SIGINT or the first of them to end, fail or panic; then the rest drain.
pub struct Service {
    tasks: JoinSet<Named>,
    shutdown: CancellationToken,
    grace: Duration,
}

impl Service {
    /// A service whose tasks have `grace` to end once asked; less than the pod's own grace period.
    pub fn new(grace: Duration) -> Self {
        Self {
            tasks: JoinSet::new(),
            shutdown: CancellationToken::new(),
            grace,
        }
    }

    /// The signal on which every task drains and ends.
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Starts a task. Its end is the end of the service, so one that has nothing left to do waits for the signal.
    pub fn spawn<F>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.tasks.spawn(async move { (name, task.await) });
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// A task failed, panicked, ended before the signal, or did not end within the grace; what is still
    /// running then is aborted.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let mut result = self.wait_for_stop().await;
        self.shutdown.cancel();
        let drained = tokio::time::timeout(self.grace, drain(&mut self.tasks)).await;
        let drained = drained.unwrap_or_else(|_| Err(anyhow!("tasks did not end within {:?}", self.grace)));
        if let Err(error) = drained {
            tracing::error!("shutdown: {error:#}");
            result = result.and(Err(error));
        }
        result
    }

    async fn wait_for_stop(&mut self) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Ok(()),
            _ = terminate.recv() => { tracing::info!("SIGTERM received, draining"); Ok(()) }
            _ = interrupt.recv() => { tracing::info!("SIGINT received, draining"); Ok(()) }
            ended = self.tasks.join_next() => first_end(ended),
        }
    }
}

/// A task that ends before it was asked to is an error, even when it is content.
fn first_end(ended: Option<Result<Named, JoinError>>) -> anyhow::Result<()> {
    let Some(ended) = ended else { return Ok(()) };
    let result = match ended {
        Ok((name, Ok(()))) => Err(anyhow!("task {name} ended before it was asked to")),
        other => outcome(other),
    };
    if let Err(error) = &result {
        tracing::error!("stopping: {error:#}");
    }
    result
}

fn outcome(ended: Result<Named, JoinError>) -> anyhow::Result<()> {
    let (name, result) = ended.context("a task panicked")?;
    result.with_context(|| format!("task {name} failed"))
}

async fn drain(tasks: &mut JoinSet<Named>) -> anyhow::Result<()> {
    let mut result = Ok(());
    while let Some(ended) = tasks.join_next().await {
        result = result.and(outcome(ended));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn until(shutdown: CancellationToken) -> anyhow::Result<()> {
        shutdown.cancelled().await;
        Ok(())
    }

    #[tokio::test]
    async fn the_first_task_to_fail_stops_the_rest() {
        let mut service = Service::new(Duration::from_secs(5));
        service.spawn("waits", until(service.shutdown()));
        service.spawn("fails", async { Err(anyhow!("no such topic")) });
        let error = service.run().await.unwrap_err();
        assert_eq!(format!("{error:#}"), "task fails failed: no such topic");
    }

    #[tokio::test]
    async fn a_task_that_ends_early_is_an_error() {
        let mut service = Service::new(Duration::from_secs(5));
        service.spawn("waits", until(service.shutdown()));
        service.spawn("content", async { Ok(()) });
        let error = service.run().await.unwrap_err();
        assert!(error.to_string().contains("content ended before"), "{error}");
    }

    #[tokio::test]
    async fn a_panic_stops_the_service() {
        let mut service = Service::new(Duration::from_secs(5));
        service.spawn("waits", until(service.shutdown()));
        service.spawn("panics", async { panic!("broken invariant") });
        assert!(service.run().await.unwrap_err().to_string().contains("panicked"));
    }

    #[tokio::test]
    async fn an_asked_for_end_is_no_error() {
        let mut service = Service::new(Duration::from_secs(5));
        let shutdown = service.shutdown();
        service.spawn("waits", until(service.shutdown()));
        shutdown.cancel();
        service.run().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_end_within_the_grace_is_reported() {
        let mut service = Service::new(Duration::from_secs(5));
        let shutdown = service.shutdown();
        service.spawn("stuck", std::future::pending());
        shutdown.cancel();
        let error = service.run().await.unwrap_err();
        assert!(error.to_string().contains("did not end within 5s"), "{error}");
    }
}
