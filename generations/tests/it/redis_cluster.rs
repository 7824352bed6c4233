//! A real Redis cluster of masters on loopback that ends with the test.

use std::collections::HashSet;
use std::net::TcpListener;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, cmd};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::support::PATIENCE;

pub(crate) struct RedisCluster {
    pub(crate) nodes: Vec<RedisNode>,
    _dir: TempDir,
}

pub(crate) struct RedisNode {
    pub(crate) port: u16,
    pub(crate) id: String,
    process: Child,
    connection: MultiplexedConnection,
}

impl RedisCluster {
    /// Starts `masters` nodes that share the slots evenly; `settings` are further arguments of each server.
    pub(crate) async fn start(masters: u16, settings: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut nodes = Vec::new();
        for index in 0..masters {
            nodes.push(RedisNode::start(&dir, index, settings).await);
        }
        let share = 16_384_u32.div_ceil(u32::from(masters));
        for (index, node) in (0u32..).zip(&nodes) {
            let (first, last) = (index * share, ((index + 1) * share).min(16_384) - 1);
            let () = node
                .run(cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(first).arg(last))
                .await;
            let () = node
                .run(cmd("CLUSTER").arg("SET-CONFIG-EPOCH").arg(index + 1))
                .await;
            let (meet, bus) = (&nodes[0], nodes[0].port);
            if node.port != bus {
                let arguments = ("MEET", "127.0.0.1", bus, meet.bus_port().await);
                let () = node.run(cmd("CLUSTER").arg(arguments)).await;
            }
        }
        let cluster = Self { nodes, _dir: dir };
        cluster.wait_until_ok().await;
        cluster
    }

    pub(crate) fn seeds(&self) -> String {
        self.nodes
            .iter()
            .map(|node| format!("redis://127.0.0.1:{}", node.port))
            .collect::<Vec<_>>()
            .join(",")
    }

    pub(crate) async fn key_count(&self) -> u64 {
        let mut keys = 0;
        for node in &self.nodes {
            keys += node.run::<u64>(&cmd("DBSIZE")).await;
        }
        keys
    }

