#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The least capabilities to run with as another user than root. In a mount namespace: some
# tests mount tracefs, or take it away.
# Arguments: names of tests, as globs.
if [ "$(id -u)" -eq 0 ]; then
	# shellcheck disable=SC2016
	exec unshare -m sh -c 'mkdir -p /run/portsnoop && mount -t tmpfs -o mode=755 portsnoop /run/portsnoop &&
		exec python3 "$@"' sh "$(dirname "$0")/capability.py" "$@"
fi
exec python3 "$(dirname "$0")/capability.py" "$@"
