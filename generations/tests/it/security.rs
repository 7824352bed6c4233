//! Users that may do nothing but their work, and encrypted connections.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use generations::{Cluster, ClusterName, Drain, RedisArgs, slot_of_name};
use redis::cmd;

use crate::draining::drain_all;
use crate::migration::away;
use crate::redis_cluster::{RedisCluster, free_port};
use crate::support::{Ingest, PATIENCE, args, metrics, name, parse};

/// What a deployment gives each role.
const USERS: &str = include_str!("../../../k8s/redis/users.acl");

async fn add_user(cluster: &RedisCluster, user: &str) {
    let begin = format!("user {user} ");
    let rights = USERS.lines().find_map(|line| line.strip_prefix(&begin)).unwrap();
    let rights = rights.replace(&format!("#@{user}@"), ">secret");
    for node in &cluster.nodes {
        let mut command = cmd("ACL");
        command
            .arg("SETUSER")
            .arg(user)
            .arg(rights.split(' ').collect::<Vec<_>>());
        let () = node.run(&command).await;
    }
}

fn as_user(cluster: &RedisCluster, user: &str, password_file: &Path) -> RedisArgs {
    let redis_password_file = Some(password_file.to_owned());
    RedisArgs {
        redis_username: Some(user.to_owned()),
        redis_password_file,
        ..args(cluster)
    }
}

#[tokio::test]
async fn each_role_needs_no_more_than_its_commands() {
    let cluster = RedisCluster::start(3, &[]).await;
    add_user(&cluster, "ingestor").await;
    add_user(&cluster, "flipper").await;
    let password = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(password.path(), "secret\n").unwrap();

    let mut ingest = Ingest::start(&as_user(&cluster, "ingestor", password.path())).await;
    let names: Vec<_> = (0..2_000).map(|n| name(0, n % 20, n, 0)).collect();
    let migration = away(&cluster, &ingest, slot_of_name(&names[0]));
    migration.begin(&cluster).await;
    ingest.write(&names).await;
    assert_eq!(
        (ingest.sums.new, ingest.sums.blocked),
        (2_000, 0),
        "ASKING was needed and allowed"
    );
    assert!(ingest.writer.cluster(ClusterName::A).survey().await.is_reachable);

    let args = as_user(&cluster, "flipper", password.path());
    let drain = Drain::new(Cluster::start(&args, ClusterName::A, metrics()).unwrap());
    assert!(drain.cluster().survey().await.is_reachable);
    let told: Vec<&[u8]> = names
        .iter()
        .filter(|name| slot_of_name(name) == migration.slot)
        .map(Vec::as_slice)
        .collect();
    let answer = drain.unlink(migration.slot, &told).await;
    assert!(
        matches!(answer, generations::UnlinkAnswer::Unlinked(100)),
        "{answer:?}"
    );
    migration.end(&cluster).await;
    assert_eq!(drain_all(&drain).await.len(), 1_900);
}

/// Numbers of the connections of which the nodes say this.
async fn connections(cluster: &RedisCluster, mark: &str) -> HashSet<String> {
    let mut numbers = HashSet::new();
    for node in &cluster.nodes {
        let list: String = node.run(cmd("CLIENT").arg("LIST")).await;
        let marked = list.lines().filter(|line| line.contains(mark));
        numbers.extend(marked.filter_map(|line| Some(format!("{}:{}", node.port, line.split(' ').next()?))));
    }
    numbers
}

/// Those by which names are written.
async fn writing(cluster: &RedisCluster) -> HashSet<String> {
    connections(cluster, " cmd=set ").await
}

/// Lets a user in with the password `other` as well.
async fn add_password(cluster: &RedisCluster, user: &str) {
    for node in &cluster.nodes {
        let () = node.run(cmd("ACL").arg(("SETUSER", user, ">other"))).await;
    }
}

