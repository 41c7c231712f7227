#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A further subflow of an MPTCP connection.
exec python3 "$(dirname "$0")/join.py" "$@"
