//! One `redis-server` of a cluster.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, Pipeline, cmd};

use super::certificates::Authority;
use super::users::{OPERATOR, REPLICA, password};
use crate::ports;
use crate::process::{Process, READY_WITHIN};
use crate::proxy::Proxy;

/// A node that is stopped in its tracks must not stop whoever asks it; a busy machine takes its time.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A running node.
#[derive(Debug)]
pub(super) struct Node {
    /// In the clear, the test's own way in where there is another.
    port: u16,
    tls_port: Option<u16>,
    pub(super) bus: u16,
    /// What the node announces in place of its own port.
    proxy: Option<Proxy>,
    dir: PathBuf,
    settings: Vec<String>,
    process: Process,
    connection: MultiplexedConnection,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    Frozen,
    Dead,
}

impl Node {
    pub(super) async fn start(
        dir: &Path,
        users: &Path,
        settings: &[&str],
        is_proxied: bool,
        authority: Option<&Authority>,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let (port, bus) = (ports::free()?.port(), ports::free()?.port());
        let (users, replica) = (users.display().to_string(), password(REPLICA));
        let log_in = [
            "--aclfile",
            &users,
            "--masteruser",
            REPLICA,
            "--masterauth",
            &replica,
        ];
        let settings = log_in.iter().chain(settings).map(|&setting| setting.to_owned());
        let mut settings: Vec<String> = settings.collect();
        let tls_port = match authority {
            Some(authority) => {
                let port = ports::free()?.port();
                settings.extend(encryption(port, authority));
                Some(port)
            }
            None => None,
        };
        let mut proxy = None;
        if is_proxied {
            let served = tls_port.unwrap_or(port);
            let started = Proxy::start(SocketAddr::from((Ipv4Addr::LOCALHOST, served))).await?;
            settings.extend(announcement(port, tls_port, bus, started.address().port()));
            proxy = Some(started);
        }
        let mut process = launch(dir, port, bus, &settings)?;
        let connection = connect(port, &mut process).await?;
        Ok(Self {
            port,
            tls_port,
            bus,
            proxy,
            dir: dir.to_owned(),
            settings,
            process,
            connection,
            state: State::Up,
        })
    }

    /// Where clients and other nodes are served.
    pub(super) fn served_port(&self) -> u16 {
        self.tls_port.unwrap_or(self.port)
    }

    /// Where they are led to.
    pub(super) fn announced_port(&self) -> u16 {
        self.proxy
            .as_ref()
            .map_or(self.served_port(), |proxy| proxy.address().port())
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.tls_port.is_some()
    }

    pub(super) fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// Neither killed nor stopped in its tracks.
    pub(super) fn is_up(&self) -> bool {
        self.state == State::Up
    }

    pub(super) fn id(&self) -> Option<u32> {
        self.process.id()
    }

    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        if self.state == State::Dead {
            return Ok(());
        }
        self.state = State::Dead;
        self.process.kill().await
    }

    pub(super) fn freeze(&mut self, frozen: bool) -> anyhow::Result<()> {
        if self.state == State::Dead {
            return Ok(());
        }
        self.state = if frozen { State::Frozen } else { State::Up };
        self.process.freeze(frozen)
    }

    pub(super) async fn restart(&mut self) -> anyhow::Result<()> {
        if self.state != State::Dead {
            return Ok(());
        }
        self.process = launch(&self.dir, self.port, self.bus, &self.settings)?;
        self.connection = connect(self.port, &mut self.process).await?;
        self.state = State::Up;
        Ok(())
    }

    pub(super) async fn is_master(&self) -> bool {
        let info = self.run::<String>(cmd("INFO").arg("replication")).await;
        info.is_ok_and(|info| info.contains("role:master"))
    }

    pub(super) async fn write(&self, pipeline: &Pipeline) -> anyhow::Result<()> {
        if pipeline.is_empty() {
            return Ok(());
        }
        let written = pipeline.query_async(&mut self.connection.clone()).await;
        written.with_context(|| format!("writing keys to redis-server on port {}", self.port))
    }

    pub(super) async fn run<T: FromRedisValue>(&self, command: &Cmd) -> anyhow::Result<T> {
        let answer = command.query_async(&mut self.connection.clone()).await;
        answer.with_context(|| {
            let id = self.process.id();
            format!("asking redis-server {id:?} on port {}", self.port)
        })
    }
}

/// Settings of a node that serves on `port` whoever shows a certificate, and shows its own to other nodes.
fn encryption(port: u16, authority: &Authority) -> Vec<String> {
    let [ca, certificate, key] = authority.server().map(|path| path.display().to_string());
    [
        ["--tls-port", &port.to_string()],
        ["--tls-cluster", "yes"],
        ["--tls-replication", "yes"],
        ["--tls-auth-clients", "yes"],
        ["--tls-ca-cert-file", &ca],
        ["--tls-cert-file", &certificate],
        ["--tls-key-file", &key],
    ]
    .concat()
    .into_iter()
    .map(str::to_owned)
    .collect()
}

/// Settings of a node that leads whom it serves to `announced`.
fn announcement(port: u16, tls_port: Option<u16>, bus: u16, announced: u16) -> Vec<String> {
    let (port, tls_port) = match tls_port {
        Some(_) => (port, announced),
        None => (announced, 0),
    };
    [
        ["--cluster-announce-ip", "127.0.0.1"],
        ["--cluster-announce-port", &port.to_string()],
        ["--cluster-announce-tls-port", &tls_port.to_string()],
        ["--cluster-announce-bus-port", &bus.to_string()],
    ]
    .concat()
    .into_iter()
    .map(str::to_owned)
    .collect()
}

fn launch(dir: &Path, port: u16, bus: u16, settings: &[String]) -> anyhow::Result<Process> {
    Process::start(
        "redis-server",
        Path::new("redis-server"),
        &dir.join("redis.log"),
        |command| {
            command
                .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
                .args(["--cluster-enabled", "yes", "--cluster-port", &bus.to_string()])
                .args([
                    "--cluster-node-timeout",
                    "5000",
                    "--maxmemory-policy",
                    "noeviction",
                ])
                .args(["--save", "", "--appendonly", "no", "--dir"])
                .arg(dir)
                .args(settings)
        },
    )
}

async fn connect(port: u16, process: &mut Process) -> anyhow::Result<MultiplexedConnection> {
    let deadline = Instant::now() + READY_WITHIN;
    let url = format!("redis://{OPERATOR}:{}@127.0.0.1:{port}", password(OPERATOR));
    let client = redis::Client::open(url).context("addressing redis-server")?;
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_WITHIN));
    loop {
        process.check()?;
        match client.get_multiplexed_async_connection_with_config(&config).await {
            Ok(connection) => return Ok(connection),
            Err(error) if Instant::now() > deadline => {
                return Err(error).with_context(|| {
                    format!("redis-server does not answer on port {port} within {READY_WITHIN:?}")
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}
