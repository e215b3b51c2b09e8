#!/usr/bin/env bash
# Installs the web workspace's packages, once for each state of its lock file.
set -euo pipefail
cd "$(dirname "$0")/../clients/web"
command -v npm >/dev/null || { echo "missing: npm. Install Node.js 20 or newer." >&2; exit 1; }
stamp="node_modules/.stamp-$(cat package.json package-lock.json | sha256sum | cut -c1-16)"
[ -e "$stamp" ] && exit 0
echo "installing web packages ..."
npm ci --silent --no-audit --no-fund
touch "$stamp"
