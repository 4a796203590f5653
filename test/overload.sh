#!/usr/bin/env bash
# Offers three times the load that this machine carries to a server that may hold LIMIT (400MiB) of memory, for SECONDS_EACH (30), and
# says what was done and what it held at most. Fails when that is more.
set -euo pipefail
beckon=$(realpath "${1:-bin/beckon}")
each=${SECONDS_EACH:-30}
limit=${LIMIT:-400MiB}
work=$(mktemp -d)
server=
finish() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

port=18787
# fresh NAME: a server with an empty database and the limit.
fresh() {
  [ -z "$server" ] || { kill "$server"; wait "$server" || true; }
  data="$work/$1"
  "$beckon" serve --listen "127.0.0.1:$port" --data "$data" --memory-limit "$limit" --user-rate 1e6 --user-burst 1000000 --address-rate 1e6 --address-burst 1000000 >"$work/log" 2>&1 &
  server=$!
  until curl -sf "http://127.0.0.1:$port/readyz" >/dev/null; do kill -0 "$server" || { cat "$work/log"; exit 1; }; sleep 0.1; done
}
bench() { "$beckon" bench --server "http://127.0.0.1:$port" --data "$data" --users 500 --duration "${each}s" "$@" | tee "$work/out"; }
held() { awk '/VmHWM/ { print int($2 / 1024) }' "/proc/$server/status"; }

echo "## what it carries, with $limit"
fresh carries; bench
carries=$(grep -oE '= [0-9]+ per second' "$work/out" | head -1 | cut -d' ' -f2)
echo "it held $(held) MiB at most"
echo; echo "## three times that"
fresh three; bench --rate "$((3 * carries))" || true # most of it is refused
grep -qE '= [1-9][0-9]* per second' "$work/out" || { echo "nothing was done"; exit 1; }
most=$(held)
echo "it held $most MiB at most"
[ "$most" -le "$(numfmt --from=iec-i --to-unit=Mi "${limit%B}")" ] || { echo "that is more than $limit"; exit 1; }
