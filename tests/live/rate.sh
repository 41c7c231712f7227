#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `portsnoop rate`: its counts against those of the programs themselves and of strace.
# Arguments: names of tests, as globs.
exec python3 "$(dirname "$0")/rate.py" "$@"
