#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# rsyslog and syslog-ng take what portsnoop feeds them, with the configurations of tools/shippers/.
# Arguments: names of tests, as globs.
exec python3 "$(dirname "$0")/syslog.py" "$@"
