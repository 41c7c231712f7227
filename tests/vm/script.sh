#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=dash
#
# What the scripts that run in a guest share; to be sourced.

# Until a command succeeds; fails when it is late.
await() {
	turns=0
	until "$@" >/dev/null 2>&1; do
		turns=$((turns + 1))
		[ $turns -lt 600 ] || return 1
		usleep 50000
	done
}

says() {
	grep -q "$2" "$1"
}

# verdict NAME TEXT PATTERN...: TEXT has a line for each pattern, in whatever order.
verdict() {
	name=$1 text=$2
	shift 2
	for pattern; do
		echo "$text" | grep -q -- "$pattern" && continue
		echo "not ok $name: no '$pattern' in: $(echo "$text" | tr '\n' '~')"
		return
	done
	echo "ok $name"
}
