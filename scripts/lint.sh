#!/usr/bin/env bash
# Every linter; stops at the first that finds something.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { echo "── $*"; }

step gofumpt
files=$(git ls-files -co --exclude-standard '*.go' ':!gen/' | while read -r f; do [ -e "$f" ] && echo "$f"; done)
unformatted=$(gofumpt -l $files)
[ -z "$unformatted" ] || { echo "not formatted by gofumpt:"; echo "$unformatted"; exit 1; }

step go vet
go vet ./...
step staticcheck
staticcheck $(go list ./... | grep -v '/gen/')
step go mod
go mod verify >/dev/null
go mod tidy -diff >/dev/null || { echo "go.mod is not tidy: run go mod tidy"; exit 1; }
step buf
buf lint
buf format -d --exit-code proto >/dev/null || { echo "not formatted: run buf format -w proto"; exit 1; }
release=$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null || true)
if [ -n "$release" ]; then
	buf breaking --against ".git#tag=$release"
else
	echo "no release yet: nothing that a change could break"
fi
step generated code
scripts/check-generated.sh
step eslint
(cd clients/web && npm run --silent lint)
step vue-tsc
(cd clients/web && npm run --silent typecheck)
