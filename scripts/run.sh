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

bin/stoa serve &
server=$!
demo=
stop() {
	trap - EXIT INT TERM
	[ -n "$demo" ] && kill "$demo" 2>/dev/null && wait "$demo" 2>/dev/null
	kill "$server" 2>/dev/null && wait "$server" 2>/dev/null
	exit 0
}
trap stop EXIT INT TERM

case "${DEMO:-}" in
0) printf '\n  Web        %s/\n  Go live    %s/live\n\n' "$url" "$url" ;;
*)
	bin/stoa demo --server "$url" --source "${DEMO:-}" &
	demo=$!
	;;
esac
wait "$server"
