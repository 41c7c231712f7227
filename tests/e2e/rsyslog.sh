#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# rsyslog reads what portsnoop feeds it, with the configurations of tools/shippers/rsyslog/.
# Arguments: names of tests, as globs.
exec python3 "$(dirname "$0")/rsyslog.py" "$@"
