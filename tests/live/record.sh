#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `portsnoop record`: record has a port, against ss and against what the test itself made.
# Arguments: names of tests, as globs.
exec python3 "$(dirname "$0")/record.py" "$@"
