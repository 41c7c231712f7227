#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Names that are made to harm, through every sink and format. Arguments: names of tests, as globs.
exec python3 "$(dirname "$0")/hostile.py" "$@"
