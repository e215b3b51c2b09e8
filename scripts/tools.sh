#!/usr/bin/env bash
# Builds the Go programs that tools/go.mod names into the cache, once for each state of that file.
set -euo pipefail
cd "$(dirname "$0")/../tools"
bin="${STOA_CACHE:-$HOME/.cache/stoa}/bin"
stamp="$bin/.tools-$(cat go.mod go.sum | sha256sum | cut -c1-16)"
[ -e "$stamp" ] && exit 0
echo "building tools ..."
mkdir -p "$bin"
CGO_ENABLED=0 go build -o "$bin/" tool
rm -f "$bin"/.tools-*
touch "$stamp"
