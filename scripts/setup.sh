#!/usr/bin/env bash
# Installs the named programs, and packages of fonts, where it may (Debian, as root), or says in one line what is missing.
# Usage: setup.sh ffmpeg chromium fonts-noto-cjk
set -euo pipefail

missing=()
for program in "$@"; do
	case "$program" in
	# Elsewhere than on Debian, systems bring such fonts.
	fonts-*) { ! command -v dpkg || dpkg -s "$program"; } >/dev/null 2>&1 && continue ;;
	*) command -v "$program" >/dev/null && continue ;;
	esac
	missing+=("$program")
	[ "$program" = gcc ] && missing+=(libc6-dev)
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
	echo "missing: ${missing[*]}. Install them (on Debian: sudo apt-get install ${missing[*]}) and run this again." >&2
	exit 1
fi
echo "installing ${missing[*]} ..."
log=$(mktemp)
if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "could not install ${missing[*]}" >&2
	exit 1
fi
rm -f "$log"
