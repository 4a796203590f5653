#!/usr/bin/env bash
# Lets a real Prometheus read a real server under load, and holds the alert rules and every expression of the dashboard to it: each must
# be understood, and find something. Takes about 40 seconds.
set -euo pipefail
beckon=$(realpath "${1:-bin/beckon}")
rules=$(realpath deploy/monitoring/alerts.yml) dashboard=$(realpath deploy/monitoring/grafana.json)
work=$(mktemp -d)
finish() {
  # shellcheck disable=SC2046
  kill $(jobs -p) 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
server=127.0.0.1:18787 eye=127.0.0.1:19090

promtool check rules "$rules"
# the clock of a was set a minute ago, that of b has been wrong for long, that of c is right
cat >"$work/clock.yml" <<YML
rule_files: ["$rules"]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'beckon_clock_steps_total{instance="a"}', values: '0x30 1x5'}
      - {series: 'beckon_clock_error_seconds{instance="b"}', values: '-600x35'}
      - {series: 'beckon_clock_steps_total{instance="c"}', values: '3x35'}
      - {series: 'beckon_clock_error_seconds{instance="c"}', values: '0.2x35'}
    promql_expr_test:
      - expr: ALERTS{alertname="BeckonClockSet"}
        eval_time: 32m
        exp_samples:
          - {labels: 'ALERTS{alertname="BeckonClockSet",alertstate="firing",instance="a",severity="warning"}', value: 1}
          - {labels: 'ALERTS{alertname="BeckonClockSet",alertstate="firing",instance="b",severity="warning"}', value: 1}
YML
promtool test rules "$work/clock.yml"
"$beckon" serve --listen "$server" --data "$work/data" >"$work/log" 2>&1 &
cat >"$work/prometheus.yml" <<YML
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: ["$rules"]
scrape_configs: [{job_name: beckon, static_configs: [{targets: ["$server"]}]}]
YML
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/tsdb" --web.listen-address="$eye" >"$work/eye.log" 2>&1 &
until curl -sf "http://$server/readyz" >/dev/null && curl -sf "http://$eye/-/ready" >/dev/null; do sleep 0.2; done
"$beckon" bench --server "http://$server" --data "$work/data" --users 20 --rate 20 --duration 20s
key=$(jq -r .apiKey "$work/data/keys.json")
for _ in 1 2 3 4 5; do # what is refused has a plot too
  curl -s -o /dev/null -H "Authorization: Bearer $key" -H "Beckon-User: ann" -d '{"inviteID":"none"}' "http://$server/v1/cancel"
  sleep 1
done

bad=0 seen=0
while read -r expr; do
  seen=$((seen + 1)) query=${expr//\$instance/.*}
  query=${query//\$__rate_interval/15s}
  found=$(curl -sf --data-urlencode "query=$query" "http://$eye/api/v1/query" | jq '.data.result | length') || found=0
  [ "$found" -gt 0 ] || { echo "the dashboard's expression finds nothing: $expr"; bad=1; }
done < <(jq -r '.. | .expr? // empty' "$dashboard")
while read -r name health state; do
  [ "$health" = ok ] && [ "$state" = inactive ] || { echo "the alert $name is $health and $state beside a server in order"; bad=1; }
done < <(curl -sf "http://$eye/api/v1/rules" | jq -r '.data.groups[].rules[] | "\(.name) \(.health) \(.state)"')
[ "$bad" = 0 ] && echo "all $seen expressions of the dashboard and all alert rules are in order"
exit "$bad"
