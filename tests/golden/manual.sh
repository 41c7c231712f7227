#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# usage: PORTSNOOP=build/san/portsnoop tests/golden/manual.sh
#
# The manual pages and completions in build/manual/: as strict readers see them, and against
# what --help says.
exec python3 "$(dirname "$0")/manual.py" "$@"