#[tokio::test]
async fn connections_turn_to_a_new_password_and_every_answer_comes() {
    let cluster = RedisCluster::start(3, &[]).await;
    add_user(&cluster, "ingestor").await;
    add_password(&cluster, "ingestor").await;
    let password = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(password.path(), "secret\n").unwrap();
    let mut ingest = Ingest::start(&as_user(&cluster, "ingestor", password.path())).await;
    let mut write = 0..;
    let mut names = || -> Vec<_> { write.by_ref().take(500).map(|n| name(0, n % 20, n, 0)).collect() };
    ingest.write(&names()).await;
    let before = writing(&cluster).await;
    assert_eq!(before.len(), 3, "one a master");

    std::fs::write(password.path(), "other\n").unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !writing(&cluster).await.is_disjoint(&before) {
        assert!(Instant::now() < deadline, "connections of the old password stay");
        ingest.write(&names()).await;
    }
    ingest.write(&names()).await;
    let sums = &ingest.sums;
    assert_eq!(
        (sums.repeated, sums.blocked, sums.unanswered),
        (0, 0, 0),
        "{sums:?}"
    );
    assert_eq!(cluster.key_count().await, sums.new);
}

#[tokio::test]
async fn a_drains_connections_turn_to_a_new_password_and_every_answer_comes() {
    let cluster = RedisCluster::start(3, &[]).await;
    add_user(&cluster, "flipper").await;
    add_password(&cluster, "flipper").await;
    let password = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(password.path(), "secret\n").unwrap();
    let args = as_user(&cluster, "flipper", password.path());
    let drain = Drain::new(Cluster::start(&args, ClusterName::A, metrics()).unwrap());
    drain.cluster().refresh(0).await.unwrap();
    assert!(drain.count_slots().await.unwrap().is_empty());
    let drains = " user=flipper ";
    let before = connections(&cluster, drains).await;
    assert!(before.len() >= 3, "one a node: {before:?}");

    std::fs::write(password.path(), "other\n").unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !connections(&cluster, drains).await.is_disjoint(&before) {
        assert!(Instant::now() < deadline, "connections of the old password stay");
        assert!(drain.count_slots().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn connections_are_encrypted_and_both_ends_prove_who_they_are() {
    let dir = tempfile::tempdir().unwrap();
    make_certificates(dir.path());
    let file = |name: &str| dir.path().join(name);
    let text = |name: &str| file(name).to_str().unwrap().to_owned();
    let (port, ca, cert, key) = (
        free_port().to_string(),
        text("ca.crt"),
        text("node.crt"),
        text("node.key"),
    );
    let settings = [
        "--tls-port",
        &port,
        "--tls-cluster",
        "yes",
        "--tls-ca-cert-file",
        &ca,
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
    ];
    let cluster = RedisCluster::start(1, &settings).await;

    let seed = format!("rediss://127.0.0.1:{port}");
    let tls = RedisArgs {
        redis_tls_ca: Some(file("ca.crt")),
        redis_tls_cert: Some(file("node.crt")),
        redis_tls_key: Some(file("node.key")),
        ..parse(&seed)
    };
    let mut ingest = Ingest::start(&tls).await;
    let names: Vec<_> = (0..20_000).map(|n| name(0, n % 20, n, 0)).collect();
    ingest.write(&names).await;
    assert_eq!((ingest.sums.new, ingest.sums.unanswered), (20_000, 0));
    assert_eq!(cluster.key_count().await, 20_000);

    let nobody = RedisArgs {
        redis_tls_cert: None,
        redis_tls_key: None,
        ..tls.clone()
    };
    let stranger = RedisArgs {
        redis_tls_ca: None,
        ..tls
    };
    for args in [nobody, stranger] {
        let cluster = Cluster::start(&args, ClusterName::A, metrics()).unwrap();
        assert!(cluster.refresh(0).await.is_err());
    }
}

/// An authority and a certificate of it for 127.0.0.1.
fn make_certificates(dir: &Path) {
    std::fs::write(dir.join("san"), "subjectAltName=IP:127.0.0.1").unwrap();
    let openssl = |arguments: &str| {
        let run = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(dir)
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    };
    let new_key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!(
        "req -x509 {new_key} -keyout ca.key -out ca.crt -subj /CN=authority -days 2"
    ));
    openssl(&format!(
        "req {new_key} -keyout node.key -out node.csr -subj /CN=node"
    ));
    openssl(
        "x509 -req -in node.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile san -out node.crt -days 2",
    );
}
