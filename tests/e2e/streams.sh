#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Files that logrotate rotates, disks that are full, sockets whose readers come and go, syslog.
# Arguments: names of tests, as globs.
exec python3 "$(dirname "$0")/streams.py" "$@"