    /// Waits until every node knows every other and whose each slot is: an importing node learns it from nobody, and
    /// would answer CLUSTERDOWN for ever.
    async fn wait_until_ok(&self) {
        let deadline = Instant::now() + PATIENCE;
        for node in &self.nodes {
            loop {
                let info: String = node.run(cmd("CLUSTER").arg("INFO")).await;
                let nodes = format!("cluster_known_nodes:{}", self.nodes.len());
                let expected = ["cluster_state:ok", "cluster_slots_assigned:16384", &nodes];
                if expected.iter().all(|expected| info.contains(expected)) {
                    break;
                }
                assert!(Instant::now() < deadline, "the cluster did not form: {info}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

impl RedisCluster {
    /// Waits until every node knows the newest epoch and no two have the same. Before that a new owner may lose its
    /// slot to the old one's claim, and deletes the keys then: Redis's own loss, not what is looked for here.
    pub(crate) async fn wait_until_epochs_settle(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (mut known, mut own) = (HashSet::new(), HashSet::new());
            for node in &self.nodes {
                let info: String = node.run(cmd("CLUSTER").arg("INFO")).await;
                let field = |name| {
                    info.lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(String::from)
                };
                known.insert(field("cluster_current_epoch:").unwrap());
                own.insert(field("cluster_my_epoch:").unwrap());
            }
            if known.len() == 1 && own.len() == self.nodes.len() {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "epochs do not settle: {known:?} {own:?}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl RedisNode {
    async fn start(dir: &TempDir, index: u16, settings: &[&str]) -> Self {
        let (port, bus) = (free_port(), free_port());
        let node_dir = dir.path().join(index.to_string());
        std::fs::create_dir(&node_dir).unwrap();
        let process = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--cluster-enabled",
                "yes",
            ])
            .args([
                "--cluster-port",
                &bus.to_string(),
                "--cluster-node-timeout",
                "2000",
                "--save",
                "",
            ])
            .args([
                "--cluster-require-full-coverage",
                "no",
                "--appendonly",
                "no",
                "--dir",
            ])
            .arg(&node_dir)
            .args(settings)
            .stdout(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
        let connection = loop {
            match client.get_multiplexed_async_connection().await {
                Ok(connection) => break connection,
                Err(error) => assert!(Instant::now() < deadline, "redis-server does not start: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let mut node = Self {
            port,
            id: String::new(),
            process,
            connection,
        };
        node.id = node.run(cmd("CLUSTER").arg("MYID")).await;
        let info: String = node.run(cmd("INFO").arg("server")).await;
        let own = format!("process_id:{}\r", node.process.id().unwrap());
        assert!(info.contains(&own), "another server has port {port}");
        node
    }

    pub(crate) async fn run<T: FromRedisValue>(&self, command: &Cmd) -> T {
        command.query_async(&mut self.connection.clone()).await.unwrap()
    }

    pub(crate) async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    async fn bus_port(&self) -> u16 {
        let nodes: String = self.run(cmd("CLUSTER").arg("NODES")).await;
        let line = nodes.lines().find(|line| line.contains("myself")).unwrap();
        let bus = line.split(['@', ' ', ',']).nth(2).unwrap();
        bus.parse().unwrap()
    }
}

/// A port that was free a moment ago, below those that Linux gives to outgoing connections: one of those would take it
/// now and then. None goes to two askers.
pub(crate) fn free_port() -> u16 {
    const PORTS: std::ops::Range<u16> = 10_000..32_000;
    static NEXT: LazyLock<AtomicUsize> =
        LazyLock::new(|| AtomicUsize::new(rand::random_range(0..PORTS.len())));
    let port = || {
        PORTS
            .clone()
            .nth(NEXT.fetch_add(1, Ordering::Relaxed) % PORTS.len())
    };
    std::iter::from_fn(port)
        .take(100)
        .find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        .unwrap()
}

/// A slot on its way from one node of a cluster to another.
pub(crate) struct Migration {
    pub(crate) slot: u16,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

impl Migration {
    pub(crate) async fn begin(&self, cluster: &RedisCluster) {
        cluster.wait_until_epochs_settle().await;
        let (from, to) = (&cluster.nodes[self.from], &cluster.nodes[self.to]);
        let () = to
            .run(
                cmd("CLUSTER")
                    .arg("SETSLOT")
                    .arg(self.slot)
                    .arg("IMPORTING")
                    .arg(&from.id),
            )
            .await;
        let () = from
            .run(
                cmd("CLUSTER")
                    .arg("SETSLOT")
                    .arg(self.slot)
                    .arg("MIGRATING")
                    .arg(&to.id),
            )
            .await;
    }

    /// Moves up to `limit` keys and says how many there were.
    pub(crate) async fn move_keys(&self, cluster: &RedisCluster, limit: usize) -> usize {
        let (from, to) = (&cluster.nodes[self.from], &cluster.nodes[self.to]);
        let list = (String::from("GETKEYSINSLOT"), self.slot, limit);
        let names: Vec<Vec<u8>> = from.run(cmd("CLUSTER").arg(list)).await;
        if !names.is_empty() {
            let mut migrate = cmd("MIGRATE");
            migrate
                .arg("127.0.0.1")
                .arg(to.port)
                .arg("")
                .arg(0)
                .arg(5_000)
                .arg("KEYS")
                .arg(&names);
            let () = from.run(&migrate).await;
        }
        names.len()
    }

    /// Moves what is left and makes the target the owner.
    pub(crate) async fn end(&self, cluster: &RedisCluster) {
        while self.move_keys(cluster, 200).await > 0 {}
        let others = (0..cluster.nodes.len()).filter(|index| *index != self.from && *index != self.to);
        for index in [self.to, self.from].into_iter().chain(others) {
            let node = (self.slot, "NODE", &cluster.nodes[self.to].id);
            let () = cluster.nodes[index]
                .run(cmd("CLUSTER").arg("SETSLOT").arg(node))
                .await;
        }
    }
}
