#!/usr/bin/env bash
# Measures one, two and three nodes on this machine with PostgreSQL (each commit waits for the disk) and NATS: what
# docs/performance.md quotes. Takes about two minutes; SECONDS_EACH makes it shorter.
set -euo pipefail
log=$(mktemp)
cluster=
finish() {
  [ -z "$cluster" ] || kill "$cluster" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -f "$log"
}
trap finish EXIT
echo "## $(nproc) cores, $(date -u +%F)"
for n in 1 2 3; do
  for run in 1 2 3; do
    bin/cluster -nodes "$n" -listen 127.0.0.1:18787 -- --user-rate 1e6 --user-burst 1000000 --members-per-day=-1 --groups-per-day=-1 --address-rate 1e6 --address-burst 1000000 "$@" >"$log" 2>&1 &
    cluster=$!
    until grep -q "API key" "$log"; do kill -0 "$cluster" || { cat "$log"; exit 1; }; sleep 0.1; done
    nodes=$(sed -n 's/.*(\(.*\)).*/\1/p' "$log" | head -1 | tr -d ' ' | sed 's#\([^,]*\)#http://\1#g')
    data=$(sed -n 's/^node 0: .*data in //p' "$log")
    echo; echo "### nodes: $n, run $run"
    bin/beckon bench --server "$nodes" --data "$data" --users 1000 --duration "${SECONDS_EACH:-10}s" \
      --also "postgres=$(sed -n 's/postgres: pid //p' "$log")+;nats=$cluster"
    kill "$cluster"; wait "$cluster" || true
  done
done
