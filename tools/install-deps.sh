#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# usage: tools/install-deps.sh [build] [test] [bench] [arm64] [package]
#
# Installs the packages of these sets (build, without an argument) that are
# missing, with apt. With nothing missing it does nothing: no network, no root.
# What it installs is not started, now or at the next boot.
set -eu

BUILD='make gcc libc6-dev clang llvm libbpf-dev libelf-dev zlib1g-dev libsqlite3-dev libseccomp-dev
	libcap-ng-dev libmicrohttpd-dev libcurl4-gnutls-dev pkg-config uthash-dev'
TEST='libcmocka-dev python3 jq strace iproute2 procps util-linux curl nginx-light redis-server
	redis-tools iperf3 bind9-dnsutils openssh-client openssh-server nodejs netcat-openbsd
	busybox-static liburing-dev clang-format clang-tidy shellcheck fuzzer
	debhelper dpkg-dev lintian man-db groff-base mandoc zsh logrotate systemd passwd
	prometheus python3-prometheus-client chromium openssl'
BENCH='gcc libc6-dev python3 iproute2 lsof net-tools'
PACKAGE='debhelper dpkg-dev'
ARM64='gcc-aarch64-linux-gnu libc6-dev-arm64-cross file'
# Some tests skip without these, which not every system has.
OPTIONAL=chromium
SERVICES='nginx redis-server ssh iperf3 prometheus'

say() { echo "install-deps: $*" >&2; }

wanted=
for set in "${@:-build}"; do
	case $set in
	build) wanted="$wanted $BUILD" ;;
	test) wanted="$wanted $TEST" ;;
	bench) wanted="$wanted $BENCH" ;;
	arm64) wanted="$wanted $ARM64" ;;
	package) wanted="$wanted $PACKAGE" ;;
	*)
		say "unknown set '$set': expected build, test, bench, arm64 or package"
		exit 2
		;;
	esac
done
# 32-bit callers exist where the machine can run them.
case $wanted in
*libcmocka-dev*) [ "$(uname -m)" != x86_64 ] || wanted="$wanted gcc-multilib" ;;
esac

is_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# What matters of some packages is a thing that comes under several names.
is_there() {
	case $1 in
	fuzzer) command -v clang >/dev/null && has_fuzzer ;;
	pkg-config) is_installed pkg-config || is_installed pkgconf ;;
	# The flavours exclude each other, and the headers are the same.
	libcurl4-gnutls-dev) is_installed "$1" || is_installed libcurl4-openssl-dev ;;
	*) is_installed "$1" ;;
	esac
}

has_fuzzer() {
	printf 'int LLVMFuzzerTestOneInput(const char *p, unsigned long n)\n{ return !p && n; }\n' |
		clang -fsanitize=fuzzer,address -x c - -o /dev/null 2>/dev/null
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
	say 'this system has no apt. Install what these Debian packages hold, then run make:'
	# shellcheck disable=SC2086
	echo $wanted | sed 's/\bfuzzer\b/libclang-rt-dev/' | fold -s -w 78 | sed 's/^/  /' >&2
	exit 1
fi

missing=
for package in $wanted; do
	is_there "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	say "missing:$missing"
	say 'installing needs root: run this as root, or make the same target with sudo'
	exit 1
fi

policy=/usr/sbin/policy-rc.d
made_policy=
# shellcheck disable=SC2317
clean_up() {
	[ -z "$made_policy" ] || rm -f "$policy"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1

# The lists may be there and good enough: an update only if not.
updated=
apt() { apt-get -qq -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" </dev/null >&2; }
update() {
	[ -n "$updated" ] || { say 'updating the package lists' && apt update; }
	updated=yes
}
has_candidate() {
	apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'
}
for package in $missing; do
	has_candidate "$package" || update
done

is_optional() {
	case " $OPTIONAL " in
	*" $1 "*) true ;;
	*) false ;;
	esac
}
had=$missing
missing=
for package in $had; do
	if is_optional "$package" && ! has_candidate "$package"; then
		say "$package is not to be had here: the tests that need it are skipped"
	else
		missing="$missing $package"
	fi
done
[ -n "$missing" ] || exit 0

# The packages that hold the thing on this system.
packages_for() {
	case $1 in
	fuzzer)
		# clang depends on clang-N; N's run-time has a package of its own from 14 on.
		version=$(apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p')
		if has_candidate "libclang-rt-$version-dev"; then
			echo "libclang-rt-$version-dev"
		else
			echo "libclang-common-$version-dev"
		fi
		;;
	*) echo "$1" ;;
	esac
}

install=
services=
for package in $missing; do
	install="$install $(packages_for "$package")"
done
for service in $SERVICES; do
	[ -e "/lib/systemd/system/$service.service" ] || services="$services $service"
done
say "installing:$install"

# invoke-rc.d and deb-systemd-invoke ask this file before they start a service.
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	made_policy=yes
	chmod 755 "$policy"
fi
# shellcheck disable=SC2086
if ! apt install --no-install-recommends $install; then
	# A list from last month names versions that the mirror no longer has.
	[ -z "$updated" ] || { say 'apt-get failed' && exit 1; }
	update
	apt install --no-install-recommends $install
fi

# Its package switches a service on for the next boot, too. This covers systemd.
for service in $services; do
	[ -e "/lib/systemd/system/$service.service" ] || continue
	[ ! -e "/etc/init.d/$service" ] || update-rc.d "$service" disable >&2 || true
done

for package in $missing; do
	is_there "$package" || { say "$package is still missing after the installation" && exit 1; }
done
