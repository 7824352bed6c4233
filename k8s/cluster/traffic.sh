# Traffic and books, for the tests.
# shellcheck shell=bash
# shellcheck source=k8s/cluster/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# traffic NAME RATE COUNT: runs the Job once, in the background.
traffic() {
    n create job "$1" --from=cronjob/traffic --dry-run=client --output json |
        jq --arg rate "--rate=$2" --arg count "--count=$3" '.spec.template.spec.containers[0].args = ["produce", $rate, $count]' |
        n create --filename - >/dev/null
    n wait pod --selector "job-name=$1" --for=condition=PodScheduled --timeout=5m >/dev/null
    eventually 300 "traffic $1 runs" is_running "$1"
}

is_running() { n get pods --selector "job-name=$1" --output 'jsonpath={.items[*].status.phase}' | grep -qE '^(Running|Succeeded)$'; }

# The traffic goes on? It must, for what is done meanwhile to be done under traffic.
still_running() { [ "$(n get pods --selector "job-name=$1" --output 'jsonpath={.items[*].status.phase}')" = Running ] || fail "traffic $1 has ended before what was to happen under it: raise its count"; }

# end_traffic NAME: what stands in Kafka by then counts.
end_traffic() { n delete job "$1" --cascade=foreground --wait --timeout=5m >/dev/null; }

audit() { n exec partners-0 -- loadtest audit --partners north,south --at-rest "$@"; }

# restarts: of every pod that is not about to end, a line each.
restarts() {
    n get pods --selector app.kubernetes.io/part-of=crawler-hints --output json |
        jq --raw-output '.items[] | select(.metadata.deletionTimestamp == null and .status.phase == "Running")
            | "\(.metadata.name) \([.status.containerStatuses[].restartCount] | add)"' |
        grep -E '^(ingestor|flipper|dispatcher|redis|hints-kafka|partners)-'
}

# processes POD CONTAINER: as they are numbered outside.
processes() {
    local container
    container=$(n get pod "$1" --output "jsonpath={.status.containerStatuses[?(@.name==\"$2\")].containerID}")
    grep --files-with-matches "${container#containerd://}" /proc/[0-9]*/cgroup 2>/dev/null | cut -d / -f 3
}

# host_pid POD CONTAINER: of its first process.
host_pid() { processes "$@" | sort --numeric-sort | head -1; }

# signal NAME POD CONTAINER: to all its processes.
signal() {
    local name=$1
    shift
    processes "$@" | xargs --no-run-if-empty kill "-$name"
}

# address POD: where the node reaches it.
address() { n get pod "$1" --output 'jsonpath={.status.podIP}'; }

# pod SERVICE: its oldest pod that is not about to end.
pod() {
    n get pods --selector "app.kubernetes.io/name=$1" --output json |
        jq --raw-output '[.items[] | select(.status.phase == "Running" and .metadata.deletionTimestamp == null)]
            | sort_by(.metadata.creationTimestamp)[0].metadata.name // error("no pod runs")'
}

# ask URL…: curl in the cluster's network.
ask() { nsenter --net="/proc/$(cat "$run/pid")/ns/net" curl --silent --show-error --fail --max-time 20 "$@"; }

# taken: records that the oldest ingestor has worked on since it started.
taken() { ask "http://$(address "$(pod ingestor)"):8081/metrics" | awk '/^crawlerhints_ingestor_records_total/ {sum += $NF} END {print sum + 0}'; }

# more_than COUNT: taken by now.
more_than() { [ "$(taken)" -gt "$1" ]; }
