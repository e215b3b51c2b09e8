#!/usr/bin/env bash
# Fails where a fresh generation differs from what is in the tree.
set -euo pipefail
cd "$(dirname "$0")/.."
before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
cp -r gen docs/configuration.md "$before/"
scripts/generate.sh
if ! diff -r "$before/gen" gen || ! diff "$before/configuration.md" docs/configuration.md; then
	echo "generated files were not up to date: they are now; commit them" >&2
	exit 1
fi
