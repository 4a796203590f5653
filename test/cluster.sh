# Functions shared by the scripts that measure a cluster. Source it from the top directory. work is a temporary directory, removed at exit.
work=$(mktemp -d)
cluster=
finish() {
  [ -z "$cluster" ] || kill "$cluster" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

# fresh PROGRAM NODES [FLAGS]: a cluster with an empty database. It sets servers, the addresses of the nodes separated by commas, data, the
# directory of the first node, and postgres, the process. CLUSTER has flags of bin/cluster.
fresh() {
  stop
  local program=$1 nodes=$2; shift 2
  # shellcheck disable=SC2086 # CLUSTER is a list
  bin/cluster -program "$program" -nodes "$nodes" -listen 127.0.0.1:18787 ${CLUSTER:-} -- --user-rate 1e6 --user-burst 1000000 --members-per-day=-1 --groups-per-day=-1 --address-rate 1e6 --address-burst 1000000 "$@" >"$work/log" 2>&1 &
  cluster=$!
  until grep -q "API key" "$work/log"; do kill -0 "$cluster" || { cat "$work/log"; exit 1; }; sleep 0.1; done
  servers=$(sed -n 's/.*(\(.*\)).*/\1/p' "$work/log" | head -1 | tr -d ' ' | sed 's#\([^,]*\)#http://\1#g')
  data=$(sed -n 's/^node 0: .*data in //p' "$work/log")
  postgres=$(sed -n 's/postgres: pid //p' "$work/log")
}

# stop: ends the cluster.
stop() {
  [ -z "$cluster" ] || { kill "$cluster"; wait "$cluster" || true; }
  cluster=
}
