#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=dash
#
# How many ports `portsnoop pool` says are left, against what this kernel then gives. Runs
# in a guest.
#
# usage: pool.sh TIER
#
# Prints `ok NAME`, `not ok NAME: REASON` or `skip NAME: REASON` for each test, and `end` as its
# last line.

# No tier has a part in it: once a kernel is enough.
if [ "$1" = tracepoint ]; then
	drain portsnoop
else
	echo "skip left: the guest with the tracepoint tier does it"
fi
echo end
