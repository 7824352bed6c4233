//! The least that a drain must do: GETKEYSINSLOT and UNLINK, many slots at once, no values, no batches, no Kafka.

use std::time::Instant;

use futures_util::stream::{StreamExt, TryStreamExt};
use generations::SLOTS;
use redis::cmd;

use crate::bench::number::float;
use crate::stack::RedisCluster;

/// Slots in flight: each master always has some.
const AT_ONCE: usize = 96;
/// Names of one page, and so of one UNLINK.
const PAGE: usize = 1_000;

/// Empties the cluster; says how many keys a second.
///
/// # Errors
/// A node does not answer.
pub(in crate::bench) async fn run(cluster: &RedisCluster) -> anyhow::Result<f64> {
    let started = Instant::now();
    let share = SLOTS.div_ceil(u16::try_from(cluster.numbers().len())?);
    // The masters' slots in turn: their ranges follow each other.
    let slots = (0..share).flat_map(|at| (0..SLOTS.div_ceil(share)).map(move |master| master * share + at));
    let emptying = futures_util::stream::iter(slots.filter(|slot| *slot < SLOTS))
        .map(|slot| empty(cluster, slot))
        .buffer_unordered(AT_ONCE);
    let removed: u64 = emptying.try_fold(0, async |sum, keys| Ok(sum + keys)).await?;
    Ok(float(removed) / started.elapsed().as_secs_f64())
}

async fn empty(cluster: &RedisCluster, slot: u16) -> anyhow::Result<u64> {
    let node = cluster.owner_of(slot);
    let mut removed = 0;
    loop {
        let mut read = cmd("CLUSTER");
        read.arg("GETKEYSINSLOT").arg(slot).arg(PAGE);
        let names: Vec<Vec<u8>> = cluster.run(node, &read).await?;
        if names.is_empty() {
            return Ok(removed);
        }
        removed += cluster.run::<u64>(node, cmd("UNLINK").arg(&names)).await?;
        if names.len() < PAGE {
            return Ok(removed);
        }
    }
}
