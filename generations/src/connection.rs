//! One connection of the writer to one master: many chunks on the wire, answers read as they come.

use std::io;
use std::time::Duration;

use messagebus::clock::BootInstant;
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::address::Address;
use crate::chunk::{Block, Chunk, ChunkAnswer};
use crate::cluster::Cluster;
use crate::connect::{Duplex, RESPONSE_TIMEOUT, within_connect_timeout};
use crate::error_kind::ErrorKind;
use crate::handshake::greet;
use crate::in_flight::{Answered, InFlight};
use crate::metrics::Command;

const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(1);
const READ_BUFFER: usize = 64 * 1024;

/// Where a connection's chunks go once it is done with them.
#[derive(Clone, Debug)]
pub(crate) struct Outlets {
    /// To the caller.
    pub(crate) answers: mpsc::Sender<ChunkAnswer>,
    /// Chunks with redirections, to be followed up first.
    pub(crate) redirected: mpsc::Sender<Chunk>,
}

/// What ended a connection.
enum End {
    /// Nobody sends to this master any more and all is answered.
    Idle,
    /// The credentials have changed and all is answered.
    Renewed,
    Failed(ErrorKind, io::Error),
}

pub(crate) struct Connection {
    pub(crate) cluster: Cluster,
    pub(crate) address: Address,
    pub(crate) chunks: mpsc::Receiver<Chunk>,
    pub(crate) outlets: Outlets,
}

impl Connection {
    /// Serves the queue until its senders are gone. A chunk that cannot be sent is answered
    /// [`Block::Unreachable`] rather than kept: its owner decides, since its lease runs.
    pub(crate) async fn run(mut self) {
        let mut backoff = FIRST_BACKOFF;
        while !(self.chunks.is_closed() && self.chunks.is_empty()) {
            let version = self.cluster.connector().version();
            let (kind, error) = match within_connect_timeout(self.connect()).await {
                Ok(stream) => {
                    backoff = FIRST_BACKOFF;
                    match self.serve(stream, version).await {
                        End::Idle => return,
                        End::Renewed => continue,
                        End::Failed(kind, error) => (kind, error),
                    }
                }
                Err(error) => (ErrorKind::Unreachable, error),
            };
            self.report(kind, &error, backoff > FIRST_BACKOFF);
            self.refuse_until(Instant::now() + backoff).await;
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }

    async fn connect(&self) -> io::Result<Box<dyn Duplex>> {
        let connector = self.cluster.connector();
        let credentials = connector.credentials().map_err(io::Error::other)?;
        let mut stream = connector.open(&self.address).await?;
        greet(&mut *stream, credentials.as_ref()).await?;
        Ok(stream)
    }

    /// Reads before it writes and writes before it takes on more, so that neither side waits for the other with
    /// full buffers.
    /// `version` is that of the credentials which it was opened with.
    async fn serve(&mut self, stream: Box<dyn Duplex>, version: u64) -> End {
        let (mut reader, mut writer) = split(stream);
        let mut buffer = Vec::with_capacity(READ_BUFFER);
        let mut wire = InFlight::default();
        let mut closing = false;
        let end = loop {
            if closing && wire.oldest().is_none() {
                break End::Idle;
            }
            let renewing = self.cluster.connector().version() != version;
            if renewing && wire.oldest().is_none() {
                break End::Renewed;
            }
            let deadline = wire.oldest().map(|since| since + RESPONSE_TIMEOUT);
            tokio::select! {
                biased;
                read = reader.read_buf(&mut buffer) => {
                    let outcome = match read {
                        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                        Ok(_) => self.answered(&mut wire, &mut buffer).await,
                        Err(error) => Err(error),
                    };
                    if let Err(error) = outcome {
                        break End::Failed(ErrorKind::Disconnected, error);
                    }
                }
                wrote = writer.write(wire.to_write()), if !wire.to_write().is_empty() => match wrote {
                    Ok(0) => break End::Failed(ErrorKind::Disconnected, io::ErrorKind::WriteZero.into()),
                    Ok(bytes) => wire.wrote(bytes),
                    Err(error) => break End::Failed(ErrorKind::Disconnected, error),
                },
                chunk = self.chunks.recv(), if !closing && !renewing && wire.has_room() => match chunk {
                    Some(chunk) => self.begin(&mut wire, chunk).await,
                    None => closing = true,
                },
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    break End::Failed(ErrorKind::Timeout, io::ErrorKind::TimedOut.into());
                }
            }
        };
        for chunk in wire.abandon() {
            self.give_back(chunk).await;
        }
        end
    }

    async fn begin(&self, wire: &mut InFlight, mut chunk: Chunk) {
        if BootInstant::now() < chunk.purpose.send_until {
            wire.begin(chunk, Instant::now());
        } else {
            chunk.block(Block::Lapsed);
            self.give_back(chunk).await;
        }
    }

    async fn answered(&self, wire: &mut InFlight, buffer: &mut Vec<u8>) -> io::Result<()> {
        let mut used = 0;
        loop {
            let rest = buffer.get(used..).unwrap_or_default();
            let (taken, answered) = wire.read(rest, &self.address.host).map_err(io::Error::other)?;
            used += taken;
            match answered {
                Some(answered) => self.complete(answered).await,
                None => break,
            }
        }
        buffer.drain(..used);
        Ok(())
    }

    async fn complete(&self, answered: Answered) {
        let Answered {
            chunk,
            since,
            moved,
            error,
        } = answered;
        let (metrics, name) = (self.cluster.metrics(), self.cluster.name());
        metrics.answered(name, Command::Set, since.elapsed());
        if let Some(kind) = error {
            metrics.failed(name, kind);
        }
        if moved || !chunk.asked.is_empty() {
            send(&self.outlets.redirected, chunk).await;
        } else {
            self.give_back(chunk).await;
        }
    }

    /// Answers what is queued, until then, with "unreachable".
    async fn refuse_until(&mut self, until: Instant) {
        while let Ok(Some(mut chunk)) = tokio::time::timeout_at(until, self.chunks.recv()).await {
            chunk.block(Block::Unreachable);
            self.give_back(chunk).await;
        }
    }

    async fn give_back(&self, chunk: Chunk) {
        send(&self.outlets.answers, ChunkAnswer::of(chunk, BootInstant::now())).await;
    }

    /// The first failure of a row is a warning; the tries to connect again, each second, are not.
    fn report(&self, kind: ErrorKind, error: &io::Error, again: bool) {
        let name = self.cluster.name();
        self.cluster.metrics().failed(name, kind);
        let (redis_cluster, node, kind) = (name.label(), &self.address, kind.label());
        let error = error as &dyn std::error::Error;
        if again {
            tracing::debug!(redis_cluster, %node, kind, error, "still no connection to Redis");
        } else {
            tracing::warn!(redis_cluster, %node, kind, error, "connection to Redis failed, opening another");
        }
        self.cluster.request_refresh();
    }
}

/// The receiver is gone only when the whole writer is; then nobody is left to tell.
async fn send<T>(to: &mpsc::Sender<T>, item: T) {
    if to.send(item).await.is_err() {
        tracing::debug!("the writer has ended, an answer is dropped");
    }
}
