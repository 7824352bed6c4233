//! Writes hints into the two clusters: SETs grouped by master into chunks, each chunk answered on one channel.
//!
//! The queues are the one to each connection and the one of answers. Both hold every chunk that may exist, so
//! neither is ever full; what fills when Redis is slow is the number of chunks at work, and [`Writer::has_room`]
//! tells the caller to stop taking records.

use std::collections::HashMap;
use std::sync::Arc;

use messagebus::clock::BootInstant;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::address::Address;
use crate::args::RedisArgs;
use crate::chunk::{Chunk, ChunkAnswer, Purpose};
use crate::cluster::Cluster;
use crate::cluster_name::ClusterName;
use crate::connection::{Connection, Outlets};
use crate::metrics::RedisMetrics;
use crate::pool::{MAX_CHUNKS, Pool};
use crate::redirect;
use crate::routes::Routes;
use crate::slot::slot_of_name;
use crate::topology::Topology;
use crate::value::AgeValue;

/// Chunks at work above which the caller is told to wait, for each master of a cluster and for the cluster.
const ROOM_PER_MASTER: usize = 16;
const ROOM: usize = 32;

/// So many chunks exist that no further one may be begun; cannot happen to a caller that asks
/// [`Writer::has_room`] before each poll of Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many chunks are waiting for Redis")]
pub struct NoRoom;

/// The writing side of both clusters. Dropping it ends its connections.
#[derive(Debug)]
pub struct Writer {
    a: ClusterWriter,
    b: ClusterWriter,
}

/// SETs of one batch being grouped by master. Dropping it before [`Stage::finish`] leaves the SETs of the chunks
/// that are not full unsent and unanswered.
#[derive(Debug)]
#[must_use = "the last chunk of each master is sent by `finish`"]
pub struct Stage<'a> {
    writer: &'a mut ClusterWriter,
    purpose: Purpose,
    sent: u32,
}

#[derive(Debug)]
struct ClusterWriter {
    cluster: Cluster,
    map: watch::Receiver<Arc<Topology>>,
    pool: Arc<Pool>,
    outlets: Outlets,
    routes: Routes,
    tasks: JoinSet<()>,
}

impl Writer {
    /// Starts both clusters' connections; within a tokio runtime. Neither has to be reachable yet.
    ///
    /// # Errors
    /// See [`Cluster::start`].
    pub fn start(
        args: &RedisArgs,
        metrics: &RedisMetrics,
    ) -> anyhow::Result<(Self, mpsc::Receiver<ChunkAnswer>)> {
        let (answers, receiver) = mpsc::channel(2 * MAX_CHUNKS);
        let start = |name| -> anyhow::Result<ClusterWriter> {
            let cluster = Cluster::start(args, name, metrics.clone())?;
            Ok(ClusterWriter::start(cluster, answers.clone()))
        };
        Ok((
            Self {
                a: start(ClusterName::A)?,
                b: start(ClusterName::B)?,
            },
            receiver,
        ))
    }

    /// The cluster of that name, for its state.
    #[must_use]
    pub fn cluster(&self, name: ClusterName) -> &Cluster {
        match name {
            ClusterName::A => &self.a.cluster,
            ClusterName::B => &self.b.cluster,
        }
    }

    /// Whether another poll's records may be staged for `generation`. False while so much is waiting for Redis
    /// that more would only wait as well.
    #[must_use]
    pub fn has_room(&self, generation: u64) -> bool {
        let writer = match ClusterName::of(generation) {
            ClusterName::A => &self.a,
            ClusterName::B => &self.b,
        };
        writer.pool.out() < ROOM + ROOM_PER_MASTER * writer.routes.masters.len()
    }

    /// Begins to group SETs of one batch. `tag` comes back with every chunk. A chunk not on the wire by
    /// `send_until`, the end of the caller's lease, is never sent.
    pub fn stage(&mut self, generation: u64, tag: u64, send_until: BootInstant) -> Stage<'_> {
        let writer = match ClusterName::of(generation) {
            ClusterName::A => &mut self.a,
            ClusterName::B => &mut self.b,
        };
        writer.follow_map();
        writer
            .routes
            .masters
            .iter_mut()
            .for_each(|master| master.open = None);
        let map_version = writer.routes.version;
        Stage {
            writer,
            purpose: Purpose {
                generation,
                tag,
                send_until,
                map_version,
            },
            sent: 0,
        }
    }
}

impl Stage<'_> {
    /// Adds `SET name value NX`. `mark` comes back with it.
    ///
    /// # Errors
    /// [`NoRoom`]: it was not added.
    pub fn push(&mut self, name: &[u8], value: AgeValue, mark: u64) -> Result<(), NoRoom> {
        let ClusterWriter {
            routes,
            pool,
            outlets,
            ..
        } = &mut *self.writer;
        let master = routes.of_slot(slot_of_name(name)).ok_or(NoRoom)?;
        if master.open.is_none() {
            master.open = Some(pool.take(self.purpose).ok_or(NoRoom)?);
        }
        if let Some(chunk) = master.open.as_mut() {
            chunk.push(name, value, mark);
            if chunk.is_full() {
                self.sent += master.send(outlets);
            }
        }
        Ok(())
    }

    /// Sends what is left, and says how many chunks the batch became: that many answers will come.
    #[must_use]
    pub fn finish(self) -> u32 {
        let ClusterWriter { routes, outlets, .. } = self.writer;
        self.sent
            + routes
                .masters
                .iter_mut()
                .map(|master| master.send(outlets))
                .sum::<u32>()
    }
}

impl ClusterWriter {
    fn start(cluster: Cluster, answers: mpsc::Sender<ChunkAnswer>) -> Self {
        let (redirected, to_follow_up) = mpsc::channel(MAX_CHUNKS);
        let mut tasks = JoinSet::new();
        tasks.spawn(redirect::run(cluster.clone(), to_follow_up, answers.clone()));
        let map = cluster.subscribe();
        let outlets = Outlets { answers, redirected };
        let mut writer = Self {
            cluster,
            map,
            pool: Arc::default(),
            outlets,
            routes: Routes::default(),
            tasks,
        };
        writer.adopt(&Topology::unknown());
        writer
    }

    /// Adopts the newest slot map if it is newer than the routes.
    fn follow_map(&mut self) {
        let map = Arc::clone(&self.map.borrow_and_update());
        if map.version != self.routes.version {
            self.adopt(&map);
        }
    }

    /// Keeps the connections to masters that stay, opens those that are missing, and lets the others finish what
    /// they have.
    fn adopt(&mut self, map: &Topology) {
        let mut queues: HashMap<Address, mpsc::Sender<Chunk>> = std::mem::take(&mut self.routes.masters)
            .into_iter()
            .filter_map(|master| master.queue)
            .collect();
        let mut routes = Routes::of(map);
        for (master, owner) in routes.masters.iter_mut().zip(map.owners()) {
            let address = owner.address.clone();
            let queue = queues
                .remove(&address)
                .unwrap_or_else(|| self.connect(address.clone()));
            master.queue = Some((address, queue));
        }
        self.routes = routes;
        while self.tasks.try_join_next().is_some() {}
    }

    fn connect(&mut self, address: Address) -> mpsc::Sender<Chunk> {
        let (queue, chunks) = mpsc::channel(MAX_CHUNKS);
        let (cluster, outlets) = (self.cluster.clone(), self.outlets.clone());
        self.tasks.spawn(
            Connection {
                cluster,
                address,
                chunks,
                outlets,
            }
            .run(),
        );
        queue
    }
}
