//! One cluster as this process knows it: its slot map, kept fresh, and a client for each node.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use redis::{Value, cmd};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use crate::address::Address;
use crate::args::RedisArgs;
use crate::cluster_name::ClusterName;
use crate::connect::Connector;
use crate::metrics::{Command, RedisMetrics};
use crate::node::{Node, NodeError};
use crate::topology::{Topology, View, merge};

/// How often the slot map is read without a reason.
const REFRESH_EVERY: Duration = Duration::from_secs(30);
/// How often it is tried while no node tells it.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// Least time between two readings, however many ask for one.
const REFRESH_GAP: Duration = Duration::from_millis(50);
/// How long the slower nodes are waited for once one has answered.
const STRAGGLERS: Duration = Duration::from_millis(250);

/// No node of the cluster told its slot map.
#[derive(Debug, Clone, thiserror::Error)]
#[error("no node of {cluster} tells its slot map, last: {last}")]
pub struct Unreachable {
    cluster: ClusterName,
    last: String,
}

/// One of the two clusters; cheap to clone. The slot map is read again every 30 s while a clone lives.
#[derive(Clone)]
pub struct Cluster {
    shared: Arc<Shared>,
    _refresher: Arc<AbortOnDropHandle<()>>,
}

struct Shared {
    name: ClusterName,
    connector: Connector,
    seeds: Vec<Address>,
    metrics: RedisMetrics,
    nodes: Mutex<HashMap<Address, Arc<Node>>>,
    map: watch::Sender<Arc<Topology>>,
    /// When the map was last asked for; held while asking.
    asked: tokio::sync::Mutex<Option<Instant>>,
    wanted: Notify,
}

impl Cluster {
    /// Begins to read the slot map; within a tokio runtime. An unreachable cluster is no error: it has an empty
    /// map until it is back.
    ///
    /// # Errors
    /// Settings that cannot work: see [`Connector::new`].
    pub fn start(args: &RedisArgs, name: ClusterName, metrics: RedisMetrics) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            name,
            connector: Connector::new(args, name, metrics.bus())?,
            seeds: args.seeds(name).iter().map(|seed| seed.address.clone()).collect(),
            metrics,
            nodes: Mutex::default(),
            map: watch::Sender::new(Arc::new(Topology::unknown())),
            asked: tokio::sync::Mutex::default(),
            wanted: Notify::new(),
        });
        let refresher = tokio::spawn(Arc::clone(&shared).keep_fresh());
        Ok(Self {
            shared,
            _refresher: Arc::new(AbortOnDropHandle::new(refresher)),
        })
    }

    /// Which of the two it is.
    #[must_use]
    pub fn name(&self) -> ClusterName {
        self.shared.name
    }

    /// The slot map last read.
    #[must_use]
    pub fn topology(&self) -> Arc<Topology> {
        Arc::clone(&self.shared.map.borrow())
    }

    /// Follows the slot map.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Topology>> {
        self.shared.map.subscribe()
    }

    /// A slot map newer than version `than`: at once if there is one, else read now. Several callers share one
    /// reading. Cancel-safe.
    ///
    /// # Errors
    /// No node answered.
    pub async fn refresh(&self, than: u64) -> Result<Arc<Topology>, Unreachable> {
        self.shared.refresh(than).await
    }

    /// Has the slot map read soon, without waiting for it.
    pub fn request_refresh(&self) {
        self.shared.wanted.notify_one();
    }

    pub(crate) fn connector(&self) -> &Connector {
        &self.shared.connector
    }

    pub(crate) fn metrics(&self) -> &RedisMetrics {
        &self.shared.metrics
    }

    /// The client of a node.
    pub(crate) fn node(&self, address: &Address) -> Arc<Node> {
        self.shared.node(address)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("name", &self.shared.name)
            .finish_non_exhaustive()
    }
}

impl Shared {
    async fn keep_fresh(self: Arc<Self>) {
        let mut lost = false;
        loop {
            let known = self.map.borrow().version;
            let read = self.refresh(known).await;
            let redis_cluster = self.name.label();
            match &read {
                Ok(_) if lost => tracing::info!(redis_cluster, "slot map read again"),
                Err(error) if !lost => {
                    let error = error as &dyn std::error::Error;
                    tracing::warn!(redis_cluster, error, "slot map not read, trying each second");
                }
                Ok(_) | Err(_) => {}
            }
            lost = read.is_err();
            let wait = if lost { RETRY_EVERY } else { REFRESH_EVERY };
            // Out of time or asked for: either way it is read again.
            let _woken = timeout(wait, self.wanted.notified()).await;
        }
    }

    async fn refresh(&self, than: u64) -> Result<Arc<Topology>, Unreachable> {
        let mut asked = self.asked.lock().await;
        if self.map.borrow().version > than {
            return Ok(Arc::clone(&self.map.borrow()));
        }
        if let Some(last) = *asked {
            sleep_until(last + REFRESH_GAP).await;
        }
        *asked = Some(Instant::now());
        let views = self.views().await?;
        let version = self.map.borrow().version + 1;
        let map = merge(&views).map(|map| Arc::new(map.with_version(version)));
        let map = map.ok_or_else(|| self.unreachable("no views"))?;
        self.nodes.lock().retain(|address, _| {
            self.seeds.contains(address) || map.nodes().iter().any(|node| node.address == *address)
        });
        self.map.send_replace(Arc::clone(&map));
        Ok(map)
    }

    /// Asks masters and seeds at once; returns what they said until a while after the first.
    async fn views(&self) -> Result<Vec<View>, Unreachable> {
        let mut addresses = self.seeds.clone();
        addresses.extend(self.map.borrow().masters().map(|node| node.address.clone()));
        addresses.sort_unstable();
        addresses.dedup();
        let mut answers: FuturesUnordered<_> = addresses
            .into_iter()
            .map(|address| view_of(self.node(&address)))
            .collect();

        let (mut views, mut last) = (Vec::new(), String::from("none was asked"));
        let mut until = None;
        loop {
            let next = match until {
                None => answers.next().await,
                Some(until) => timeout_at(until, answers.next()).await.unwrap_or(None),
            };
            match next {
                Some(Ok(view)) => {
                    views.push(view);
                    until.get_or_insert_with(|| Instant::now() + STRAGGLERS);
                }
                Some(Err(error)) => last = error.to_string(),
                None if views.is_empty() => return Err(self.unreachable(&last)),
                None => return Ok(views),
            }
        }
    }

    fn node(&self, address: &Address) -> Arc<Node> {
        let mut nodes = self.nodes.lock();
        let node = nodes.entry(address.clone()).or_insert_with(|| {
            Arc::new(Node::new(
                address.clone(),
                self.name,
                self.connector.clone(),
                self.metrics.clone(),
            ))
        });
        Arc::clone(node)
    }

    fn unreachable(&self, last: &str) -> Unreachable {
        Unreachable {
            cluster: self.name,
            last: last.to_owned(),
        }
    }
}

/// A node's view of its cluster.
pub(crate) async fn view_of(node: Arc<Node>) -> Result<View, NodeError> {
    let mut command = cmd("CLUSTER");
    command.arg("NODES");
    let answer = node.call(Command::Nodes, command).await?;
    read_view(&node, answer)
}

/// Reads the answer of `CLUSTER NODES`.
pub(crate) fn read_view(node: &Node, answer: Value) -> Result<View, NodeError> {
    let text = redis::from_redis_value::<String>(answer).map_err(|_| node.malformed())?;
    View::parse(&text, &node.address().host).ok_or_else(|| node.malformed())
}
