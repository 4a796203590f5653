# Functions shared by the scripts that measure a server. Set beckon, the program, and source it. work is a temporary directory, removed at
# exit; the server listens on port.
work=$(mktemp -d)
server=
port=18787
finish() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

# fresh NAME [FLAGS]: a server with an empty database.
fresh() {
  [ -z "$server" ] || { kill "$server"; wait "$server" || true; }
  data="$work/$1"; shift
  "$beckon" serve --listen "127.0.0.1:$port" --data "$data" --user-rate 1e6 --user-burst 1000000 --members-per-day=-1 --groups-per-day=-1 --address-rate 1e6 --address-burst 1000000 "$@" >"$work/log" 2>&1 &
  server=$!
  until curl -sf "http://127.0.0.1:$port/readyz" >/dev/null; do kill -0 "$server" || { cat "$work/log"; exit 1; }; sleep 0.1; done
}
