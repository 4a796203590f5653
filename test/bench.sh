#!/usr/bin/env bash
# Measures this machine with a real server: what docs/performance.md quotes. Takes about six minutes.
# USERS_IDLE, DEADLINES and SECONDS_EACH make it shorter.
set -euo pipefail
beckon=$(realpath "${1:-bin/beckon}")
each=${SECONDS_EACH:-15}
. "$(dirname "$0")/server.sh"
bench() { "$beckon" bench --server "http://127.0.0.1:$port" --data "$data" "$@"; }

echo "## $(nproc) cores, $(date -u +%F), $(go version | cut -d' ' -f3)"
echo; echo "### one-to-one, closed loop, 64 in flight, 500 users, three runs"
for run in 1 2 3; do fresh "closed$run"; bench --users 500 --duration "${each}s"; echo; done
echo "### the same without fsync, for what it costs"
fresh nosync --no-fsync; bench --users 500 --duration "${each}s"
echo; echo "### one-to-one, open loop, 1250 flows/s, 500 users"
fresh open; bench --users 500 --rate 1250 --duration "${each}s"
echo; echo "### groups of 10, everybody accepts, 500 users, 16 in flight"
fresh group; bench --users 500 --group 10 --flight 16 --duration "${each}s"
echo; echo "### a group of 10,000, 2,000 connected: messages, and 10,000 answers within 5 s"
fresh crowd; bench --users 2000 --crowd 10000
echo; echo "### idle connections"
fresh idle; bench --users "${USERS_IDLE:-10000}" --idle
echo; echo "### deadlines: opened, and timed out"
fresh deadlines; bench --users 1000 --deadlines "${DEADLINES:-100000}"
echo; echo "### open invitations with deadlines: starting up"
fresh restart; bench --users 100 --open "${DEADLINES:-100000}"
before=$(date +%s%N)
kill -9 "$server"; wait "$server" 2>/dev/null || true
"$beckon" serve --listen "127.0.0.1:$port" --data "$data" >"$work/log" 2>&1 &
server=$!
until curl -sf "http://127.0.0.1:$port/readyz" >/dev/null; do sleep 0.02; done
echo "ready $(( ($(date +%s%N) - before) / 1000000 )) ms after kill -9 with ${DEADLINES:-100000} open invitations"
