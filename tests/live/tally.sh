#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What the kernel counts, against what the callers know and what the kernel itself counts.
exec python3 "$(dirname "$0")/tally.py" "$@"
