#!/usr/bin/env bash
# Measures what the groups of a user cost a connect, and the memory of an idle user, with PostgreSQL and NATS: what
# docs/performance.md quotes. One node imports the groups; the users connect to another, whose memory is measured.
# Takes about three minutes.
set -euo pipefail
program=${1:-bin/beckon}
log=$(mktemp)
cluster=
finish() {
  [ -z "$cluster" ] || kill "$cluster" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -f "$log"
}
trap finish EXIT
echo "## $(nproc) cores, $(date -u +%F)"
for groups in ${GROUPS_EACH:-0 20 100}; do
  bin/cluster -program "$program" -nodes 2 -listen 127.0.0.1:18787 -- --user-rate 1e6 --user-burst 1000000 --members-per-day=-1 --groups-per-day=-1 --address-rate 1e6 --address-burst 1000000 >"$log" 2>&1 &
  cluster=$!
  until grep -q "API key" "$log"; do kill -0 "$cluster" || { cat "$log"; exit 1; }; sleep 0.1; done
  read -r first second <<<"$(sed -n 's/.*(\(.*\)).*/\1/p' "$log" | head -1 | tr -d ',')"
  data=$(sed -n 's/^node 0: .*data in //p' "$log")
  echo; echo "### groups of each user: $groups"
  [ "$groups" = 0 ] || bin/beckon bench --server "http://$first" --data "$data" --users 2000 --memberships "$groups"
  bin/beckon bench --server "http://$second" --data "$data" --users 2000 --idle
  kill "$cluster"; wait "$cluster" || true
done
