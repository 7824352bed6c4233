//! Slots that move while they are written: MOVED and ASK end with every key in its place.

use std::collections::BTreeSet;

use generations::{ClusterName, slot_of_name};

use crate::redis_cluster::{Migration, RedisCluster};
use crate::support::{Ingest, args, hash_sum, name};

/// The way of a slot from its first owner to the next node.
pub(crate) fn away(cluster: &RedisCluster, ingest: &Ingest, slot: u16) -> Migration {
    let map = ingest.writer.cluster(ClusterName::A).topology();
    let owner = &map.owner(slot).unwrap().id;
    let from = cluster.nodes.iter().position(|node| node.id == *owner).unwrap();
    Migration {
        slot,
        from,
        to: (from + 1) % cluster.nodes.len(),
    }
}

/// Moves of every slot that these names have at the first node to the second. One direction only: a node that
/// gives and takes slots faster than the others hear of it can lose some of them for good.
pub(crate) fn moves_of_first_node(
    cluster: &RedisCluster,
    ingest: &Ingest,
    names: &[Vec<u8>],
) -> Vec<Migration> {
    let slots: BTreeSet<u16> = names.iter().map(|name| slot_of_name(name)).collect();
    slots
        .into_iter()
        .map(|slot| away(cluster, ingest, slot))
        .filter(|migration| migration.from == 0)
        .collect()
}

pub(crate) async fn run_all(cluster: &RedisCluster, migrations: &[Migration]) {
    for migration in migrations {
        migration.begin(cluster).await;
        migration.end(cluster).await;
    }
}

#[tokio::test]
async fn a_half_moved_slot_is_written_at_both_ends() {
    let cluster = RedisCluster::start(3, &[]).await;
    let mut ingest = Ingest::start(&args(&cluster)).await;
    let names: Vec<_> = (0..6_000).map(|n| name(0, 1, n, 0)).collect();
    let migration = away(&cluster, &ingest, slot_of_name(&names[0]));

    ingest.write(&names[..2_000]).await;
    migration.begin(&cluster).await;
    assert_eq!(migration.move_keys(&cluster, 1_000).await, 1_000);

    ingest.write(&names[..4_000]).await;
    assert_eq!(
        (ingest.sums.new, ingest.sums.repeated, ingest.sums.retried),
        (4_000, 2_000, 0)
    );
    assert_eq!(ingest.sums.new_hash, hash_sum(&names[..4_000]));

    migration.end(&cluster).await;
    ingest.write(&names).await;
    assert_eq!((ingest.sums.new, ingest.sums.repeated), (6_000, 6_000));
    assert_eq!(ingest.sums.new_hash, hash_sum(&names));
    assert!(
        ingest.sums.retried >= 1_000,
        "the map was stale: {}",
        ingest.sums.retried
    );
    assert_eq!(ingest.sums.unanswered + ingest.sums.blocked, 0);
    assert_eq!(cluster.key_count().await, 6_000);
}

#[tokio::test]
async fn slots_may_move_under_load() {
    let cluster = RedisCluster::start(3, &[]).await;
    let mut ingest = Ingest::start(&args(&cluster)).await;
    let names: Vec<_> = (0..100_000).map(|n| name(0, n % 40, n, 0)).collect();
    let migrations: Vec<_> = (0..20)
        .map(|n| away(&cluster, &ingest, slot_of_name(&names[n])))
        .collect();

    let moves = async {
        for migration in &migrations {
            migration.begin(&cluster).await;
            migration.end(&cluster).await;
        }
    };
    tokio::join!(ingest.write(&names), moves);
    let sums = &ingest.sums;
    assert_eq!((sums.new, sums.repeated), (100_000, 0), "{sums:?}");
    assert_eq!(sums.new_hash, hash_sum(&names));
    assert_eq!(cluster.key_count().await, 100_000);
    for migration in migrations {
        let slot = (String::from("COUNTKEYSINSLOT"), migration.slot);
        let left: u64 = cluster.nodes[migration.from]
            .run(redis::cmd("CLUSTER").arg(slot))
            .await;
        assert_eq!(left, 0);
    }
}
