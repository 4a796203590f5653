# The same targets run on a laptop and in CI. "make help" lists them.
SHELL := /bin/bash
GO ?= go
BIN := bin/beckon
CLUSTER := bin/cluster
RELAY := bin/relay
CONFERENCE := bin/conference
# The race detector leaves out SQLite, which is C translated to Go: it finds nothing there and doubles the time. Only this
# package: functions of others, inlined into one that is left out, would hide synchronization from the detector.
RACE := -race -gcflags=modernc.org/sqlite/lib=-race=false
SOURCES := $(shell find . -name '*.go' -not -path './test/drivers/*' -not -path './test/conference/*' -not -path '*/node_modules/*' -not -name '*_test.go') $(wildcard internal/store/*/migrations/*.sql) go.mod go.sum
MODULES := node_modules/.package-lock.json
# The network between a browser and the server, and its tabs, are the same with any number of nodes.
NODE_SCENES = $$(ls *.test.js | grep -v -e network -e firewall -e tabs -e package)
NODE_TESTS = $$(grep -l -e cluster.js -e phone-scene.js test/*.test.ts | grep -v pack) # those with a server
NATIVE := examples/react-native
NATIVE_MODULES := $(NATIVE)/node_modules/.package-lock.json
API := sdk/js/openapi.json
SDK := sdk/js/dist/index.js
PAGES := web/dist/index.html
REACT := sdk/react/dist/index.js
# The first run compiles it: two minutes. The linters are in .golangci.yml.
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.DEFAULT_GOAL := help
.PHONY: bench-pages contract test-native cells schedules sizing bench-timelines bench-postgres bench-backlog bench-erasure retention partitions overload monitoring need-prometheus need-strace need-faketime records help dev build sdk web test test-go test-js test-nodes e2e nodes scenes check check-go check-js format fuzz chaos histories abuse bench bench-nodes bench-connects peers growth bench-call bench-conference bench-drivers bench-rooms test-net clean need-go need-node need-net need-chromium need-postgres need-peers

help: ## List what can be made
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

build: $(BIN) ## Build the server with its pages, phone and tools into bin/beckon

sdk: $(SDK) ## Build the TypeScript SDK into sdk/js/dist

web: $(PAGES) ## Build the pages into web/dist, which the server embeds

$(MODULES): package.json package-lock.json $(wildcard sdk/js/package.json sdk/react/package.json web/package.json test/*/package.json examples/typescript/package.json) | need-node
	@echo "fetching the JavaScript libraries"
	@npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(API): $(shell find protocol internal/api im invite -name '*.go') | need-go
	@echo "describing the verbs for the SDK (the first time this compiles everything: a minute or two)"
	@$(GO) run ./cmd/beckon openapi > $@.new && mv $@.new $@

