#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# usage: tools/packaging/deb.sh VERSION
#
# Builds build/portsnoop_VERSION_ARCH.deb and its .changes from a copy of the sources in
# build/deb/, which is left there. Nothing is signed.
set -eu

cd "$(dirname "$0")/../.."
version=${1:?is the version}
room=build/deb
tree=$room/portsnoop-$version

missing=
for tool in dpkg-buildpackage dh dpkg-parsechangelog; do
	command -v "$tool" >/dev/null || missing="$missing $tool"
done
if [ -n "$missing" ]; then
	echo "deb: missing:$missing; 'apt-get install debhelper dpkg-dev' brings them" >&2
	exit 1
fi
said=$(dpkg-parsechangelog -l tools/packaging/debian/changelog -S Version)
if [ "$said" != "$version" ]; then
	echo "deb: the Makefile says version $version, tools/packaging/debian/changelog $said:" \
		"they must agree" >&2
	exit 1
fi

rm -rf "$room"
mkdir -p "$tree"
tar -c --exclude=./build --exclude=./.git --exclude=./.cache . | tar -x -C "$tree"
cp -a tools/packaging/debian "$tree/debian"
(
	# What our own make was told is not for this one.
	unset MAKEFLAGS MAKELEVEL MFLAGS MAKEOVERRIDES DESTDIR PREFIX SYSCONFDIR SYSTEMD
	cd "$tree"
	export DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS-noautodbgsym parallel=$(nproc)}"
	dpkg-buildpackage --build=binary --no-sign
) >"$room/log" 2>&1 || {
	tail -n 40 "$room/log" >&2
	echo "deb: dpkg-buildpackage failed; all that it said is in $room/log" >&2
	exit 1
}
mv "$room"/portsnoop_"$version"_*.deb "$room"/portsnoop_"$version"_*.buildinfo \
	"$room"/portsnoop_"$version"_*.changes build/
ls build/portsnoop_"$version"_*.deb
