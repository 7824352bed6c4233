//! The writer when nothing is wrong, and its books.

use std::time::Instant;

use generations::{Block, ClusterName, Outcome};
use messagebus::clock::BootInstant;
use redis::cmd;

use crate::redis_cluster::RedisCluster;
use crate::support::{Ingest, PATIENCE, args, hash_sum, name};

#[tokio::test]
async fn new_and_repeated_names_are_counted_exactly() {
    let cluster = RedisCluster::start(3, &[]).await;
    let mut ingest = Ingest::start(&args(&cluster)).await;
    let names: Vec<_> = (0..100_000)
        .map(|n| name(0, n % 500, n, if n % 500 == 0 { 8 } else { 0 }))
        .collect();

    ingest.write(&names[..60_000]).await;
    assert_eq!((ingest.sums.new, ingest.sums.repeated), (60_000, 0));
    assert_eq!(ingest.sums.new_hash, hash_sum(&names[..60_000]));

    ingest.write(&names[50_000..]).await;
    assert_eq!((ingest.sums.new, ingest.sums.repeated), (100_000, 10_000));
    assert_eq!(ingest.sums.new_hash, hash_sum(&names));
    assert_eq!(
        (ingest.sums.retried, ingest.sums.blocked, ingest.sums.unanswered),
        (0, 0, 0)
    );
    assert_eq!(cluster.key_count().await, 100_000);
}

#[tokio::test]
async fn what_is_written_is_a_name_with_a_shared_integer() {
    let cluster = RedisCluster::start(1, &[]).await;
    let mut ingest = Ingest::start(&args(&cluster)).await;
    let name = name(0, 1, 1, 0);
    ingest.write(std::slice::from_ref(&name)).await;
    let node = &cluster.nodes[0];
    assert_eq!(node.run::<Vec<u8>>(cmd("GET").arg(&name)).await, b"5000");
    assert_eq!(
        node.run::<String>(cmd("OBJECT").arg("ENCODING").arg(&name)).await,
        "int"
    );
    assert_eq!(
        node.run::<i64>(cmd("OBJECT").arg("REFCOUNT").arg(&name)).await,
        i64::from(i32::MAX)
    );
}

#[tokio::test]
async fn a_chunk_is_never_sent_after_its_lease() {
    let cluster = RedisCluster::start(1, &[]).await;
    let mut ingest = Ingest::start(&args(&cluster)).await;
    let mut stage = ingest.writer.stage(0, 3, BootInstant::now());
    stage
        .push(&name(0, 1, 1, 0), generations::AgeValue::OPENED, 9)
        .unwrap();
    ingest.in_flight += u64::from(stage.finish());
    let answer = ingest.answer().await;
    assert_eq!(
        (answer.tag, answer.blocked, answer.block),
        (3, 1, Some(Block::Lapsed))
    );
    assert_eq!(cluster.key_count().await, 0);
}

#[tokio::test]
async fn the_time_of_an_answer_is_read_when_the_reply_has_come() {
    let cluster = RedisCluster::start(1, &[]).await;
    let node = &cluster.nodes[0];
    let mut ingest = Ingest::start(&args(&cluster)).await;
    let () = node
        .run(cmd("CLIENT").arg("PAUSE").arg(60_000).arg("WRITE"))
        .await;
    ingest.stage([&name(0, 1, 1, 0)]);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let clients: String = node.run(cmd("INFO").arg("clients")).await;
        if clients.contains("blocked_clients:1\r") {
            break;
        }
        assert!(Instant::now() < deadline, "the SET does not come: {clients}");
    }
    let before = BootInstant::now();
    let () = node.run(cmd("CLIENT").arg("UNPAUSE")).await;
    let answer = ingest.answer().await;
    assert_eq!(answer.new, 1);
    assert!(before <= answer.at && answer.at <= BootInstant::now());
}

#[tokio::test]
async fn a_cluster_that_is_not_there_blocks_at_once() {
    let mut cluster = RedisCluster::start(1, &[]).await;
    let args = args(&cluster);
    cluster.nodes[0].kill().await;
    let (mut writer, mut answers) =
        generations::RedisWriter::start(&args, &crate::support::metrics()).unwrap();
    let mut stage = writer.stage(0, 3, BootInstant::from_nanos(u64::MAX));
    stage
        .push(&name(0, 1, 1, 0), generations::AgeValue::OPENED, 9)
        .unwrap();
    assert_eq!(stage.finish(), 1);
    let answer = answers.recv().await.unwrap();
    let sets: Vec<_> = answer.chunk.sets().map(|set| (set.mark, set.outcome)).collect();
    assert_eq!(sets, [(9, Outcome::Blocked(Block::Unreachable))]);
    let survey = writer.cluster(ClusterName::A).survey().await;
    assert!(!survey.is_reachable && survey.nodes.is_empty());
}

#[tokio::test]
async fn a_survey_tells_who_every_node_is() {
    let cluster = RedisCluster::start(3, &["--maxmemory", "100mb"]).await;
    let mut ingest = Ingest::start(&args(&cluster)).await;
    let survey = ingest.writer.cluster(ClusterName::A).survey().await;
    assert!(survey.is_reachable);
    let mut seen: Vec<_> = survey.nodes.iter().map(|node| node.node_id.as_str()).collect();
    let mut ids: Vec<_> = cluster.nodes.iter().map(|node| node.id.as_str()).collect();
    seen.sort_unstable();
    ids.sort_unstable();
    assert_eq!(seen, ids);
    assert!(
        survey
            .nodes
            .iter()
            .all(|node| node.info.is_master && node.info.run_id.len() == 40)
    );
    assert!(
        (0.001..0.5).contains(&survey.memory_share()),
        "{}",
        survey.memory_share()
    );
    let names: Vec<_> = (0..100).map(|n| name(0, n, n, 0)).collect();
    ingest.write(&names).await;
    let view = ingest.writer.cluster(ClusterName::A).survey().await.view();
    assert_eq!(
        (view.reachable, view.under_pressure, view.keys),
        (true, false, 100)
    );
}
