//! For tests of whoever owns a client: all brokers are lost, and there are servers to begin again with.

use std::time::Duration;

use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::args::KafkaArgs;
use crate::metrics::{BusMetrics, Registrar};

/// Longest time until a client comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Settings of a client that reaches nobody: it has lost all brokers as soon as it is made.
pub(crate) fn nowhere() -> KafkaArgs {
    KafkaArgs::plaintext("127.0.0.1:1", "test.")
}

pub(crate) fn bus() -> BusMetrics {
    BusMetrics::register(&Registrar::new(&Registry::new(), "test")).unwrap()
}

/// Bootstrap servers that hear who comes, and say nothing.
pub(crate) struct Servers(TcpListener);

impl Servers {
    pub(crate) async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    /// Settings of an owner that knows them, whatever its client was made with.
    pub(crate) fn kafka(&self) -> KafkaArgs {
        let address = self.0.local_addr().unwrap();
        KafkaArgs::plaintext(address.to_string(), "test.")
    }

    /// Waits until a client comes, which no client of [`nowhere`] does by itself.
    pub(crate) async fn are_asked(&self) {
        let came = timeout(PATIENCE, self.0.accept()).await;
        drop(came.expect("the client asks nobody any more").unwrap());
    }
}
