#!/usr/bin/env bash
# Everything that must be green: linters, web tests, Go tests with the race detector, end-to-end tests on the built
# binary, and a bounded run of each fuzz target.
set -euo pipefail
cd "$(dirname "$0")/.."
start=$SECONDS
step() { echo; echo "━━ $* ($((SECONDS - start)) s)"; }

step web build and unit tests
(cd clients/web && npm run --silent build && npm run --silent test)

step linters
scripts/lint.sh

step Go tests, race detector on, with the real parts of a mesh
CGO_ENABLED=1 go run ./scripts/parts gotestsum --format pkgname-and-test-fails -- -race -timeout 15m $(go list ./... | grep -v -e /e2e -e /internal/bus)
# By itself: it kills brokers, which takes long enough without others beside it.
CGO_ENABLED=1 go run ./scripts/parts -only pulsar gotestsum --format pkgname-and-test-fails -- -race -timeout 10m ./internal/bus/...

# Beside the contract of the store, which has run on all of them: chat has most SQL of its own.
step chat on PostgreSQL, presence and admin on MariaDB
go run ./scripts/parts -only postgres env STOA_TEST_STORE=postgres go test -timeout 10m ./services/chat
go run ./scripts/parts -only mariadb env STOA_TEST_STORE=mariadb go test -timeout 10m ./services/presence ./services/admin

step end-to-end tests on the built binary
gotestsum --format testname -- -timeout 15m -count=1 ./e2e/...

# Bounded by a count: a bound in time can end go test in the middle of an input, which it reports as a failure.
step fuzzing
grep -rl --include='*_test.go' '^func Fuzz' --exclude-dir=node_modules . | xargs -n1 dirname | sort -u | while read -r dir; do
	for target in $(grep -ho '^func Fuzz[A-Za-z0-9]*' "$dir"/*_test.go | sed 's/func //'); do
		go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-200000x}" "$dir"
	done
done

step done
