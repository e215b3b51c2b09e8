#!/usr/bin/env bash
# Rebuilds everything under gen/ from the contracts and the schemas.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="${STOA_CACHE:-$HOME/.cache/stoa}/bin:$PWD/clients/web/node_modules/.bin:$PATH"
rm -rf gen/go gen/ts gen/openapi
# The OpenAPI plugin warns about extension fields that it does not read; other lines are shown.
buf generate 2> >(grep -v 'WARN field not found' >&2)
go run ./scripts/entgen
go run ./scripts/configdoc > docs/configuration.md
