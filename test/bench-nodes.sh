#!/usr/bin/env bash
# Measures one, two and three nodes on this machine with PostgreSQL (each commit waits for the disk) and NATS: what
# docs/performance.md quotes. Takes about two minutes; SECONDS_EACH makes it shorter. PROGRAMS names several programs to compare in one run.
set -euo pipefail
. test/cluster.sh
echo "## $(nproc) cores, $(date -u +%F)"
for n in 1 2 3; do
  for run in 1 2 3; do
    for program in ${PROGRAMS:-bin/beckon}; do
      fresh "$program" "$n" "$@"
      echo; echo "### $program, nodes: $n, run $run"
      bin/beckon bench --server "$servers" --data "$data" --users 1000 --duration "${SECONDS_EACH:-10}s" \
        --also "postgres=$postgres+;nats=$cluster"
    done
  done
done
