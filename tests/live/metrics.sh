#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `portsnoop record --metrics`, against what programs know of their own claims, ss, strict
# parsers and a Prometheus that scrapes it. Debian's python3: a parser is one of its packages.
# Arguments: names of tests, as globs.
exec /usr/bin/python3 "$(dirname "$0")/metrics.py" "$@"
