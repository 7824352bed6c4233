//! The arithmetic.

use serde::Serialize;

use super::costs::Costs;
use super::limits::{Limit, limits};
use super::load::Load;

/// Seconds that Kafka keeps `cache-misses` and `batches`.
const INPUT_KEPT: f64 = 24.0 * 3_600.0;
const BATCHES_KEPT: f64 = 72.0 * 3_600.0;
/// Fewest processes of a service, so that one may end; masters of a cluster, so that a majority is left.
const FEWEST_PODS: f64 = 2.0;
const FEWEST_MASTERS: f64 = 3.0;
/// Partitions an ingestor reads: with several, one that is taken over is no doubling of another's work.
const PARTITIONS_A_POD: f64 = 3.0;
/// Partitions of the local stack, and of a small deployment.
const FEWEST_PARTITIONS: f64 = 6.0;
/// The flipper opens the next generation when a master is fuller than that.
const FULL: f64 = 0.7;
/// URLs of one request at most.
const REQUEST_URLS: f64 = 10_000.0;
/// URLs of the requests whose cost was measured.
const MEASURED_URLS: f64 = 10.0;
/// Requests that a lane of one dispatcher has under way.
const UNDER_WAY: f64 = 16.0;
const MICROS: f64 = 1e6;
const GIB: f64 = 1_073_741_824.0;

/// What a load takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sizing {
    /// The load.
    pub load: Load,
    /// What it was computed from.
    pub costs: Costs,
    /// Partitions of `cache-misses`.
    pub partitions: f64,
    /// Ingestors.
    pub ingestors: f64,
    /// Cores that all of them use.
    pub ingestor_cores: f64,
    /// Seconds that a generation is written to: the interval, or less where it has its most keys sooner.
    pub generation_seconds: f64,
    /// Keys of one generation.
    pub generation_keys: f64,
    /// Masters of each of the two clusters; each has a replica.
    pub masters: f64,
    /// Cores that both clusters' masters use.
    pub redis_cores: f64,
    /// Memory of one cluster's masters, replicas apart, in GiB.
    pub redis_gib: f64,
    /// Seconds of one core that the flipper needs for a generation.
    pub drain_seconds: f64,
    /// Requests a second that each partner gets.
    pub requests: f64,
    /// Partitions of `batches`: each dispatcher reads some.
    pub batch_partitions: f64,
    /// Dispatchers.
    pub dispatchers: f64,
    /// Cores that all of them use.
    pub dispatcher_cores: f64,
    /// Memory of all pods, in GiB.
    pub pods_gib: f64,
    /// Cores that the brokers use, without replication among them.
    pub broker_cores: f64,
    /// MB a second that are written to Kafka's disks.
    pub kafka_megabytes: f64,
    /// What Kafka keeps, in TB.
    pub kafka_terabytes: f64,
    /// MB a second to all partners.
    pub egress_megabytes: f64,
    /// What does not scale by adding processes, the tightest first.
    pub limits: Vec<Limit>,
}

