#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `portsnoop pool`: how many ports are left, against what the kernel then gives.
# Arguments: names of tests, as globs.
exec python3 "$(dirname "$0")/pool.py" "$@"
