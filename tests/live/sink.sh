#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Where events go (--sink), against what the claimer says itself, and the processes that
# bring them there. Arguments: names of tests, as globs.
exec python3 "$(dirname "$0")/sink.py" "$@"
