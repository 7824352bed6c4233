//! Two Redis clusters of one or two shards: names, run ids, what is out of reach, a slot on the move.

use std::collections::BTreeSet;

use generations::protocol::ClusterView;
use hint_schema::generation_event::{Generation, NodeSeen, Role};

use super::{Name, World, cluster_of};
use crate::scenario::{Rule, Url, Whose};

/// Who does not reach what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cut {
    /// None: the whole cluster.
    pub(super) shard: Option<usize>,
    pub(super) whose: Whose,
    /// The clock when it began.
    pub(super) since: u8,
}

/// Both clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Redis {
    pub(super) names: BTreeSet<Name>,
    /// Copies of SETs that nobody waits for and that may still be executed.
    pub(super) late: BTreeSet<Name>,
    /// A run id a shard.
    pub(super) runs: [[u8; 2]; 2],
    pub(super) cuts: [Option<Cut>; 2],
    /// The slot that moves.
    pub(super) moving: Option<(usize, Url)>,
    /// Its keys that stand at the new owner already.
    pub(super) moved: BTreeSet<Name>,
    /// Slots that have moved to the other shard.
    pub(super) away: BTreeSet<(usize, Url)>,
}

impl Redis {
    pub(super) fn is_moving(&self, name: Name) -> bool {
        self.moving == Some((cluster_of(name.generation), name.url))
    }

    /// SET NX; whether the name is new.
    pub(super) fn set(&mut self, name: Name) -> bool {
        if self.names.contains(&name) || self.moved.contains(&name) {
            return false;
        }
        if self.is_moving(name) {
            self.moved.insert(name) // The owner does not have it: ASK.
        } else {
            self.names.insert(name)
        }
    }

    pub(super) fn remove(&mut self, name: Name) {
        self.names.remove(&name);
        self.moved.remove(&name);
    }
}

impl World {
    pub(super) fn shards(&self) -> usize {
        let several = self.scenario().input.iter().flatten().any(|url| *url > 0);
        1 + usize::from(several || self.scenario().faults.moves > 0)
    }

    /// The shard that owns a URL's slot.
    pub(super) fn owner_of(&self, cluster: usize, url: Url) -> usize {
        let home = usize::from(url) % self.shards();
        if self.redis.away.contains(&(cluster, url)) {
            1 - home
        } else {
            home
        }
    }

    pub(super) fn writers_reach(&self, name: Name) -> bool {
        let cluster = cluster_of(name.generation);
        self.redis.cuts[cluster].is_none_or(|cut| {
            cut.whose != Whose::Everybodys
                || cut
                    .shard
                    .is_some_and(|shard| shard != self.owner_of(cluster, name.url))
        })
    }

    pub(super) fn flipper_reaches_shard(&self, flipper: usize, cluster: usize, shard: usize) -> bool {
        self.redis.cuts[cluster].is_none_or(|cut| {
            (cut.whose == Whose::FirstFlipper && flipper > 0) || cut.shard.is_some_and(|gone| gone != shard)
        })
    }

    pub(super) fn flipper_reaches(&self, flipper: usize, name: Name) -> bool {
        let cluster = cluster_of(name.generation);
        self.flipper_reaches_shard(flipper, cluster, self.owner_of(cluster, name.url))
    }

    pub(super) fn flipper_reaches_all(&self, flipper: usize, cluster: usize) -> bool {
        (0..self.shards()).all(|shard| self.flipper_reaches_shard(flipper, cluster, shard))
    }

    /// What a look at a cluster shows a flipper.
    pub(super) fn view(&self, flipper: usize, cluster: usize) -> ClusterView {
        let mut shards = (0..self.shards()).map(|shard| self.flipper_reaches_shard(flipper, cluster, shard));
        ClusterView {
            reachable: if self.leaves_out(Rule::AnyOwner) {
                shards.any(|reached| reached)
            } else {
                shards.all(|reached| reached)
            },
            under_pressure: false,
            keys: 0,
        }
    }

    /// The nodes of a generation's cluster that answer a flipper.
    pub(super) fn nodes(&self, flipper: usize, generation: Generation) -> Vec<NodeSeen> {
        let cluster = cluster_of(generation);
        (0..self.shards())
            .filter(|shard| self.flipper_reaches_shard(flipper, cluster, *shard))
            .map(|shard| {
                let run = self.redis.runs[cluster][shard].to_string();
                NodeSeen {
                    node_id: node_id(cluster, shard),
                    run_id: run.clone(),
                    role: Role::Master,
                    replication_id: run,
                    evicted_keys: 0,
                }
            })
            .collect()
    }

    /// The nodes that own slots of the URLs in use.
    pub(super) fn slot_owners(&self, generation: Generation) -> Vec<String> {
        let cluster = cluster_of(generation);
        let urls: BTreeSet<Url> = self.scenario().input.iter().flatten().copied().collect();
        let owners: BTreeSet<usize> = urls.iter().map(|url| self.owner_of(cluster, *url)).collect();
        owners.into_iter().map(|shard| node_id(cluster, shard)).collect()
    }
}

fn node_id(cluster: usize, shard: usize) -> String {
    format!("{}{shard}", ["a", "b"][cluster])
}
