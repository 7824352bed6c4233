//! The unhurried client of one node: everything but the writer's SETs. One multiplexed connection of redis-rs,
//! opened when needed, given up at the first failure, with a deadline on all it does.

use std::io;
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisError, Value};
use secrecy::ExposeSecret;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::address::Address;
use crate::cluster_name::ClusterName;
use crate::connect::{Connector, RESPONSE_TIMEOUT, within_connect_timeout};
use crate::error_kind::ErrorKind;
use crate::metrics::{Command, RedisMetrics};

/// Why a node did not do what it was told.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NodeError {
    /// No connection, so the command was not sent.
    #[error("no connection to {address}: {reason}")]
    Unreachable {
        /// The node.
        address: Address,
        /// What failed.
        reason: String,
    },
    /// Sent, and no answer came: it may have been executed, or be executed still.
    #[error("no answer from {address}: {reason}")]
    Unanswered {
        /// The node.
        address: Address,
        /// What failed.
        reason: String,
    },
    /// The node answered with an error and did nothing.
    #[error("{address} refused with {}: {detail}", kind.label())]
    Refused {
        /// The node.
        address: Address,
        /// Kind of the error.
        kind: ErrorKind,
        /// The node's words, without the first.
        detail: String,
    },
    /// The answer is not of the expected form.
    #[error("{address} answered with something else than was asked")]
    Malformed {
        /// The node.
        address: Address,
    },
}

/// The connection, and the last attempt to open one that failed.
#[derive(Default)]
struct Slot {
    live: Option<Arc<Live>>,
    failed: Option<(Instant, NodeError)>,
}

struct Live {
    /// Of the credentials that it was opened with.
    version: u64,
    connection: MultiplexedConnection,
    _driver: AbortOnDropHandle<()>,
}

/// One node of a cluster.
pub(crate) struct Node {
    address: Address,
    cluster: ClusterName,
    connector: Connector,
    metrics: RedisMetrics,
    slot: Mutex<Slot>,
}

impl Node {
    pub(crate) fn new(
        address: Address,
        cluster: ClusterName,
        connector: Connector,
        metrics: RedisMetrics,
    ) -> Self {
        Self {
            address,
            cluster,
            connector,
            metrics,
            slot: Mutex::default(),
        }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Runs one command.
    pub(crate) async fn call(&self, label: Command, command: Cmd) -> Result<Value, NodeError> {
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.add_command(command);
        let answer = self.pipeline(label, &pipeline).await?.pop();
        self.accept(answer.unwrap_or_default())
    }

    /// Runs a pipeline. There is one answer for each command, and errors stand among them: see
    /// [`Node::accept`].
    pub(crate) async fn pipeline(
        &self,
        label: Command,
        pipeline: &Pipeline,
    ) -> Result<Vec<Value>, NodeError> {
        let live = self.live().await?;
        let begun = Instant::now();
        let count = pipeline.len();
        match live
            .connection
            .clone()
            .send_packed_commands(pipeline, 0, count)
            .await
        {
            Ok(answers) if answers.len() == count => {
                self.metrics.answered(self.cluster, label, begun.elapsed());
                Ok(answers)
            }
            Ok(_) => Err(self.malformed()),
            Err(error) => {
                self.forget(&live).await;
                Err(self.unanswered(&error))
            }
        }
    }

    /// The answer of one command, or the error that it is.
    pub(crate) fn accept(&self, answer: Value) -> Result<Value, NodeError> {
        let Value::ServerError(error) = answer else {
            return Ok(answer);
        };
        let kind = ErrorKind::of_code(error.code().as_bytes());
        self.metrics.failed(self.cluster, kind);
        let detail = error.details().unwrap_or_default().to_owned();
        Err(NodeError::Refused {
            address: self.address.clone(),
            kind,
            detail,
        })
    }

    pub(crate) fn malformed(&self) -> NodeError {
        NodeError::Malformed {
            address: self.address.clone(),
        }
    }

    /// Those who waited for an attempt share its failure, or a silent node would cost each of them its own.
    async fn live(&self) -> Result<Arc<Live>, NodeError> {
        let asked = Instant::now();
        let mut slot = self.slot.lock().await;
        let version = self.connector.version();
        // What is in flight on one of earlier credentials still gets its answer.
        if let Some(live) = slot.live.as_ref().filter(|live| live.version == version) {
            return Ok(Arc::clone(live));
        }
        if let Some((at, error)) = &slot.failed
            && *at >= asked
        {
            return Err(error.clone());
        }
        match within_connect_timeout(self.connect(version)).await {
            Ok(live) => Ok(Arc::clone(slot.live.insert(Arc::new(live)))),
            Err(error) => {
                self.metrics.failed(self.cluster, ErrorKind::Unreachable);
                let error = NodeError::Unreachable {
                    address: self.address.clone(),
                    reason: error.to_string(),
                };
                slot.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn connect(&self, version: u64) -> io::Result<Live> {
        let mut info = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(credentials) = self.connector.credentials().map_err(io::Error::other)? {
            info = info.set_password(credentials.password.expose_secret());
            if let Some(username) = credentials.username {
                info = info.set_username(username);
            }
        }
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(RESPONSE_TIMEOUT));
        let stream = self.connector.open(&self.address).await?;
        let (connection, driver) = MultiplexedConnection::new_with_config(&info, stream, config)
            .await
            .map_err(io::Error::other)?;
        Ok(Live {
            version,
            connection,
            _driver: AbortOnDropHandle::new(tokio::spawn(driver)),
        })
    }

    /// Gives a failed connection up, unless another was opened already. Commands on it still get their answers.
    async fn forget(&self, failed: &Arc<Live>) {
        let mut slot = self.slot.lock().await;
        slot.live.take_if(|live| Arc::ptr_eq(live, failed));
    }

    fn unanswered(&self, error: &RedisError) -> NodeError {
        let kind = if error.is_timeout() {
            ErrorKind::Timeout
        } else {
            ErrorKind::Disconnected
        };
        self.metrics.failed(self.cluster, kind);
        NodeError::Unanswered {
            address: self.address.clone(),
            reason: error.to_string(),
        }
    }
}
