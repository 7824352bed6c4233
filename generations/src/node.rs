//! The client of one node for everything but the writer's SETs: a multiplexed connection of redis-rs, and one of our own
//! for the drain, with a deadline on all they do.

use std::io;

use futures_util::future::{BoxFuture, FutureExt};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, Value};
use secrecy::ExposeSecret;
use tokio::time::{Instant, timeout};

use crate::address::Address;
use crate::answer::Answer;
use crate::cluster_name::ClusterName;
use crate::connect::{Connector, RESPONSE_TIMEOUT};
use crate::error_kind::ErrorKind;
use crate::handshake::greet;
use crate::line::Line;
use crate::metrics::{Command, RedisMetrics};
use crate::pipe::{Gone, Pipe};

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

/// One node of a cluster.
pub(crate) struct Node {
    address: Address,
    cluster: ClusterName,
    connector: Connector,
    metrics: RedisMetrics,
    /// For everything but names by the thousand.
    commands: Line<MultiplexedConnection>,
    drains: Line<Pipe>,
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
            commands: Line::default(),
            drains: Line::default(),
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
        let version = self.connector.version();
        let opened = self.commands.live(version, self.connect()).await;
        let live = opened.map_err(|reason| self.unreachable(reason))?;
        let begun = Instant::now();
        let count = pipeline.len();
        match live.client.clone().send_packed_commands(pipeline, 0, count).await {
            Ok(answers) if answers.len() == count => {
                self.metrics.answered(self.cluster, label, begun.elapsed());
                Ok(answers)
            }
            Ok(_) => Err(self.malformed()),
            Err(error) => {
                self.commands.forget(&live).await;
                let kind = if error.is_timeout() {
                    ErrorKind::Timeout
                } else {
                    ErrorKind::Disconnected
                };
                Err(self.unanswered(kind, error.to_string()))
            }
        }
    }

    /// Runs one command of the drain's, as it goes over the wire. Dropping the future may leave it done or not.
    pub(crate) async fn ask(&self, label: Command, wire: Vec<u8>) -> Result<Answer, NodeError> {
        let version = self.connector.version();
        let opened = self.drains.live(version, self.connect_pipe()).await;
        let live = opened.map_err(|reason| self.unreachable(reason))?;
        let begun = Instant::now();
        let (kind, reason) = match timeout(RESPONSE_TIMEOUT, live.client.ask(wire)).await {
            Ok(Ok(Answer::Error(line))) => {
                let line = String::from_utf8_lossy(&line);
                let (code, detail) = line.split_once(' ').unwrap_or((&line, ""));
                return Err(self.refused(code.as_bytes(), detail));
            }
            Ok(Ok(answer)) => {
                self.metrics.answered(self.cluster, label, begun.elapsed());
                return Ok(answer);
            }
            Ok(Err(Gone)) => (ErrorKind::Disconnected, "the connection was cut".to_owned()),
            Err(_elapsed) => (
                ErrorKind::Timeout,
                format!("nothing came within {RESPONSE_TIMEOUT:?}"),
            ),
        };
        self.drains.forget(&live).await;
        Err(self.unanswered(kind, reason))
    }

    /// The answer of one command, or the error that it is.
    pub(crate) fn accept(&self, answer: Value) -> Result<Value, NodeError> {
        let Value::ServerError(error) = answer else {
            return Ok(answer);
        };
        Err(self.refused(error.code().as_bytes(), error.details().unwrap_or_default()))
    }

    pub(crate) fn malformed(&self) -> NodeError {
        NodeError::Malformed {
            address: self.address.clone(),
        }
    }

    async fn connect(&self) -> io::Result<(MultiplexedConnection, BoxFuture<'static, ()>)> {
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
        Ok((connection, driver.boxed()))
    }

    async fn connect_pipe(&self) -> io::Result<(Pipe, impl Future<Output = ()> + use<>)> {
        let credentials = self.connector.credentials().map_err(io::Error::other)?;
        let mut stream = self.connector.open(&self.address).await?;
        greet(&mut *stream, credentials.as_ref()).await?;
        Ok(Pipe::new(stream))
    }

    /// That there is no connection, and why.
    fn unreachable(&self, reason: String) -> NodeError {
        self.metrics.failed(self.cluster, ErrorKind::Unreachable);
        NodeError::Unreachable {
            address: self.address.clone(),
            reason,
        }
    }

    /// What a node's error line means.
    fn refused(&self, code: &[u8], detail: &str) -> NodeError {
        let kind = ErrorKind::of_code(code);
        self.metrics.failed(self.cluster, kind);
        NodeError::Refused {
            address: self.address.clone(),
            kind,
            detail: detail.to_owned(),
        }
    }

    fn unanswered(&self, kind: ErrorKind, reason: String) -> NodeError {
        self.metrics.failed(self.cluster, kind);
        NodeError::Unanswered {
            address: self.address.clone(),
            reason,
        }
    }
}
