//! Redis' own benchmark: what the cluster takes when nobody reads Kafka, decodes or checks anything.

use anyhow::Context;
use tokio::process::Command;

use crate::stack::RedisCluster;
use crate::stack::users::{OPERATOR, password};

/// The key's placeholder for its slot, which is replaced by a tag of three bytes, and for its number, by 12 digits.
const PLACES: [(&str, usize); 2] = [("{tag}", 5), ("__rand_int__", 12)];

/// Random numbers of keys are below that, the most that it takes: of millions of keys hardly two are the same.
const NUMBERS: &str = "2147483647";

/// SETs a second of `count` keys of `key_bytes` bytes each, practically all of them new.
///
/// # Errors
/// It cannot be run, or says something else.
pub(in crate::bench) async fn run(
    cluster: &RedisCluster,
    count: u64,
    key_bytes: usize,
) -> anyhow::Result<f64> {
    let port = cluster
        .addresses()
        .next()
        .context("the cluster has no node")?
        .port();
    let key = key(key_bytes);
    let mut command = Command::new("redis-benchmark");
    command
        .args([
            "-p",
            &port.to_string(),
            "--user",
            OPERATOR,
            "-a",
            &password(OPERATOR),
        ])
        .args(["--cluster", "--csv", "-P", "200", "-c", "24", "--threads", "2"])
        .args(["-n", &count.to_string(), "-r", NUMBERS])
        .args(["SET", &key, "5000"])
        .kill_on_drop(true);
    let output = command
        .output()
        .await
        .context("running redis-benchmark: install it with `apt-get install redis-tools`")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    rate(&text).with_context(|| format!("redis-benchmark ended with {}: {text} {errors}", output.status))
}

/// A key that has so many bytes once its places are filled.
fn key(bytes: usize) -> String {
    let [(tag, tag_bytes), (number, number_bytes)] = PLACES;
    let rest = bytes.saturating_sub(tag_bytes + number_bytes);
    format!("{tag}{number}{}", "x".repeat(rest))
}

/// The rate of its only line, the second field.
fn rate(csv: &str) -> Option<f64> {
    let line = csv.lines().rfind(|line| line.starts_with("\"SET"))?;
    let mut fields = line.split("\",\"");
    fields.nth(1)?.trim_matches('"').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_as_long_as_it_should_be() {
        let filled = key(80)
            .replace("__rand_int__", "000000000042")
            .replace("{tag}", "{3rw}");
        assert_eq!(filled.len(), 80);
    }

    #[test]
    fn the_rate_is_read_whatever_the_command() {
        let csv = "\"test\",\"rps\",\"avg_latency_ms\"\n\"SET {tag}x 5000\",\"1043841.38\",\"2.3\"\n";
        assert_eq!(rate(csv), Some(1_043_841.38));
        assert_eq!(rate("ERR\n"), None);
    }
}
