#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Every situation of the factory, under the tracer. TIER chooses the tier; further
# arguments are those of situations.py.
exec python3 "$(dirname "$0")/situations.py" "$@"
