# What the scripts share that test a deployment, for bash.
# shellcheck shell=bash

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

# books URLS: waits until all that came in is delivered, lost 0 and invented 0, and shows it: of more URLs than these, or
# the books would say nothing. The caller's `audit` looks, at rest. One look is both waited for and shown: generations go
# on turning, so the next may find one on its way again.
books() {
    local look accepted
    look=$(mktemp)
    eventually 1800 "the books balance" balance "$look"
    jq --raw-output '"records \(.records) accepted URLs \(.accepted_urls) repeats \(.repeats) lost \(.lost) invented \(.invented)"' "$look"
    accepted=$(jq .accepted_urls "$look")
    rm -f "$look"
    [ "$accepted" -gt "$1" ] || fail "only $accepted URLs were accepted: expected more than $1"
}

# balance FILE: whether a look finds nothing missing, which is kept there; says what it is.
balance() {
    audit --json >"$1" || {
        jq --compact-output '.findings[]' "$1"
        return 1
    }
}
