# What is typed often. CI is .ci/run, the README has the two commands that need
# nothing but Go.
.DEFAULT_GOAL := build
FUZZTIME ?= 20s

.PHONY: build test ci chaos soak fuzz bench measure screenshots measure-pages

build: ## the program, in bin/
	@mkdir -p bin && echo '*' >bin/.gitignore
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/bellhop ./cmd/bellhop

test: ## all tests, as in the README
	go tool gotestsum -- ./...

ci: ## everything that guards a change
	bash .ci/run

chaos: ## kills, stops, faults, steps of the clock, full disks, losses of power; takes long
	BELLHOP_CHAOS=50 BELLHOP_POWER=3000 go test ./e2e -run 'Chaos|Power|StoppedServer' -count=1 -timeout 120m -v

soak: ## a million runs, after which nothing has grown
	BELLHOP_SOAK=1000000 go test ./e2e -run Soak -count=1 -timeout 60m -v

fuzz: ## each fuzz test for FUZZTIME (20s)
	@grep -rno --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's/:[0-9]*:func / /' | while read -r file name; do \
		echo "== $$name in $$(dirname "$$file")"; \
		go test "$$(dirname "$$file")" -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) </dev/null || exit 1; \
	done

bench: ## all benchmarks
	go test ./... -run '^$$' -bench . -benchmem

measure: build ## bellhop bench in bin/: submits, work, latency, commands (docs/performance.md)
	bin/bellhop bench --store sqlite:bin/bench.db

screenshots: ## pictures of the web page, in docs/screenshots; needs Chromium
	BELLHOP_TEST_REQUIRE=all BELLHOP_TEST_SCREENSHOTS=docs/screenshots go test ./internal/webtest -run Screenshots -count=1

measure-pages: ## what 200 open pages that watch a busy run take (docs/performance.md); needs Linux
	BELLHOP_TEST_PAGES=200 go test ./internal/webtest -run ManyPages -count=1 -v
