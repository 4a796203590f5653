# The same targets run on a laptop and in CI. "make help" lists them.
SHELL := /bin/bash
GO ?= go
BIN := bin/beckon
SOURCES := $(shell find . -name '*.go' -not -path './test/drivers/*' -not -name '*_test.go') go.mod go.sum
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.DEFAULT_GOAL := help
.PHONY: help dev build test test-go test-node check fuzz chaos bench bench-drivers bench-rooms clean need-go need-node

help: ## List what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

build: $(BIN) ## Build the server, phone and tools into bin/beckon

$(BIN): $(SOURCES) | need-go
	@echo "building $(BIN) (the first time this fetches and compiles its libraries: a minute or two)"
	@$(GO) build -o $(BIN) ./cmd/beckon

dev: $(BIN) ## Run a server for trying out, with its data in ./beckon-data
	@exec $(BIN) dev $(ARGS)

test: test-go test-node ## Run every test: rules, store, doors, races, crashes, and a client in another language

test-go: | need-go
	@echo "testing the rooms, with the race detector"
	@$(GO) test -race -timeout 10m ./im/... ./invite/... ./protocol/... ./internal/... ./client/... .
	@echo "testing the program from outside: races, crashes, the terminal phone"
	@$(GO) test -count=1 -timeout 10m ./cmd/... ./test/... # never cached: they run the program, which the cache does not see

test-node: $(BIN) | need-node
	@echo "testing a plain Node client that follows PROTOCOL.md"
	@cd test/node && ( [ -d node_modules/centrifuge ] || npm ci --no-audit --no-fund --loglevel=error )
	@cd test/node && node --test --test-timeout=60000

check: | need-go ## Format, vet, staticcheck, house rules, tidy modules, links
	@echo "gofmt"; out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "run gofmt -w on:"; echo "$$out"; exit 1; }
	@echo "go vet"; $(GO) vet ./...
	@echo "go mod tidy"; $(GO) mod tidy -diff >/dev/null || { echo "run go mod tidy"; exit 1; }
	@echo "staticcheck"; $(GO) run $(STATICCHECK) ./...
	@echo "house rules"; $(GO) test -count=1 -run 'TestImportsPointLeft|TestDoorsToTheOutside|TestSizes|TestManners|TestLinks' .

fuzz: | need-go ## Fuzz frames, HTTP bodies, tokens and the rules, 60 s each (FUZZTIME=10s for less)
	@for f in ./invite:FuzzRules ./internal/api:FuzzToken ./internal/api:FuzzBody ./test/frames:FuzzFrames; do \
	  echo "fuzzing $$f"; $(GO) test "$${f%%:*}" -run '^$$' -fuzz "^$${f##*:}$$" -fuzztime "$${FUZZTIME:-60s}" || exit 1; done

chaos: | need-go ## Kill the server 20 times under load and check every history; 10,000 racing invitations with porcupine
	@$(GO) test -count=1 -v -timeout 30m ./test/chaos -chaos.kills=20
	@$(GO) test -count=1 -v -timeout 30m ./test/linear -linear.races=10000

bench: $(BIN) ## Measure this machine: flows per second, latency, memory, deadlines (docs/performance.md)
	@test/bench.sh $(BIN)

bench-rooms: | need-go ## Benchmarks of single rooms, with allocation counts
	@$(GO) test -run '^$$' -bench . -benchmem ./invite ./internal/store

bench-drivers: | need-go ## The benchmark behind the choice of the SQLite driver (docs/adr/0002)
	@cd test/drivers && $(GO) test -bench . -benchtime 200x -count 5

clean: ## Remove what was built
	@rm -rf bin test/node/node_modules

need-go:
	@command -v $(GO) >/dev/null || { echo "Go 1.26 or later is missing: see https://go.dev/doc/install"; exit 1; }

need-node:
	@command -v node >/dev/null && command -v npm >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then echo "installing Node with apt-get"; apt-get update -qq && apt-get install -y -qq nodejs npm >/dev/null; \
	  else echo "Node 18 or later with npm is missing: see https://nodejs.org"; exit 1; fi; }
