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
# the books would say nothing. The caller's `audit` looks, at rest.
books() {
    eventually 1800 "the books balance" audit
    audit | tail -2
    local accepted
    accepted=$(audit --json | jq .accepted_urls)
    [ "$accepted" -gt "$1" ] || fail "only $accepted URLs were accepted: expected more than $1"
}
