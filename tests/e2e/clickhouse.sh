#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# ClickHouse takes the rows of a fleet, and answers its questions: tools/fleet.
# Arguments: names of tests, as globs.
exec python3 "$(dirname "$0")/clickhouse.py" "$@"
