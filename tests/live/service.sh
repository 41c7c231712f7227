#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `who` with a portsnoop that watches. In a mount namespace with a /run/portsnoop of
# its own: a service of somebody else's would answer as well.
# Arguments: names of tests, as globs.
if [ "$(id -u)" -eq 0 ]; then
	# shellcheck disable=SC2016
	exec unshare -m sh -c 'mkdir -p /run/portsnoop && mount -t tmpfs -o mode=755 portsnoop /run/portsnoop &&
		exec python3 "$@"' sh "$(dirname "$0")/service.py" "$@"
fi
exec python3 "$(dirname "$0")/service.py" "$@"
