#!/usr/bin/env bash
# Measures PostgreSQL's share of a flow at low rates, when each commit holds one action, and under load, directly and
# through PgBouncer: what docs/performance.md quotes. Takes about three minutes. PROGRAMS names several programs to
# compare in one run.
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
for rate in 20 100 0; do
  for way in "" -pgbouncer; do
    for program in ${PROGRAMS:-bin/beckon}; do
      bin/cluster -program "$program" -nodes 1 -listen 127.0.0.1:18787 $way -- --user-rate 1e6 --user-burst 1000000 --members-per-day=-1 --groups-per-day=-1 --address-rate 1e6 --address-burst 1000000 >"$log" 2>&1 &
      cluster=$!
      until grep -q "API key" "$log"; do kill -0 "$cluster" || { cat "$log"; exit 1; }; sleep 0.1; done
      server=$(sed -n 's/.*(\(.*\)).*/http:\/\/\1/p' "$log" | head -1)
      data=$(sed -n 's/^node 0: .*data in //p' "$log")
      bin/beckon bench --server "$server" --data "$data" --users 300 --rate $rate --duration 5s >/dev/null # caches
      echo; echo "### $program, $rate flows/s (0 = as many as possible) $way"
      bin/beckon bench --server "$server" --data "$data" --users 300 --rate $rate --duration 10s \
        --also "postgres=$(sed -n 's/postgres: pid //p' "$log")+"
      kill "$cluster"; wait "$cluster" || true
    done
  done
done
