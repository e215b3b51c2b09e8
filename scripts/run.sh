#!/usr/bin/env bash
# Starts the server and puts the demo channel on the air.
# DEMO=path.mp4 loops a file, DEMO=0 starts without a channel.
set -euo pipefail
cd "$(dirname "$0")/.."
port="${STOA_HTTP_ADDR:-:8080}"
port="${port##*:}"
scheme=http
[ -n "${STOA_TLS_CERT:-}" ] && scheme=https
url="$scheme://localhost:$port"

# The addresses below should not drown in a line for each request.
export STOA_LOG_LEVEL="${STOA_LOG_LEVEL:-warn}"
bin/stoa serve &
server=$!
demo=
stop() {
	status=$?
	trap - EXIT INT TERM
	[ -z "$demo" ] || { kill "$demo" 2>/dev/null || true; wait "$demo" 2>/dev/null || true; }
	kill "$server" 2>/dev/null || true
	wait "$server" 2>/dev/null || true
	exit "$status"
}
trap stop EXIT
trap 'exit 0' INT TERM

case "${DEMO:-}" in
0) printf '\n  Web        %s/\n  Go live    %s/live\n\n' "$url" "$url" ;;
*)
	bin/stoa demo --server "$url" --source "${DEMO:-}" &
	demo=$!
	;;
esac
# Whichever ends first ends the other: a server that could not start must not leave its demo with another server.
wait -n
