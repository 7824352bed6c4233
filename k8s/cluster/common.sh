# What the scripts here share, for bash. State is in $run while a cluster is up.
# shellcheck shell=bash
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034 # for those who read it
root=$(cd "$here/../.." && pwd)
# shellcheck source=k8s/cluster/versions
. "$here/versions"
run=/var/tmp/crawler-hints-cluster
NS=crawler-hints-dev

# kubectl, in the cluster's network.
k() { nsenter --net="/proc/$(cat "$run/pid")/ns/net" "$cache/kubernetes-$kubernetes/kubectl" --kubeconfig="$run/admin.conf" "$@"; }

# The same in the namespace of the dev overlay.
n() { k --namespace "$NS" "$@"; }

say() { printf '%s  %s\n' "$(date -u +%H:%M:%S)" "$*" >&2; }

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# eventually SECONDS WHAT COMMAND…: tries it again until it succeeds; after the deadline shows what it last said.
eventually() {
    local deadline=$((SECONDS + $1)) what=$2 said
    shift 2
    until said=$("$@" 2>&1); do
        [ $SECONDS -lt "$deadline" ] || fail "gave up waiting: $what (tried: $*); it last said: $said"
        sleep 1
    done
}
