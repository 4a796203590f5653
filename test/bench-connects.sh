#!/usr/bin/env bash
# Measures connects and the memory of idle users with 0, 20 and 100 groups each, on PostgreSQL and NATS, for
# docs/performance.md. One node imports the groups; the users connect to the other, the measured one. Takes about a
# minute and a half.
set -euo pipefail
program=$(realpath "${1:-bin/beckon}")
work=$(mktemp -d)
cluster=
finish() {
  [ -z "$cluster" ] || kill "$cluster" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
cat >"$work/node" <<END
#!/usr/bin/env bash
# A node with a profiler on a port of its own.
port=\$((20000 + \$\$ % 10000))
echo "127.0.0.1:\$port" >>"$work/profilers"
exec "$program" "\$@" --pprof "127.0.0.1:\$port"
END
chmod +x "$work/node"
echo "## $(nproc) cores, $(date -u +%F)"
for groups in ${GROUPS_EACH:-0 20 100}; do
  rm -f "$work/profilers"
  bin/cluster -program "$work/node" -nodes 2 -listen 127.0.0.1:18787 -- --user-rate 1e6 --user-burst 1000000 --members-per-day=-1 --groups-per-day=-1 --address-rate 1e6 --address-burst 1000000 >"$work/log" 2>&1 &
  cluster=$!
  until grep -q "API key" "$work/log"; do kill -0 "$cluster" || { cat "$work/log"; exit 1; }; sleep 0.1; done
  read -r first second <<<"$(sed -n 's/.*(\(.*\)).*/\1/p' "$work/log" | head -1 | tr -d ',')"
  data=$(sed -n 's/^node 0: .*data in //p' "$work/log")
  echo; echo "### groups of each user: $groups"
  [ "$groups" = 0 ] || bin/beckon bench --server "http://$first" --data "$data" --users 2000 --memberships "$groups"
  bin/beckon bench --server "http://$second" --data "$data" --users 2000 --idle --collect "$(paste -sd, "$work/profilers")"
  kill "$cluster"; wait "$cluster" || true
done
