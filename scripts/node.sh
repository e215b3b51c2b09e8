#!/usr/bin/env bash
# Installs the web workspace's packages, once for each state of its lock file.
set -euo pipefail
cd "$(dirname "$0")/../clients/web"
if ! command -v npm >/dev/null || ! node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)'; then
	echo "missing: Node.js 20.19 or newer with npm." >&2
	exit 1
fi
stamp="node_modules/.stamp-$(cat package.json package-lock.json | sha256sum | cut -c1-16)"
[ -e "$stamp" ] && exit 0
echo "installing web packages ..."
npm ci --silent --no-audit --no-fund
touch "$stamp"
