#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The otlp sink against receivers that are not ours. Arguments: names of tests, as globs.
exec python3 "$(dirname "$0")/otlp.py" "$@"
