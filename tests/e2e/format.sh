#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What portsnoop writes, against what others have published of the formats.
# Arguments: names of tests, as globs.
exec python3 "$(dirname "$0")/format.py" "$@"
