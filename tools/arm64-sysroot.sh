#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# usage: tools/arm64-sysroot.sh FOLDER
#
# Unpacks the arm64 libraries that the cross build links into FOLDER, fetched
# with this system's apt, from its own sources and with its own keys, but with
# lists and a package state of their own: nothing is installed on this machine
# and no foreign architecture is added to it.
set -eu

if [ $# -ne 1 ]; then
	echo 'usage: tools/arm64-sysroot.sh FOLDER' >&2
	exit 2
fi
if ! command -v apt-get >/dev/null; then
	echo 'arm64-sysroot: needs apt-get (Debian, Ubuntu); elsewhere unpack libbpf, libelf, zlib, SQLite, libseccomp and libcap-ng' \
		"(static, arm64) into $1 and touch $1/.done" >&2
	exit 1
fi

mkdir -p "$1"
folder=$(cd "$1" && pwd)
private=$(mktemp -d)
trap 'rm -rf "$private"' EXIT
trap 'exit 1' INT TERM HUP
mkdir -p "$private/state/lists/partial" "$private/cache/archives/partial" "$private/debs"
: >"$private/status"

# Ubuntu keeps arm64 on another server than amd64.
# shellcheck disable=SC1091
. /etc/os-release
sources=
if [ "$ID" = ubuntu ] && [ "$(dpkg --print-architecture)" = amd64 ]; then
	for suite in "$VERSION_CODENAME" "$VERSION_CODENAME-updates" "$VERSION_CODENAME-security"; do
		echo "deb http://ports.ubuntu.com/ubuntu-ports $suite main universe"
	done >"$private/sources.list"
	sources="-oDir::Etc::sourcelist=$private/sources.list -oDir::Etc::sourceparts=/dev/null"
fi

apt() {
	# shellcheck disable=SC2086
	(cd "$private/debs" && apt-get -qq $sources \
		-o APT::Architecture=arm64 -o APT::Architectures::=arm64 \
		-o Dir::State="$private/state" -o Dir::State::status="$private/status" \
		-o Dir::Cache="$private/cache" -o APT::Sandbox::User=root "$@")
}

echo "arm64-sysroot: fetching libbpf, libelf, zlib, SQLite, libseccomp, libcap-ng and uthash for arm64 into $1"
apt update
apt download libbpf-dev libelf-dev zlib1g-dev libsqlite3-dev libseccomp-dev libcap-ng-dev uthash-dev
for package in "$private"/debs/*.deb; do
	dpkg-deb -x "$package" "$folder"
done
