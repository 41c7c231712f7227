#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# usage: PORTSNOOP=build/san/portsnoop tests/golden/metrics.sh
#
# The page of metrics as strict readers see it, and the dashboard and alerts in
# tools/dashboards/ against it. Debian's python3: the parser is one of its packages.
exec /usr/bin/python3 "$(dirname "$0")/metrics.py" "$@"
