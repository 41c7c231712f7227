#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# portsnoop as its users meet it on the command line: output, stops, files, filters,
# loss, refusals. Arguments: names of tests, as globs.
exec python3 "$(dirname "$0")/behavior.py" "$@"
