#!/usr/bin/env bash
# Measures PostgreSQL's share of a flow at low rates, when each commit holds one action, and under load, directly and
# through PgBouncer: what docs/performance.md quotes. Takes about three minutes. PROGRAMS names several programs to
# compare in one run.
set -euo pipefail
. test/cluster.sh
echo "## $(nproc) cores, $(date -u +%F)"
for rate in 20 100 0; do
  for CLUSTER in "" -pgbouncer; do
    for program in ${PROGRAMS:-bin/beckon}; do
      fresh "$program" 1
      bin/beckon bench --server "$servers" --data "$data" --users 300 --rate $rate --duration 5s >/dev/null # caches
      echo; echo "### $program, $rate flows/s (0 = as many as possible) $CLUSTER"
      bin/beckon bench --server "$servers" --data "$data" --users 300 --rate $rate --duration "${SECONDS_EACH:-10}s" \
        --also "postgres=$postgres+"
    done
  done
done
