//! The books while the demo runs, looked at again and again beside it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::audit::{AuditArgs, Auditor, Report};
use crate::run::Run;

const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Looks until it is ended.
#[derive(Debug)]
pub(crate) struct LiveBooks {
    last: watch::Receiver<Option<Report>>,
    stop: CancellationToken,
    looking: JoinHandle<()>,
}

impl LiveBooks {
    /// Begins. Where a service is to be killed its counters begin anew, and are left out.
    ///
    /// # Errors
    /// Kafka's clients cannot be made.
    pub(crate) fn start(run: &Run, kills: bool) -> anyhow::Result<Self> {
        let mut args = run.audit_args();
        if kills {
            args = AuditArgs {
                partners: args.partners,
                ..AuditArgs::default()
            };
        }
        let mut auditor = Auditor::once(&run.auditor()?, &args)?;
        let (tell, last) = watch::channel(None);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let looking = tokio::spawn(async move {
            while !stopped.is_cancelled() {
                match auditor.look().await {
                    Ok(report) => drop(tell.send_replace(Some(report))),
                    Err(error) => tracing::warn!("the books cannot be read now: {error:#}"),
                }
                let _ = tokio::time::timeout(LOOK_EVERY, stopped.cancelled()).await;
            }
        });
        Ok(Self { last, stop, looking })
    }

    /// What the last look found.
    pub(crate) fn last(&self) -> Option<Report> {
        self.last.borrow().clone()
    }

    /// Ends once the look under way has ended: its clients are gone before the broker is.
    pub(crate) async fn end(&mut self) {
        self.stop.cancel();
        if let Err(error) = (&mut self.looking).await {
            tracing::warn!("the books were not closed well: {error}");
        }
    }
}
