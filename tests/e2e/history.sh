#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `portsnoop history --from clickhouse:` against real engines: a fleet answers as its hosts do.
# Arguments: names of tests, as globs.
exec python3 "$(dirname "$0")/history.py" "$@"
