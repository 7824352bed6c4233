//! A connection to a node, opened when needed and given up at the first failure.

use std::io;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::connect::within_connect_timeout;

/// One connection, whichever client speaks on it.
pub(crate) struct Line<C> {
    slot: Mutex<Slot<C>>,
}

/// The connection, and the last attempt to open one that failed.
struct Slot<C> {
    live: Option<Arc<Live<C>>>,
    failed: Option<(Instant, String)>,
}

/// An open one. What is in flight on it gets its answers for as long as somebody holds it.
pub(crate) struct Live<C> {
    /// Of the credentials that it was opened with.
    version: u64,
    pub(crate) client: C,
    _driver: AbortOnDropHandle<()>,
}

impl<C> Default for Line<C> {
    fn default() -> Self {
        let slot = Slot {
            live: None,
            failed: None,
        };
        Self {
            slot: Mutex::new(slot),
        }
    }
}

impl<C> Line<C> {
    /// The connection of this version of the credentials; `connect` opens it where there is none. Those who waited for an
    /// attempt share its failure, or a silent node would cost each of them its own.
    ///
    /// # Errors
    /// None could be opened; says why.
    pub(crate) async fn live<D>(
        &self,
        version: u64,
        connect: impl Future<Output = io::Result<(C, D)>>,
    ) -> Result<Arc<Live<C>>, String>
    where
        D: Future<Output = ()> + Send + 'static,
    {
        let asked = Instant::now();
        let mut slot = self.slot.lock().await;
        // What is in flight on one of earlier credentials still gets its answer.
        if let Some(live) = slot.live.as_ref().filter(|live| live.version == version) {
            return Ok(Arc::clone(live));
        }
        if let Some((at, reason)) = &slot.failed
            && *at >= asked
        {
            return Err(reason.clone());
        }
        match within_connect_timeout(connect).await {
            Ok((client, driver)) => {
                let live = Live {
                    version,
                    client,
                    _driver: AbortOnDropHandle::new(tokio::spawn(driver)),
                };
                Ok(Arc::clone(slot.live.insert(Arc::new(live))))
            }
            Err(error) => {
                let reason = error.to_string();
                slot.failed = Some((Instant::now(), reason.clone()));
                Err(reason)
            }
        }
    }

    /// Gives a failed connection up, unless another was opened already. Commands on it still get their answers.
    pub(crate) async fn forget(&self, failed: &Arc<Live<C>>) {
        let mut slot = self.slot.lock().await;
        slot.live.take_if(|live| Arc::ptr_eq(live, failed));
    }
}
