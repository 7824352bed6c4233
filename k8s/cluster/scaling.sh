# What autoscalers do beside what they should, and what makes them act, for the tests.
# shellcheck shell=bash
# shellcheck source=k8s/cluster/traffic.sh
. "$(dirname "${BASH_SOURCE[0]}")/traffic.sh"

# redis POD COMMAND…: as in the runbooks.
redis() { n exec "$1" --container redis -- sh /etc/redis/scripts/as operator "${@:2}"; }

# room BYTES: maxmemory of every Redis node; of one byte it refuses each SET, and answers everything else.
room() {
    local node
    for node in redis-a-0 redis-b-0; do
        [ "$(redis "$node" config set maxmemory "$1")" = OK ] || fail "$node does not take maxmemory $1"
    done
}
# Of the dev overlay's nodes, three quarters of their limit.
# shellcheck disable=SC2034 # for the tests
usual_room=201326592

# look SERVICE AUTOSCALER [METRIC THRESHOLD]…: one line of JSON; METRIC is one of KEDA's.
look() {
    local service=$1 autoscaler=$2 objects figures lags='[]'
    objects=$(n get deployments,pods,hpa --output json)
    figures=$(k get --raw "/apis/metrics.k8s.io/v1beta1/namespaces/$NS/pods")
    shift 2
    while [ $# -gt 0 ]; do
        lags=$(k get --raw "/apis/external.metrics.k8s.io/v1beta1/namespaces/$NS/$1?labelSelector=scaledobject.keda.sh%2Fname%3D$service" |
            jq --compact-output --argjson lags "$lags" --argjson threshold "$2" '
                def number: capture("^(?<number>[0-9.]+)(?<unit>[mkMG]?)$")
                    | (.number | tonumber) * {m: 0.001, "": 1, k: 1e3, M: 1e6, G: 1e9}[.unit];
                $lags + [{lag: .items[0].value | number, threshold: $threshold}]')
        shift 2
    done
    jq --null-input --compact-output --arg service "$service" --arg autoscaler "$autoscaler" --argjson lags "$lags" \
        --slurpfile objects <(cat <<<"$objects") --slurpfile figures <(cat <<<"$figures") '
        def bytes: capture("^(?<number>[0-9]+)(?<unit>[KMG]i)?$")
            | (.number | tonumber) * ({Ki: 1024, Mi: 1048576, Gi: 1073741824}[.unit // ""] // 1);
        $objects[0].items as $all
        | ($all[] | select(.kind == "Deployment" and .metadata.name == $service).spec) as $deployment
        | [$all[] | select(.kind == "Pod" and .metadata.labels["app.kubernetes.io/name"] == $service
            and .metadata.deletionTimestamp == null).metadata.name] as $pods
        | ($deployment.template.spec.containers[] | select(.name == $service).resources.requests.memory | bytes) as $request
        | ($all[] | select(.kind == "HorizontalPodAutoscaler" and .metadata.name == $autoscaler)) as $scaler
        | {at: now | floor, asked: $deployment.replicas, pods: $pods | length, desired: $scaler.status.desiredReplicas,
           memory: [$figures[0].items[] | select(.metadata.name | IN($pods[])).containers[]
               | select(.name == $service).usage.memory | bytes * 100 / $request],
           $lags, spec: $scaler.spec}'
}

# watching FILE SERVICE AUTOSCALER [METRIC THRESHOLD]…: looks in the background until `end_watching`, twice as often as
# figures of memory are made.
watchers=()
watching() {
    local file=$1
    shift
    : >"$file"
    while sleep 5; do look "$@" >>"$file" 2>>"$file.errors" || true; done &
    watchers+=($!)
}
end_watching() {
    [ ${#watchers[@]} -eq 0 ] || kill "${watchers[@]}" 2>/dev/null || true
    watchers=()
}

# desires AUTOSCALER: pods that it wants now.
desires() { n get "hpa/$1" --output 'jsonpath={.status.desiredReplicas}'; }
wants() { [ "$(desires "$1")" -ge "$2" ]; }

# has_ready SERVICE COUNT: at least.
has_ready() { [ "$(n get "deployment/$1" --output 'jsonpath={.status.readyReplicas}')" -ge "$2" ]; }

# at_rest SERVICE AUTOSCALER: it wants its minimum, which is what there is.
at_rest() {
    local least
    least=$(n get "hpa/$2" --output 'jsonpath={.spec.minReplicas}')
    [ "$(desires "$2")" -eq "$least" ] &&
        [ "$(n get "deployment/$1" --output 'jsonpath={.status.replicas} {.status.readyReplicas}')" = "$least $least" ]
}
