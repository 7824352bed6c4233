//! A Redis cluster of masters.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::future::try_join_all;
use generations::{AgeValue, SLOTS, slot_of_name};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, Pipeline, cmd};

use super::users::{OPERATOR, Passwords, REPLICA, password};
use crate::ports;
use crate::process::Process;

const READY_WITHIN: Duration = Duration::from_secs(20);
/// The client's own half second is little on a machine that does everything at once.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A running cluster.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    port: u16,
    bus: u16,
    dir: PathBuf,
    settings: Vec<String>,
    process: Process,
    connection: MultiplexedConnection,
}

impl RedisCluster {
    /// Starts `masters` nodes that share the slots evenly, with the users of `k8s/redis/users.acl`; `settings` are
    /// further arguments of each server.
    ///
    /// # Errors
    /// `redis-server` is missing or does not become ready.
    pub async fn start(dir: &Path, masters: u16, settings: &[&str]) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let users = Passwords::write(dir)?.acl_file()?;
        let mut nodes = Vec::new();
        for index in 0..masters {
            let dir = dir.join(index.to_string());
            std::fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
            nodes.push(Node::start(&dir, &users, settings).await?);
        }
        let cluster = Self { nodes };
        let (nodes, share) = (&cluster.nodes, cluster.share());
        let first = nodes.first().map(|node| (node.port, node.bus));
        for (index, node) in (0..).zip(nodes) {
            let (from, to) = (index * share, ((index + 1) * share).min(SLOTS) - 1);
            let () = node
                .run(cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(from).arg(to))
                .await?;
            let () = node
                .run(cmd("CLUSTER").arg("SET-CONFIG-EPOCH").arg(index + 1))
                .await?;
            if let Some((port, bus)) = first.filter(|_| index > 0) {
                let () = node
                    .run(cmd("CLUSTER").arg(("MEET", "127.0.0.1", port, bus)))
                    .await?;
            }
        }
        cluster.wait_until_ready().await?;
        Ok(cluster)
    }

    /// The nodes' addresses, as `REDIS_A` takes them.
    #[must_use]
    pub fn seeds(&self) -> String {
        let seeds = self
            .nodes
            .iter()
            .map(|node| format!("redis://127.0.0.1:{}", node.port));
        seeds.collect::<Vec<_>>().join(",")
    }

    /// Lets everybody do everything without a log-in, for development.
    ///
    /// # Errors
    /// A node does not answer.
    pub async fn open(&self) -> anyhow::Result<()> {
        let everything = ("SETUSER", "default", "on", "nopass", "~*", "&*", "+@all");
        for node in &self.nodes {
            let () = node.run(cmd("ACL").arg(everything)).await?;
        }
        Ok(())
    }

    /// Keys at all masters.
    ///
    /// # Errors
    /// A node does not answer.
    pub async fn keys(&self) -> anyhow::Result<u64> {
        let mut keys = 0;
        for node in &self.nodes {
            keys += node.run::<u64>(&cmd("DBSIZE")).await?;
        }
        Ok(keys)
    }

    /// Writes keys as a writer does for events as old as the generation.
    ///
    /// # Errors
    /// A node does not answer or refuses.
    pub async fn write(&self, names: impl Iterator<Item = Vec<u8>>) -> anyhow::Result<()> {
        let mut pipelines = vec![Pipeline::new(); self.nodes.len()];
        for name in names {
            let owner = usize::from(slot_of_name(&name) / self.share());
            let pipeline = pipelines.get_mut(owner).context("a slot without an owner")?;
            pipeline.cmd("SET").arg(name).arg(AgeValue::OPENED.get()).ignore();
        }
        let writes = self
            .nodes
            .iter()
            .zip(&pipelines)
            .map(|(node, keys)| node.write(keys));
        try_join_all(writes).await?;
        Ok(())
    }

    /// Slots of each node but the last, which may have fewer.
    fn share(&self) -> u16 {
        SLOTS.div_ceil(u16::try_from(self.nodes.len()).unwrap_or(SLOTS))
    }

    /// Changes a setting of one node, as `CONFIG SET` does.
    ///
    /// # Errors
    /// The node does not answer or refuses.
    pub async fn configure(&self, node: usize, setting: &str, value: &str) -> anyhow::Result<()> {
        let node = self.nodes.get(node).context("there is no such node")?;
        node.run(cmd("CONFIG").arg("SET").arg(setting).arg(value)).await
    }

    /// Loses everything that one node holds, as a restart without persistence does, and shows no sign of it.
    ///
    /// # Errors
    /// The node does not answer or refuses.
    pub async fn lose(&self, node: usize) -> anyhow::Result<()> {
        let node = self.nodes.get(node).context("there is no such node")?;
        node.run(&cmd("FLUSHALL")).await
    }

    /// Kills one node, as kill -9 does.
    ///
    /// # Errors
    /// It has ended before.
    pub async fn kill(&mut self, node: usize) -> anyhow::Result<()> {
        self.node_mut(node)?.process.kill().await
    }

    /// Starts one node again, empty, after it was killed; it keeps its place in the cluster.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn restart(&mut self, node: usize) -> anyhow::Result<()> {
        self.node_mut(node)?.restart().await
    }

    /// Stops one node in its tracks, or lets it go on.
    ///
    /// # Errors
    /// It has ended before.
    pub fn freeze(&mut self, node: usize, frozen: bool) -> anyhow::Result<()> {
        self.node_mut(node)?.process.freeze(frozen)
    }

    /// Cuts every other connection to one node.
    ///
    /// # Errors
    /// The node does not answer or refuses.
    pub async fn cut(&mut self, node: usize) -> anyhow::Result<()> {
        let kill = ("KILL", "TYPE", "NORMAL", "SKIPME", "YES");
        let _cut: u64 = self.node_mut(node)?.run(cmd("CLIENT").arg(kill)).await?;
        Ok(())
    }

    fn node_mut(&mut self, node: usize) -> anyhow::Result<&mut Node> {
        self.nodes.get_mut(node).context("there is no such node")
    }

    /// Lets writes wait at every node, for at most `longest`; reads go on.
    ///
    /// # Errors
    /// A node does not answer or refuses.
    pub async fn pause_writes(&self, longest: Duration) -> anyhow::Result<()> {
        let pause = ("PAUSE", u64::try_from(longest.as_millis())?, "WRITE");
        for node in &self.nodes {
            let () = node.run(cmd("CLIENT").arg(pause)).await?;
        }
        Ok(())
    }

    /// Lets writes go on.
    ///
    /// # Errors
    /// A node does not answer or refuses.
    pub async fn resume_writes(&self) -> anyhow::Result<()> {
        for node in &self.nodes {
            let () = node.run(cmd("CLIENT").arg("UNPAUSE")).await?;
        }
        Ok(())
    }

    async fn wait_until_ready(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        let all = format!("cluster_known_nodes:{}", self.nodes.len());
        for node in &self.nodes {
            loop {
                let info: String = node.run(cmd("CLUSTER").arg("INFO")).await?;
                if info.contains("cluster_state:ok") && info.contains(&all) {
                    break;
                }
                anyhow::ensure!(
                    Instant::now() < deadline,
                    "the Redis cluster does not form: {info}"
                );
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        Ok(())
    }
}

impl Node {
    async fn start(dir: &Path, users: &Path, settings: &[&str]) -> anyhow::Result<Self> {
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
        let settings: Vec<String> = settings.collect();
        let mut process = launch(dir, port, bus, &settings)?;
        let connection = connect(port, &mut process).await?;
        Ok(Self {
            port,
            bus,
            dir: dir.to_owned(),
            settings,
            process,
            connection,
        })
    }

    async fn restart(&mut self) -> anyhow::Result<()> {
        self.process = launch(&self.dir, self.port, self.bus, &self.settings)?;
        self.connection = connect(self.port, &mut self.process).await?;
        Ok(())
    }

    async fn write(&self, pipeline: &Pipeline) -> anyhow::Result<()> {
        if pipeline.is_empty() {
            return Ok(());
        }
        let written = pipeline.query_async(&mut self.connection.clone()).await;
        written.with_context(|| format!("writing keys to redis-server on port {}", self.port))
    }

    async fn run<T: FromRedisValue>(&self, command: &Cmd) -> anyhow::Result<T> {
        let answer = command.query_async(&mut self.connection.clone()).await;
        answer.with_context(|| {
            let id = self.process.id();
            format!("asking redis-server {id:?} on port {}", self.port)
        })
    }
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
    loop {
        process.check()?;
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_WITHIN));
        match client.get_multiplexed_async_connection_with_config(&config).await {
            Ok(connection) => return Ok(connection),
            Err(error) if Instant::now() > deadline => {
                return Err(error).context("redis-server does not answer");
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}
