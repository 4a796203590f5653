#!/usr/bin/env bash
# Offers three times the load that this machine carries to a server that may hold LIMIT (400MiB) of memory, for SECONDS_EACH (30), and
# says what was done and what it held at most. Fails when that is more.
set -euo pipefail
beckon=$(realpath "${1:-bin/beckon}")
each=${SECONDS_EACH:-30}
limit=${LIMIT:-400MiB}
. "$(dirname "$0")/server.sh"
bench() { "$beckon" bench --server "http://127.0.0.1:$port" --data "$data" --users 500 --duration "${each}s" "$@" | tee "$work/out"; }
held() { awk '/VmHWM/ { print int($2 / 1024) }' "/proc/$server/status"; }

echo "## what it carries, with $limit"
fresh carries --memory-limit "$limit"; bench
carries=$(grep -oE '= [0-9]+ per second' "$work/out" | head -1 | cut -d' ' -f2)
echo "it held $(held) MiB at most"
echo; echo "## three times that"
fresh three --memory-limit "$limit"; bench --rate "$((3 * carries))" || true # most of it is refused
grep -qE '= [1-9][0-9]* per second' "$work/out" || { echo "nothing was done"; exit 1; }
most=$(held)
echo "it held $most MiB at most"
[ "$most" -le "$(numfmt --from=iec-i --to-unit=Mi "${limit%B}")" ] || { echo "that is more than $limit"; exit 1; }
