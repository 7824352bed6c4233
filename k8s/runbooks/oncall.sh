# Commands of the runbooks, for bash: `. k8s/runbooks/oncall.sh`. Set NS for another namespace, PROMETHEUS for the
# address of your Prometheus; `kubectl apply -k k8s/oncall` starts the pod that `tool` needs.
# shellcheck shell=bash
NS=${NS:-crawler-hints}
PROMETHEUS=${PROMETHEUS:-http://localhost:9090}

# pods SERVICE: its pods, one a line.
pods() { kubectl -n "$NS" get pods -l "app.kubernetes.io/name=$1" -o name; }

# through TARGET PORT PATH [curl options]: asks a port of a pod or a service, by way of one of this machine. In a shell of
# its own, whose end is the end of the way, also where a reader has seen enough: the next question would take it.
through() (
    forward=''
    trap 'kill $forward 2>/dev/null' EXIT
    exec 3< <(exec kubectl -n "$NS" port-forward "$1" ":$2" 2>&1)
    forward=$!
    read -r said <&3 || said="kubectl port-forward $1 says nothing"
    case $said in
        "Forwarding from 127.0.0.1:"*) said=${said#*127.0.0.1:} ;;
        *)
            echo "$said" >&2
            exit 1
            ;;
    esac
    curl --silent --show-error "${@:4}" "http://127.0.0.1:${said%% *}$3"
    echo
)

# admin SERVICE PATH [curl options]: asks the admin port of each of its pods.
admin() {
    local service=$1 path=$2 port pod
    shift 2
    case $service in ingestor) port=8081 ;; flipper) port=8082 ;; dispatcher) port=8083 ;; esac
    for pod in $(pods "$service"); do
        echo "# $pod"
        through "$pod" "$port" "$path" "$@"
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
    local key=${2:-}
    [ -n "$key" ] || key=$(kubectl -n "$NS" get secret indexnow -o 'jsonpath={.data.master-key}' | base64 --decode |
        python3 -c 'import hashlib, hmac, sys; print(hmac.new(sys.stdin.buffer.read(), sys.argv[1].encode(), "sha256").hexdigest()[:32])' "$1")
    through service/dispatcher-keys 8084 "/$key.txt" --include --header "Host: $1"
}

# logs SERVICE [kubectl options]: of all its pods, without chatter.
logs() { kubectl -n "$NS" logs -l "app.kubernetes.io/name=$1" --prefix --tail 200 "${@:2}"; }

# redis POD COMMAND…: redis-cli in a Redis pod, as `redis redis-a-0 info memory`.
redis() { kubectl -n "$NS" exec "$1" -c redis -- sh /etc/redis/scripts/as operator "${@:2}"; }

# tool COMMAND…: kcat, capnp, jq and loadtest beside the pipeline.
tool() { kubectl -n "$NS" exec -i oncall -- "$@"; }

# ask PROMQL: one question to Prometheus.
ask() { promtool query instant "$PROMETHEUS" "$1"; }
