#!/usr/bin/env bash
# Measures the cost of idle connected users: 6,000 users with 20 groups each on three nodes with PostgreSQL and NATS, for
# docs/performance.md. Takes about two minutes for each of PROGRAMS, which compares several in one run.
set -euo pipefail
. test/cluster.sh
echo "## $(nproc) cores, $(date -u +%F)"
for program in ${PROGRAMS:-bin/beckon}; do
  fresh "$program" 3 # the only calls are one a second, in both measurements
  for users in 60 6000; do
    bin/beckon bench --server "$servers" --data "$data" --users "$users" --memberships 20
    echo; echo "### $program, users: $users"
    bin/beckon bench --server "$servers" --data "$data" --users "$users" --rate 1 --duration "${SECONDS_EACH:-60}s" \
      --also "postgres=$postgres+;nats=$cluster"
    grep -E "VmRSS" "/proc/$cluster/status" # NATS
  done
done
