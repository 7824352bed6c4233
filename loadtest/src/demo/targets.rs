//! Where the processes of a run serve metrics, as Prometheus's `file_sd` reads it, with the labels that they have on
//! Kubernetes (`k8s/base/monitoring/podmonitor.yaml`): rules and dashboards find them here as there.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;
use generations::ClusterName;
use serde::Serialize;

use crate::run::Run;
use crate::service::Service;
use crate::stack::RedisCluster;

const NAMESPACE: &str = "crawler-hints";

/// A process, or a Redis node, which an exporter has to be asked about.
#[derive(Debug, Serialize)]
struct Target {
    targets: [SocketAddr; 1],
    labels: Labels,
}

#[derive(Debug, Serialize)]
struct Labels {
    namespace: &'static str,
    /// Of the `PodMonitor`: its namespace and its name.
    job: String,
    pod: String,
    container: &'static str,
    endpoint: &'static str,
    service: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    redis_cluster: Option<&'static str>,
}

/// Writes all of them to a file, which is there only once it is complete.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(run: &Run, clusters: &[RedisCluster; 2], path: &Path) -> anyhow::Result<()> {
    let services = run.services.iter().map(of_service);
    let nodes = [ClusterName::A, ClusterName::B]
        .into_iter()
        .zip(clusters)
        .flat_map(|(name, cluster)| of_nodes(name, cluster));
    let targets: Vec<_> = services.chain(nodes).collect();
    let json = serde_json::to_vec_pretty(&targets).context("writing the targets")?;
    let incomplete = path.with_extension("incomplete");
    std::fs::write(&incomplete, json).with_context(|| format!("writing {}", incomplete.display()))?;
    std::fs::rename(&incomplete, path).with_context(|| format!("writing {}", path.display()))
}

fn of_service(service: &Service) -> Target {
    let program = service.kind().program();
    target(service.admin, service.name().to_owned(), program, program, None)
}

fn of_nodes(name: ClusterName, cluster: &RedisCluster) -> impl Iterator<Item = Target> {
    let label = name.label();
    let stateful_set = label.replace("hints", "redis");
    (0..)
        .zip(cluster.addresses())
        .map(move |(number, address): (usize, _)| {
            let pod = format!("{stateful_set}-{number}");
            target(address, pod, "exporter", "redis", Some(label))
        })
}

fn target(
    address: SocketAddr,
    pod: String,
    container: &'static str,
    service: &'static str,
    redis_cluster: Option<&'static str>,
) -> Target {
    Target {
        targets: [address],
        labels: Labels {
            namespace: NAMESPACE,
            job: format!("{NAMESPACE}/crawler-hints"),
            pod,
            container,
            endpoint: "http-metrics",
            service,
            redis_cluster,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_node_is_named_as_its_pod_is() {
        let address = "127.0.0.1:6379".parse().unwrap();
        let node = target(
            address,
            "redis-a-0".to_owned(),
            "exporter",
            "redis",
            Some("hints-a"),
        );
        let expected = serde_json::json!({
            "targets": ["127.0.0.1:6379"],
            "labels": {
                "namespace": "crawler-hints",
                "job": "crawler-hints/crawler-hints",
                "pod": "redis-a-0",
                "container": "exporter",
                "endpoint": "http-metrics",
                "service": "redis",
                "redis_cluster": "hints-a",
            },
        });
        assert_eq!(serde_json::to_value(node).unwrap(), expected);
    }
}
