# What the scripts here share, for bash. State is in $run while a cluster is up.
# shellcheck shell=bash
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034 # for those who read it
root=$(cd "$here/../.." && pwd)
# shellcheck source=k8s/cluster/versions
. "$here/versions"
# shellcheck source=k8s/common.sh
. "$here/../common.sh"
run=/var/tmp/crawler-hints-cluster
NS=crawler-hints-dev

# kubectl, in the cluster's network.
k() { nsenter --net="/proc/$(cat "$run/pid")/ns/net" "$cache/kubernetes-$kubernetes/kubectl" --kubeconfig="$run/admin.conf" "$@"; }

# The same in the namespace of the dev overlay.
n() { k --namespace "$NS" "$@"; }

# apply ARGUMENTS…: objects, as whoever owns all of their fields.
apply() { k apply --server-side --force-conflicts "$@" >/dev/null; }

# import_images DIRECTORY: those in it, into the node.
import_images() {
    local archive
    for archive in "$1"/*.tar; do
        ctr --address "$run/containerd.sock" --namespace k8s.io images import "$archive" >/dev/null
    done
}
