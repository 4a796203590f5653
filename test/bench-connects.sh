#!/usr/bin/env bash
# Measures connects and the memory of idle users with 0, 20 and 100 groups each, on PostgreSQL and NATS, for
# docs/performance.md. One node imports the groups; the users connect to the other, the measured one. Takes about a
# minute and a half.
set -euo pipefail
program=$(realpath "${1:-bin/beckon}")
. test/cluster.sh
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
  fresh "$work/node" 2
  IFS=, read -r first second <<<"$servers"
  echo; echo "### groups of each user: $groups"
  [ "$groups" = 0 ] || bin/beckon bench --server "$first" --data "$data" --users 2000 --memberships "$groups"
  bin/beckon bench --server "$second" --data "$data" --users 2000 --idle --collect "$(paste -sd, "$work/profilers")"
done
