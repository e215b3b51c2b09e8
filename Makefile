# Stoa's targets. `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export STOA_CACHE ?= $(HOME)/.cache/stoa
export PATH := $(STOA_CACHE)/bin:$(CURDIR)/clients/web/node_modules/.bin:$(PATH)

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64
# Everything but the tests that run the built binary with ffmpeg and a browser.
QUICK := $$(go list ./... | grep -v /e2e)

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  make run DEMO=clip.mp4 loops a file instead of the test picture; DEMO=0 starts without a channel."

.PHONY: run
run: bin/stoa ## Set up, build and start Stoa with a demo channel on the air
	@scripts/setup.sh ffmpeg
	@scripts/run.sh

.PHONY: mesh
mesh: bin/stoa ## Set up and start a whole mesh on this machine, behind Envoy, with a demo channel on the air
	@scripts/setup.sh ffmpeg
	@scripts/parts.sh postgres pulsar consul envoy
	@go run ./scripts/mesh

.PHONY: test
test: setup ## Set up and run every check and test
	@scripts/test.sh

.PHONY: test-quick
test-quick: ## Run the Go tests that need no other program, in under two minutes
	go test $(QUICK)

.PHONY: test-stores
test-stores: ## Run the tests of all services on PostgreSQL and on MariaDB, about ten minutes
	@scripts/parts.sh postgres mariadb
	go run ./scripts/parts -only postgres env STOA_TEST_STORE=postgres go test -timeout 15m ./services/... ./internal/app
	go run ./scripts/parts -only mariadb env STOA_TEST_STORE=mariadb go test -timeout 15m ./services/... ./internal/app

.PHONY: parts
parts: ## Install and start the real parts of a mesh, and print how they are reached, until Ctrl-C
	@scripts/parts.sh
	@go run ./scripts/parts

.PHONY: lint
lint: tools node ## Run every linter and the check of generated code
	@scripts/lint.sh

.PHONY: generate
generate: tools node ## Rebuild gen/ and docs/configuration.md from contracts, schemas and settings
	@scripts/generate.sh

.PHONY: web
web: node ## Build the web app into the folder that the binary embeds
	cd clients/web && npm run --silent build

.PHONY: build
build: web ## Build static binaries for all platforms, with checksums, into dist/
	@rm -rf dist && mkdir -p dist
	@for platform in $(PLATFORMS); do \
		os=$${platform%/*} arch=$${platform#*/} name=stoa-$$os-$$arch; \
		if [ $$os = windows ]; then name=$$name.exe; fi; \
		echo "building dist/$$name"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build -trimpath -ldflags '$(LDFLAGS)' -o dist/$$name ./cmd/stoa; \
	done
	@cd dist && sha256sum stoa-* > SHA256SUMS && cat SHA256SUMS

.PHONY: bench
bench: bench-live bench-chat bench-web ## Run all benchmarks

.PHONY: bench-live
bench-live: bin/stoa ## Measure what a viewer costs, beside a floor program and lal's own server
	go build -o bin/bench-live ./bench/live
	bin/bench-live -stoa bin/stoa

.PHONY: bench-chat
bench-chat: bin/stoa ## Measure what talk costs, beside floor programs and Centrifugo (ONLY=broadcast,durable runs a part)
	cd bench/chat/centrifugo && CGO_ENABLED=0 go build -o $(STOA_CACHE)/bin/ tool
	go build -o bin/bench-chat ./bench/chat
	bin/bench-chat -stoa bin/stoa -centrifugo $(STOA_CACHE)/bin/centrifugo -only '$(ONLY)' -json bin/bench-chat.json

.PHONY: bench-web
bench-web: bin/stoa ## Measure what the web app costs a browser (MINUTES=60 also watches its memory for that long)
	@scripts/setup.sh ffmpeg chromium
	cd clients/web && STOA_BINARY=$(CURDIR)/bin/stoa node bench/web.mjs first busy $(if $(MINUTES),hours --minutes $(MINUTES))

.PHONY: screenshots
screenshots: bin/stoa ## Take the pictures in docs/screenshots anew
	@scripts/setup.sh ffmpeg chromium fonts-noto-cjk fonts-noto-color-emoji
	cd clients/web && STOA_BINARY=$(CURDIR)/bin/stoa E2E_SHOTS=$(CURDIR)/docs/screenshots node e2e/screenshots.mjs

# What other targets need.

.PHONY: setup
setup:
	@scripts/setup.sh git gcc ffmpeg chromium strace
	@scripts/parts.sh
	@scripts/tools.sh
	@scripts/node.sh

.PHONY: tools
tools:
	@scripts/tools.sh

.PHONY: node
node:
	@scripts/node.sh

.PHONY: bin/stoa
bin/stoa: web
	CGO_ENABLED=0 go build -ldflags '$(LDFLAGS)' -o bin/stoa ./cmd/stoa