$(SDK): $(MODULES) $(API) $(wildcard sdk/js/src/*.ts sdk/js/src/native/*.ts) sdk/js/generate.mjs sdk/js/build.mjs sdk/js/tsconfig.json sdk/js/tsconfig.build.json
	@echo "building the SDK"
	@cd sdk/js && node generate.mjs openapi.json && node build.mjs

$(REACT): $(SDK) $(shell find sdk/react/src -type f) sdk/react/build.mjs sdk/react/package.json sdk/react/tsconfig.json sdk/react/tsconfig.build.json
	@echo "building the React components"
	@cd sdk/react && node build.mjs

$(PAGES): $(REACT) $(shell find web/src web/public -type f) web/index.html web/console.html web/vite.config.ts web/vite.sw.config.ts web/compress.mjs
	@echo "building the pages"
	@cd web && npx vite build --logLevel warn && npx vite build --logLevel warn -c vite.sw.config.ts && node compress.mjs

$(CLUSTER): $(SOURCES) | need-go
	@$(GO) build -o $(CLUSTER) ./test/cluster/run

$(RELAY): $(wildcard test/net/relay/*.go) go.mod go.sum | need-go
	@$(GO) build -o $(RELAY) ./test/net/relay

$(CONFERENCE): $(wildcard test/conference/*.go test/conference/go.*) | need-go
	@cd test/conference && $(GO) build -o ../../$(CONFERENCE) .

$(BIN): $(SOURCES) $(PAGES) | need-go
	@echo "building $(BIN) (the first time this fetches and compiles its libraries: a minute or two)"
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.commit=$$(git rev-parse --short=12 HEAD 2>/dev/null)" -o $(BIN) ./cmd/beckon

nodes: $(BIN) $(CLUSTER) | need-postgres ## Run three nodes with PostgreSQL and NATS of their own for trying out, behind http://127.0.0.1:8787
	@exec $(CLUSTER) -program $(BIN) -command dev -media $(ARGS)

dev: $(BIN) ## Run a server for trying out, with its data in ./beckon-data
	@exec $(BIN) dev $(ARGS)

test: test-go test-js test-native e2e test-nodes ## Run every test: Go packages, the program with faults, the SDKs, the React Native example, the scenes in Chromium, and these on three nodes

test-go: | need-go need-postgres
	@echo "testing the Go packages, with the race detector"
	@GOGC=400 $(GO) test $(RACE) -parallel 4 -timeout 15m ./test/scenario ./internal/store ./im/... ./invite/... ./protocol/... ./internal/... ./client/... ./web/... . # the longest first
	@echo "testing the limits of allocations"
	@$(GO) test -run TestAllocations ./invite ./internal/store ./internal/delivery ./internal/gateway
	@echo "testing the program from outside: commands, races, faults"
	@$(GO) test -count=1 -timeout 10m ./cmd/... $$($(GO) list ./test/... | grep -v -e /test/scenario -e /test/examples -e /test/contract/clients) # never cached: the cache does not depend on the program that they run
	@echo "testing the examples in Go"
	@$(GO) test -count=1 -run TestGo ./test/examples
	@echo "testing generated clients in Go"
	@$(GO) test -count=1 -run TestGo ./test/contract/clients

test-nodes: $(BIN) $(CLUSTER) | need-postgres need-chromium
	@echo "testing the scenes of the Go SDK on three nodes, PostgreSQL and NATS, behind a TCP proxy"
	@$(GO) test -count=1 -parallel 4 -timeout 10m ./test/scenario -nodes 3
	@echo "testing the TypeScript SDK on three nodes"
	@cd sdk/js && BECKON_E2E_NODES=3 node --import tsx --test --test-concurrency=2 --test-timeout=120000 $(NODE_TESTS)
	@echo "testing the scenes in a browser on three nodes"
	@cd test/e2e && BECKON_E2E_NODES=3 node --test --test-timeout=420000 $(NODE_SCENES)

test-js: $(BIN)
	@echo "testing a plain Node client that follows PROTOCOL.md"
	@cd test/node && node --test --test-timeout=60000
	@echo "testing the TypeScript SDK"
	@cd sdk/js && npm test --silent && node size.mjs
	@echo "testing the React components"
	@cd sdk/react && npm test --silent
	@echo "testing the examples and generated clients in TypeScript"
	@$(GO) test -count=1 -run TestTypeScript ./test/examples ./test/contract/clients

$(NATIVE_MODULES): $(NATIVE)/package.json $(NATIVE)/package-lock.json | $(SDK)
	@echo "fetching the libraries of the React Native example (some hundred megabytes)"
	@cd $(NATIVE) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

test-native: $(SDK) $(NATIVE_MODULES) ## Check the React Native example: types against the real libraries, bundles by Metro for both platforms, bytecode by Hermes' compiler
	@cd $(NATIVE) && rm -rf node_modules/beckon/dist && cp -r ../../sdk/js/dist ../../sdk/js/package.json node_modules/beckon
	@echo "checking the types of the React Native example"
	@cd $(NATIVE) && npm run check --silent
	@echo "bundling the React Native example for Android and iOS (the first time minutes)"
	@cd $(NATIVE) && npm run bundle --silent

e2e: $(BIN) | need-chromium ## Run the scenes in Chromium with fake camera and microphone and real media
	@echo "testing the scenes in a browser"
	@cd test/e2e && node --test --test-timeout=420000 *.test.js ../document/*.test.js

test-net: need-net $(BIN) $(RELAY) | need-chromium ## Call over networks that delay, lose, block, move and cut, in network namespaces: root on Linux, so not in CI; 20 minutes (ARGS="--only 'loss 3'")
	@cd test/net && exec node run.js $(ARGS)

bench-pages: $(BIN) | need-chromium ## Measure a conversation of 100,000 messages (BENCH_MESSAGES) and the first paint, in Chromium: five minutes
	@cd test/e2e && node bench-pages.js

scenes: $(BIN) | need-chromium ## Take the screenshots under docs/scenes
	@cd test/e2e && node screenshots.js && node console-shots.js

check: check-go check-js ## Format, vet, golangci-lint, architecture rules, tidy modules, links, strict TypeScript, ESLint, Prettier

check-js: $(REACT)
	@echo "TypeScript, strict"; cd sdk/js && npx tsc --noEmit -p tsconfig.json && cd ../react && npm run check --silent && cd ../../web && npm run check --silent && cd ../examples/typescript && npm run check --silent
	@echo "ESLint"; npx eslint --cache --cache-location node_modules/.cache/eslint/ --max-warnings 0 .
	@echo "Prettier"; npx prettier --cache --check --log-level warn .

format: $(MODULES) ## Format Go with gofmt, and TypeScript, JavaScript and CSS with Prettier
	@gofmt -w $$(git ls-files '*.go'); npx prettier --write --log-level warn .

check-go: | need-go
	@echo "gofmt"; out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "run gofmt -w on:"; echo "$$out"; exit 1; }
	@echo "go vet"; $(GO) vet ./...
	@echo "go mod tidy"; $(GO) mod tidy -diff >/dev/null || { echo "run go mod tidy"; exit 1; }
	@echo "golangci-lint"; $(GO) run $(GOLANGCI) run ./...
	@echo "architecture rules"; $(GO) test -count=1 -run 'TestImportsPointLeft|TestTestsOfTheSDK|TestOutsideImports|TestSizes|TestSizesOfScripts|TestConventions|TestPackageTable|TestCallbacks|TestBackground|TestRoot|TestSQLPlaces|TestNames|TestMessages|TestColumns|TestDialect|TestLinks' .

fuzz: | need-go ## Fuzz frames, HTTP bodies, tokens and the rules, 60 s each (FUZZTIME=10s for less)
	@for f in ./invite:FuzzRules ./internal/auth:FuzzToken ./internal/api:FuzzBody ./internal/api:FuzzNames ./internal/delivery:FuzzDecode ./internal/files:FuzzInspect ./test/frames:FuzzFrames; do \
	  echo "fuzzing $$f"; $(GO) test "$${f%%:*}" -run '^$$' -fuzz "^$${f##*:}$$" -fuzztime "$${FUZZTIME:-60s}" || exit 1; done

chaos: | need-go need-postgres need-strace need-faketime ## Every fault of three nodes for 60 s (FAULT_TIME, FAULTS), 20 kills of one, stepped clocks, damaged files, power cuts, full disks, failed fsyncs, 10,000 races each with porcupine: about 50 minutes
	@$(GO) test -count=1 -v -timeout 90m ./test/chaos -chaos.kills=20 -chaos.fsyncs=3 -chaos.return=19500 -chaos.time=$${FAULT_TIME:-60s} -chaos.faults="$${FAULTS:-all}"
	@$(GO) test -count=1 -v -timeout 60m ./test/disk -disk.flips=200 -disk.cuts=500 -disk.full=30
	@$(GO) test -count=1 -v -timeout 30m ./test/linear -linear.races=10000
	@$(GO) test -count=1 -v -timeout 30m ./test/linear -linear.races=10000 -linear.nodes=3

histories: | need-go need-postgres ## Play 20,000 invitations (HISTORIES) over raw WebSocket on one node and on three, with cuts, restarts and kills, and judge what every device received
	@$(GO) test -count=1 -v -timeout 30m ./test/histories -histories.n=$${HISTORIES:-20000} -histories.kills=20
	@$(GO) test -count=1 -v -timeout 30m ./test/histories -histories.n=$${HISTORIES:-20000} -histories.kills=20 -histories.nodes=3

schedules: $(BIN) ## Play 500 random schedules (SCHEDULES) with each SDK: networks, tokens, clocks, storage, programs and the server fail, and then the devices are compared with the server: ten minutes
	@cd sdk/js && BECKON_SCHEDULES=$${SCHEDULES:-500} node --import tsx --test test/schedules.test.ts
	@$(GO) test -count=1 -v -timeout 30m ./test/schedules -schedules.n=$${SCHEDULES:-500}

abuse: | need-go ## Attack the program beside users who call each other: four attacks of accounts alone, ten on the transport at once with 10,000 connects a second, and all together: 30 minutes (ABUSE_TIME, 10m)
	@$(GO) test -count=1 -v -timeout 60m ./test/abuse -abuse.time=$${ABUSE_TIME:-10m} -abuse.connects=10000 -abuse.names=9999 \
	  -abuse.alone -abuse.judge

bench: $(BIN) ## Measure this machine: flows per second, latency, memory, deadlines (docs/performance.md)
	@test/bench.sh $(BIN)

peers: $(BIN) | need-postgres need-peers ## Measure Beckon beside a bare relay, Kamailio and ejabberd with one generator, three rounds: about ten minutes
	@$(GO) run ./test/peers $(ARGS)

records: $(BIN) ## Measure what the console costs in a house with a million call records
	@$(GO) run ./test/records $(ARGS)

retention: | need-go need-postgres ## Simulate a day of calls with an injected clock on SQLite and hours on PostgreSQL, with retention and without, print rows and sizes, and draw docs/retention.svg: hours, and on SQLite a run that was broken off goes on; ARGS="-rate 28" a tenth of it
	@nice $(GO) run ./test/retention -engine sqlite -length 24h -without 2h $(ARGS)
	@nice $(GO) run ./test/retention -engine postgres -length 5h -without 2h $(ARGS)

contract: $(SDK) | need-go need-node ## Compare the OpenAPI document with the server: 100 valid requests of each method, and generated clients: two minutes
	@$(GO) test -count=1 ./test/contract -v -contract.requests 100
	@$(GO) test -count=1 ./test/contract/clients -v

partitions: | need-go need-postgres ## Measure on PostgreSQL what removing old records costs, row by row and with a table partitioned by time: about five minutes
	@$(GO) run ./test/partitions $(ARGS)

cells: | need-go ## Simulate invitations between cells (docs/adr/0032): 100,000 runs with lost messages and crashes, half a minute
	@$(GO) test -count=1 ./test/cells -v -cells.runs 100000

bench-backlog: | need-go need-postgres ## Measure the outbox with a million waiting ordering keys, on both engines: about ten minutes
	@$(GO) run ./test/backlog -engine sqlite $(ARGS)
	@$(GO) run ./test/backlog -engine postgres $(ARGS)

bench-erasure: | need-go need-postgres ## Measure the erasure of a user in databases of 1, 6 and 12 million records, on both engines: about fifteen minutes
	@$(GO) run ./test/erasure -engine sqlite $(ARGS)
	@$(GO) run ./test/erasure -engine postgres $(ARGS)

sizing: $(BIN) | need-postgres ## Measure the cost of users, groups, flows and webhooks, and print the tables of docs/operating.md: about ten minutes, on an idle machine
	@$(GO) run ./test/sizing -measure $(BIN)
	@$(GO) run ./test/sizing -table

bench-timelines: | need-go need-postgres ## Measure retention in a database of ten million timelines, on both engines: about half an hour
	@$(GO) run ./test/timelines -engine sqlite $(ARGS)
	@$(GO) run ./test/timelines -engine postgres $(ARGS)

growth: $(BIN) ## Measure what a flow costs as users, open invitations and groups grow, and draw docs/growth.svg: about three minutes
	@$(GO) run ./test/growth $(ARGS)

monitoring: $(BIN) | need-prometheus ## Hold the alert rules and the dashboard to a real Prometheus that reads a server under load
	@test/monitoring.sh

overload: $(BIN) ## Offer a server with a limit of memory (LIMIT, 400MiB) three times the load that it carries; fails when it holds more
	@test/overload.sh

bench-postgres: $(BIN) $(CLUSTER) | need-postgres ## Measure what a flow costs PostgreSQL at low rates and under load, directly and through PgBouncer: three minutes
	@test/bench-postgres.sh

bench-nodes: $(BIN) $(CLUSTER) | need-postgres ## Measure one, two and three nodes on this machine, and what a flow costs each part
	@test/bench-nodes.sh

bench-connects: $(BIN) $(CLUSTER) | need-postgres ## Measure the cost of a connect and the memory of an idle user with 0, 20 and 100 groups, on PostgreSQL
	@test/bench-connects.sh

bench-call: $(BIN) | need-chromium ## Measure the time from Accept to the first picture, ten calls in Chromium; ARGS="300" delays both sides by 300 ms
	@cd test/e2e && node first-frame.js $(ARGS)

bench-conference: $(BIN) $(CONFERENCE) | need-chromium ## Measure calls of ten in video and of twenty in audio: the first picture in Chromium, the server's CPU and memory
	@cd test/e2e && node conference.js

bench-rooms: | need-go ## Benchmarks of single rooms, with allocation counts
	@$(GO) test -run '^$$' -bench . -benchmem ./invite ./internal/store/... ./internal/delivery ./internal/gateway

bench-drivers: | need-go ## The benchmark behind the choice of the SQLite driver (docs/adr/0002)
	@cd test/drivers && $(GO) test -bench . -benchtime 200x -count 5

clean: ## Remove what was built
	@rm -rf bin node_modules sdk/js/dist sdk/react/dist sdk/js/openapi.json sdk/js/src/schema.ts web/dist/assets web/dist/index.html web/dist/console.html web/dist/sw.js web/dist/*.webmanifest web/dist/icon*

need-go:
	@command -v $(GO) >/dev/null || { echo "Go 1.26 or later is missing: see https://go.dev/doc/install"; exit 1; }

need-node:
	@command -v node >/dev/null && command -v npm >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then echo "installing Node with apt-get"; apt-get update -qq && apt-get install -y -qq nodejs npm >/dev/null; \
	  else echo "Node 20 or later with npm is missing: see https://nodejs.org"; exit 1; fi; }
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || { echo "Node $$(node --version) is too old for the pages: 20 or later is needed, see https://nodejs.org"; exit 1; }

need-net: | need-node
	@command -v ip >/dev/null || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || { echo "installing iproute2 with apt-get"; apt-get update -qq && apt-get install -y -qq iproute2 >/dev/null; }
	@node test/net/run.js --check

need-chromium:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then echo "installing Chromium with apt-get"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	  else echo "Chromium is missing: install it, or set CHROMIUM to a browser of that kind"; exit 1; fi; }

need-postgres:
	@{ command -v pg_ctl >/dev/null || ls /usr/lib/postgresql/*/bin/pg_ctl >/dev/null 2>&1; } && { command -v pgbouncer >/dev/null || ls /usr/sbin/pgbouncer >/dev/null 2>&1; } || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then echo "installing PostgreSQL and PgBouncer with apt-get"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql pgbouncer >/dev/null; \
	  else echo "PostgreSQL 15 or later, or PgBouncer, is missing: install both so that pg_ctl and pgbouncer are in PATH"; exit 1; fi; }

need-strace:
	@command -v strace >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then echo "installing strace with apt-get"; apt-get update -qq && apt-get install -y -qq strace >/dev/null; \
	  else echo "strace is missing, which makes the fsyncs of the server fail"; exit 1; fi; }

need-faketime:
	@ls /usr/lib*/*/faketime/libfaketime.so.1 /usr/lib*/faketime/libfaketime.so.1 2>/dev/null | grep -q . || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then echo "installing faketime with apt-get"; apt-get update -qq && apt-get install -y -qq faketime >/dev/null; \
	  else echo "libfaketime is missing, which sets the clock of PostgreSQL"; exit 1; fi; }

need-prometheus:
	@command -v prometheus >/dev/null && command -v promtool >/dev/null && command -v jq >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then echo "installing Prometheus and jq with apt-get"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus jq >/dev/null; \
	  else echo "prometheus, promtool and jq are missing, to which the alert rules and the dashboard are held"; exit 1; fi; }

need-peers:
	@command -v kamailio >/dev/null && command -v ejabberdctl >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then echo "installing Kamailio and ejabberd with apt-get"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends kamailio ejabberd >/dev/null; \
	  else echo "Kamailio and ejabberd are missing, which Beckon is measured beside"; exit 1; fi; }
