//! The writer when a master is full or gone: every SET comes back with what is known of it.

use std::collections::HashSet;

use generations::{Block, ClusterName, Outcome, slot_of_name};
use redis::cmd;

use crate::redis_cluster::RedisCluster;
use crate::support::{Ingest, Sums, args, hash_sum, name};

#[tokio::test]
async fn names_refused_for_memory_come_back_and_nothing_is_lost() {
    let cluster = RedisCluster::start(3, &["--maxmemory-policy", "noeviction"]).await;
    let mut ingest = Ingest::start(&args(&cluster)).await;
    let names: Vec<_> = (0..50_000).map(|n| name(0, n % 300, n, 0)).collect();
    let full = &cluster.nodes[1];
    let () = full
        .run(cmd("CONFIG").arg("SET").arg("maxmemory").arg("1mb"))
        .await;

    ingest.stage(&names);
    let mut blocked = HashSet::new();
    while ingest.in_flight > 0 {
        let answer = ingest.answer().await;
        assert!(answer.blocked == 0 || answer.block == Some(Block::OutOfMemory));
        let again = answer
            .chunk
            .sets()
            .filter(|set| matches!(set.outcome, Outcome::Blocked(_)));
        blocked.extend(again.map(|set| set.name.to_vec()));
    }
    assert!(
        blocked.len() > 1_000,
        "a third of the names is refused: {}",
        blocked.len()
    );
    assert_eq!(ingest.sums.new + blocked.len() as u64, 50_000);
    assert_eq!(cluster.key_count().await, ingest.sums.new);

    let () = full.run(cmd("CONFIG").arg("SET").arg("maxmemory").arg("0")).await;
    ingest.write(&blocked.into_iter().collect::<Vec<_>>()).await;
    assert_eq!((ingest.sums.new, ingest.sums.repeated), (50_000, 0));
    assert_eq!(ingest.sums.new_hash, hash_sum(&names));
}

#[tokio::test]
async fn a_killed_master_gives_its_names_back_and_the_others_go_on() {
    let mut cluster = RedisCluster::start(3, &[]).await;
    let mut ingest = Ingest::start(&args(&cluster)).await;
    ingest
        .write(&(0..100).map(|host| name(0, host, 0, 0)).collect::<Vec<_>>())
        .await;
    ingest.sums = Sums::default();
    let names: Vec<_> = (1..=100_000).map(|n| name(0, n % 500, n, 0)).collect();
    let map = ingest.writer.cluster(ClusterName::A).topology();
    let dead = cluster.nodes[0].id.clone();
    let of_dead = |name: &[u8]| {
        map.owner(slot_of_name(name))
            .is_some_and(|owner| owner.id == dead)
    };

    // Stopped first, so that SETs are on the wire without an answer when it dies.
    let () = cluster.nodes[0]
        .run(cmd("CLIENT").arg("PAUSE").arg(60_000).arg("ALL"))
        .await;
    ingest.stage(&names);
    let mut answered = HashSet::new();
    let mut back = HashSet::new();
    let mut killed = false;
    while ingest.in_flight > 0 {
        let answer = ingest.answer().await;
        for set in answer.chunk.sets() {
            match set.outcome {
                Outcome::New => assert!(answered.insert(set.name.to_vec())),
                Outcome::Unanswered | Outcome::Blocked(Block::Unreachable) => {
                    assert!(of_dead(set.name) && back.insert(set.name.to_vec()));
                }
                Outcome::Repeated | Outcome::Retry | Outcome::Blocked(_) => panic!("{:?}", set.outcome),
            }
        }
        if !killed && answered.len() > 20_000 {
            cluster.nodes[0].kill().await;
            killed = true;
        }
    }
    assert_eq!(answered.len() + back.len(), 100_000);
    assert!(names.iter().all(|name| answered.contains(name) != of_dead(name)));
    assert!(
        ingest.sums.unanswered >= 1_000,
        "what was on the wire is not known: {:?}",
        ingest.sums
    );
    assert!(
        ingest.sums.blocked >= 1_000,
        "what was only queued is known not to be sent: {:?}",
        ingest.sums
    );

    let survey = ingest.writer.cluster(ClusterName::A).survey().await;
    assert!(!survey.is_reachable);
    assert_eq!(survey.nodes.len(), 2);
}