/// Sizes a deployment for a load.
#[must_use]
pub fn size(load: &Load, costs: &Costs) -> Sizing {
    let cores = |items: f64, micros: f64| items * micros / MICROS;
    let processes = |cores: f64, fewest: f64| (cores / load.utilisation).ceil().max(fewest);
    let (records, urls) = (load.records_per_second, load.new_urls());

    let ingestor_cores = cores(records, costs.ingest);
    let ingestors = processes(ingestor_cores, FEWEST_PODS);
    let partitions = (ingestors * PARTITIONS_A_POD).max(FEWEST_PARTITIONS);

    let interval = load.flip_interval.as_secs_f64();
    let generation_keys = (urls * interval).min(load.flip_max_urls);
    let generation_seconds = if urls > 0.0 {
        interval.min(generation_keys / urls)
    } else {
        interval
    };

    // One cluster takes every SET while the other is drained.
    let (setting, draining) = (cores(records, costs.set), cores(urls, costs.redis_drain));
    let redis_gib = generation_keys * costs.key_bytes / FULL / GIB;
    let by_memory = (redis_gib / load.master_gib).ceil();
    let masters = processes(setting.max(draining), FEWEST_MASTERS).max(by_memory);

    let hosts = load.hosts.min(generation_keys);
    let requests = (hosts + generation_keys / REQUEST_URLS) / generation_seconds;
    let by_requests = cores(requests, costs.request);
    let by_urls = cores(urls / MEASURED_URLS, costs.request);
    let dispatcher_cores = load.partners * by_requests.max(by_urls);
    let waiting = requests * load.answer_time.as_secs_f64() / UNDER_WAY;
    let dispatchers = processes(dispatcher_cores, FEWEST_PODS).max(processes(waiting, FEWEST_PODS));

    let memory =
        ingestors * costs.ingestor_mib + FEWEST_PODS * costs.flipper_mib + dispatchers * costs.dispatcher_mib;
    let (input, batches) = (records * costs.record_bytes, urls * costs.batch_bytes);
    let mut sizing = Sizing {
        load: load.clone(),
        costs: *costs,
        partitions,
        ingestors,
        ingestor_cores,
        generation_seconds,
        generation_keys,
        masters,
        redis_cores: setting + draining,
        redis_gib,
        drain_seconds: cores(generation_keys, costs.drain),
        requests,
        batch_partitions: dispatchers.max(FEWEST_PARTITIONS),
        dispatchers,
        dispatcher_cores,
        pods_gib: memory / 1_024.0,
        broker_cores: cores(records, costs.broker),
        kafka_megabytes: load.replication * (input + batches) / 1e6,
        kafka_terabytes: load.replication * (input * INPUT_KEPT + batches * BATCHES_KEPT) / 1e12,
        egress_megabytes: load.partners * urls * costs.egress_bytes / 1e6,
        limits: Vec::new(),
    };
    sizing.limits = limits(&sizing);
    sizing
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::plan) fn costs() -> Costs {
        Costs {
            ingest: 1.0,
            set: 2.0,
            drain: 2.0,
            redis_drain: 3.0,
            request: 100.0,
            broker: 0.5,
            key_bytes: 140.0,
            record_bytes: 60.0,
            batch_bytes: 20.0,
            egress_bytes: 90.0,
            ingestor_mib: 200.0,
            flipper_mib: 50.0,
            dispatcher_mib: 100.0,
        }
    }

    fn times(factor: f64) -> Sizing {
        let load = Load {
            records_per_second: factor * 18_000.0,
            hosts: factor * 81_000.0,
            ..Load::default()
        };
        size(&load, &costs())
    }

    fn is(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() < 1e-6 * expected.abs().max(1.0),
            "{found} is not {expected}"
        );
    }

    #[test]
    fn the_published_load_fits_the_smallest_deployment() {
        let sizing = times(1.0);
        is(sizing.ingestors, 2.0);
        is(sizing.partitions, 6.0);
        is(sizing.masters, 3.0);
        // 68 requests of each partner's are under way, 16 a lane, half of the time.
        is(sizing.dispatchers, 9.0);
        is(sizing.batch_partitions, 9.0);
        is(sizing.generation_keys, 1_080_000.0);
        is(sizing.generation_seconds, 120.0);
        is(sizing.drain_seconds, 2.16);
        is(sizing.requests, (81_000.0 + 108.0) / 120.0);
        is(
            sizing.kafka_megabytes,
            3.0 * (18_000.0 * 60.0 + 9_000.0 * 20.0) / 1e6,
        );
        is(sizing.egress_megabytes, 2.0 * 9_000.0 * 90.0 / 1e6);
    }

    #[test]
    fn a_hundred_times_as_much_takes_more_of_what_scales() {
        let sizing = times(100.0);
        is(sizing.ingestor_cores, 1.8);
        is(sizing.ingestors, 4.0);
        is(sizing.partitions, 12.0);
        // 3.6 cores of SETs in one cluster.
        is(sizing.masters, 8.0);
        // Generations are as large as they may be, and short.
        is(sizing.generation_keys, 5_000_000.0);
        is(sizing.generation_seconds, 5_000_000.0 / 900_000.0);
        let raised = Load {
            flip_max_urls: 2e8,
            ..sizing.load
        };
        is(size(&raised, &costs()).generation_seconds, 120.0);
    }

    #[test]
    fn memory_asks_for_masters_where_cpu_does_not() {
        let small = Load {
            master_gib: 0.05,
            ..Load::default()
        };
        let sizing = size(&small, &costs());
        is(sizing.masters, (sizing.redis_gib / 0.05).ceil());
        assert!(sizing.masters > 3.0);
    }

    #[test]
    fn a_load_of_nothing_but_repeats_is_finite() {
        let repeats = Load {
            repeats: 1.0,
            ..Load::default()
        };
        let sizing = size(&repeats, &costs());
        is(sizing.generation_seconds, 120.0);
        is(sizing.egress_megabytes, 0.0);
        assert!(sizing.requests.is_finite());
    }
}
