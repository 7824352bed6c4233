//! The drain's verbs: what is read, what is deleted, and when a pass is complete.

use std::collections::HashSet;

use generations::{AgeValue, ClusterName, Drain, SlotCount, UnlinkAnswer, slot_of_name};
use redis::cmd;

use crate::migration::{away, moves_of_first_node, run_all};
use crate::redis_cluster::RedisCluster;
use crate::support::{Ingest, args, name};

fn drain(ingest: &Ingest) -> Drain {
    Drain::new(ingest.writer.cluster(ClusterName::A).clone())
}

async fn unlink(drain: &Drain, slot: u16, names: &[Vec<u8>]) -> Option<u64> {
    let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
    match drain.unlink(slot, &names).await {
        UnlinkAnswer::Unlinked(count) => Some(count),
        UnlinkAnswer::NotDone(_) | UnlinkAnswer::Unknown => None,
    }
}

/// Reads and unlinks pages until a pass is complete; the names in the order they were read.
pub(crate) async fn drain_all(drain: &Drain) -> Vec<Vec<u8>> {
    let mut drained = Vec::new();
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let stability = drain.stability().await.unwrap();
        if stability.is_complete() {
            return drained;
        }
        for slot in stability.concerned() {
            let page = drain.read_page(slot, 200).await.unwrap();
            let names: Vec<_> = page.iter().map(|key| key.name.to_vec()).collect();
            assert_eq!(unlink(drain, slot, &names).await, Some(names.len() as u64));
            drained.extend(names);
        }
        assert!(tokio::time::Instant::now() < deadline, "{stability:?}");
    }
}

#[tokio::test]
async fn exactly_what_it_is_told_is_unlinked() {
    let cluster = RedisCluster::start(3, &[]).await;
    let mut ingest = Ingest::start(&args(&cluster)).await;
    let names: Vec<_> = (0..3_000).map(|n| name(0, n % 50, n, 0)).collect();
    ingest.write(&names).await;
    let drain = drain(&ingest);

    let counts = drain.count_slots().await.unwrap();
    assert_eq!(counts.iter().map(|count| count.keys).sum::<u64>(), 3_000);
    assert!(counts.is_sorted_by_key(|count| count.slot));

    let mut kept: HashSet<_> = names.iter().cloned().collect();
    for SlotCount { slot, keys } in counts {
        let page = drain.read_page(slot, 25).await.unwrap();
        assert_eq!(page.len(), 25.min(usize::try_from(keys).unwrap()));
        assert!(
            page.iter()
                .all(|key| key.value == Some(AgeValue::OPENED) && slot_of_name(key.name) == slot)
        );
        let half: Vec<_> = page.iter().step_by(2).map(|key| key.name.to_vec()).collect();
        assert_eq!(unlink(&drain, slot, &half).await, Some(half.len() as u64));
        assert_eq!(
            unlink(&drain, slot, &half).await,
            Some(0),
            "none of them is there any more"
        );
        assert!(half.iter().all(|name| kept.remove(name)));
    }
    assert_eq!(cluster.key_count().await, kept.len() as u64);
    assert!(!drain.stability().await.unwrap().is_complete());

    let rest = drain_all(&drain).await;
    assert_eq!(rest.len(), kept.len());
    assert_eq!(rest.into_iter().collect::<HashSet<_>>(), kept);
    assert_eq!(cluster.key_count().await, 0);
}

#[tokio::test]
async fn a_half_moved_slot_is_unlinked_at_both_ends() {
    let cluster = RedisCluster::start(3, &[]).await;
    let mut ingest = Ingest::start(&args(&cluster)).await;
    let names: Vec<_> = (0..1_000).map(|n| name(0, 1, n, 0)).collect();
    let slot = slot_of_name(&names[0]);
    let migration = away(&cluster, &ingest, slot);
    let drain = drain(&ingest);
    ingest.write(&names).await;
    migration.begin(&cluster).await;
    migration.move_keys(&cluster, 400).await;

    assert_eq!(
        drain.read_page(slot, 10_000).await.unwrap().len(),
        600,
        "the owner has the others no more"
    );
    assert_eq!(unlink(&drain, slot, &names[..900]).await, Some(900));
    assert_eq!(cluster.key_count().await, 100);

    let left = drain
        .read_page(slot, 10_000)
        .await
        .unwrap()
        .iter()
        .map(|key| key.name.to_vec())
        .collect::<Vec<_>>();
    assert_eq!(unlink(&drain, slot, &left).await, Some(left.len() as u64));
    let stability = drain.stability().await.unwrap();
    assert_eq!(
        (stability.moving.as_slice(), stability.filled.as_slice()),
        ([slot].as_slice(), [].as_slice())
    );
    assert!(
        !stability.is_complete(),
        "the owner counts 0 with keys left at the target"
    );

    migration.end(&cluster).await;
    let rest = drain_all(&drain).await;
    assert_eq!(left.len() + rest.len(), 100);
}

#[tokio::test]
async fn every_key_is_met_while_slots_move() {
    let cluster = RedisCluster::start(3, &[]).await;
    let mut ingest = Ingest::start(&args(&cluster)).await;
    let names: Vec<_> = (0..20_000).map(|n| name(0, n % 40, n, 0)).collect();
    ingest.write(&names).await;
    let migrations = moves_of_first_node(&cluster, &ingest, &names[..40]);
    assert!(migrations.len() > 5);
    let drain = drain(&ingest);

    let (drained, ()) = tokio::join!(drain_all(&drain), run_all(&cluster, &migrations));
    assert_eq!(drained.len(), 20_000);
    assert_eq!(
        drained.into_iter().collect::<HashSet<_>>(),
        names.into_iter().collect()
    );
    assert_eq!(cluster.key_count().await, 0);
}

#[tokio::test]
async fn an_unlink_without_an_answer_is_unknown() {
    let cluster = RedisCluster::start(1, &[]).await;
    let mut ingest = Ingest::start(&args(&cluster)).await;
    let names: Vec<_> = (0..10).map(|n| name(0, 1, n, 0)).collect();
    ingest.write(&names).await;
    let (drain, slot) = (drain(&ingest), slot_of_name(&names[0]));
    assert_eq!(drain.read_page(slot, 10).await.unwrap().len(), 10);

    let () = cluster.nodes[0]
        .run(cmd("CLIENT").arg("PAUSE").arg(4_000).arg("WRITE"))
        .await;
    let told: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
    assert!(matches!(drain.unlink(slot, &told).await, UnlinkAnswer::Unknown));
}
