//! The slot function against the server's own.

use generations::{output_partition, slot_of_host, slot_of_name};
use redis::cmd;

use crate::redis_cluster::RedisCluster;
use crate::support::name;

#[tokio::test]
async fn names_have_the_slot_that_redis_gives_them() {
    let cluster = RedisCluster::start(1, &[]).await;
    let mut names: Vec<Vec<u8>> = (0..3_000)
        .map(|n| name(n as u64 * 37, n % 700, n, [0, 2, 16, 64][n % 4]))
        .collect();
    names.extend(
        [
            "",
            "{",
            "}",
            "{}",
            "{}a",
            "a{b",
            "a{b}c",
            "a{{b}}",
            "a{}{b}",
            "{a}{b}",
            "\u{e9}{\u{fc}}x",
        ]
        .map(Vec::from),
    );
    names.extend((0..=255u8).map(|byte| vec![byte, b'{', byte, byte, b'}', byte]));
    for name in names {
        let slot: u16 = cluster.nodes[0]
            .run(cmd("CLUSTER").arg("KEYSLOT").arg(&name))
            .await;
        assert_eq!(slot_of_name(&name), slot, "{:?}", String::from_utf8_lossy(&name));
    }
}

#[test]
fn a_host_meets_its_partition_whatever_its_spread() {
    for host in 0..100 {
        let bare = format!("host-{host}.example");
        let names = [0, 1, 2, 64].map(|spread| name(0, host, 1, spread));
        assert_eq!(slot_of_name(&names[0]), slot_of_host(&bare));
        for name in names {
            let read = generations::Name::parse(&name).unwrap();
            assert_eq!(output_partition(read.host, 12), output_partition(&bare, 12));
        }
    }
}
