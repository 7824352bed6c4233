# Commands of the runbooks, for bash: `. k8s/runbooks/oncall.sh`. Set NS for another namespace, PROMETHEUS for the
# address of your Prometheus; `kubectl apply -k k8s/oncall` starts the pod that `tool` needs.
# shellcheck shell=bash
NS=${NS:-crawler-hints}
PROMETHEUS=${PROMETHEUS:-http://localhost:9090}

# pods SERVICE: its pods, one a line.
pods() { kubectl -n "$NS" get pods -l "app.kubernetes.io/name=$1" -o name; }

# admin SERVICE PATH [curl options]: asks the admin port of each of its pods.
admin() {
    local service=$1 path=$2 port pod forward
    shift 2
    case $service in ingestor) port=8081 ;; flipper) port=8082 ;; dispatcher) port=8083 ;; esac
    for pod in $(pods "$service"); do
        echo "# $pod"
        kubectl -n "$NS" port-forward "$pod" "18080:$port" >/dev/null &
        forward=$!
        curl --silent --show-error --retry 20 --retry-delay 1 --retry-connrefused "$@" "http://127.0.0.1:18080$path"
        echo
        kill "$forward"
        wait "$forward" 2>/dev/null
    done
}

# order SERVICE PATH: the same with POST and the admin token, for what changes something.
order() {
    local token
    token=$(kubectl -n "$NS" get secret admin-token -o 'jsonpath={.data.token}' | base64 --decode)
    admin "$1" "$2" --request POST --header "Authorization: Bearer $token"
}

# key_file HOST [KEY]: what the dispatchers answer when its key file is asked for; without KEY the key that they derive
# where its zone names none.
key_file() {
    local key=${2:-} forward
    [ -n "$key" ] || key=$(kubectl -n "$NS" get secret indexnow -o 'jsonpath={.data.master-key}' | base64 --decode |
        python3 -c 'import hashlib, hmac, sys; print(hmac.new(sys.stdin.buffer.read(), sys.argv[1].encode(), "sha256").hexdigest()[:32])' "$1")
    kubectl -n "$NS" port-forward service/dispatcher-keys 18084:8084 >/dev/null &
    forward=$!
    curl --silent --show-error --retry 20 --retry-delay 1 --retry-connrefused --include --header "Host: $1" "http://127.0.0.1:18084/$key.txt"
    echo
    kill "$forward"
    wait "$forward" 2>/dev/null
}

# logs SERVICE [kubectl options]: of all its pods, without chatter.
logs() { kubectl -n "$NS" logs -l "app.kubernetes.io/name=$1" --prefix --tail 200 "${@:2}"; }

# redis POD COMMAND…: redis-cli in a Redis pod, as `redis redis-a-0 info memory`.
redis() { kubectl -n "$NS" exec "$1" -c redis -- sh /etc/redis/scripts/as operator "${@:2}"; }

# tool COMMAND…: kcat, capnp, jq and loadtest beside the pipeline.
tool() { kubectl -n "$NS" exec -i oncall -- "$@"; }

# ask PROMQL: one question to Prometheus.
ask() { promtool query instant "$PROMETHEUS" "$1"; }
