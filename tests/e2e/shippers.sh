#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Other log shippers, with the configurations of tools/shippers/, where they are installed.
# Arguments: names of tests, as globs.
exec python3 "$(dirname "$0")/shippers.py" "$@"
