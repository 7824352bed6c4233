//! Asks every node of a cluster who and how it is.

use futures_util::future::join_all;
use redis::{Pipeline, Value};

use crate::address::Address;
use crate::cluster::{Cluster, read_view};
use crate::info::Info;
use crate::metrics::Command;
use crate::node::NodeError;

/// A node that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// The cluster's own id of it, as the node itself gave it.
    pub node_id: String,
    /// Where it listens.
    pub address: Address,
    /// What it told.
    pub info: Info,
}

/// One look at all nodes of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The nodes that answered, replicas included.
    pub nodes: Vec<NodeStatus>,
    /// Ids of the nodes that own slots, answering or not.
    pub owners: Vec<String>,
    /// Every slot has an owner and each of them answered. GENERATIONS.md calls anything else unreachable.
    pub is_reachable: bool,
}

impl Survey {
    /// The largest share of its maxmemory that a master uses; 0 where none has a limit.
    #[must_use]
    pub fn memory_share(&self) -> f64 {
        let masters = self.nodes.iter().filter(|node| node.info.is_master);
        masters.map(|node| node.info.memory_share()).fold(0.0, f64::max)
    }
}

impl Cluster {
    /// Reads the slot map again and asks every node in it, replicas included, for its identity and state. Takes
    /// as long as the slowest node, at most the connect and response timeouts together. Cancel-safe.
    pub async fn survey(&self) -> Survey {
        let known = self.topology();
        // A cluster that does not tell its map is judged by the nodes known from before.
        let fresh = self.refresh(known.version).await;
        let map_is_fresh = fresh.is_ok();
        let map = fresh.unwrap_or(known);

        let asked = map.nodes().iter().map(|node| self.ask(&node.address));
        let nodes: Vec<NodeStatus> = join_all(asked).await.into_iter().flatten().collect();
        let owners: Vec<String> = map.owners().map(|owner| owner.id.clone()).collect();
        let answered = |id: &String| nodes.iter().any(|node| node.node_id == *id);
        let is_reachable = map_is_fresh && map.is_covered() && owners.iter().all(answered);
        Survey {
            nodes,
            owners,
            is_reachable,
        }
    }

    async fn ask(&self, address: &Address) -> Option<NodeStatus> {
        match self.status(address).await {
            Ok(status) => Some(status),
            Err(error) => {
                tracing::debug!(
                    redis_cluster = self.name().label(), node = %address,
                    error = &error as &dyn std::error::Error, "node did not tell its state"
                );
                None
            }
        }
    }

    async fn status(&self, address: &Address) -> Result<NodeStatus, NodeError> {
        let node = self.node(address);
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.cmd("CLUSTER").arg("NODES").cmd("INFO");
        let answers = node.pipeline(Command::Nodes, &pipeline).await?;
        let [view, info] = <[Value; 2]>::try_from(answers).map_err(|_| node.malformed())?;
        let view = read_view(&node, node.accept(view)?)?;
        let text = redis::from_redis_value::<String>(node.accept(info)?).map_err(|_| node.malformed())?;
        let info = Info::parse(&text).ok_or_else(|| node.malformed())?;
        Ok(NodeStatus {
            node_id: view.myself,
            address: address.clone(),
            info,
        })
    }
}
