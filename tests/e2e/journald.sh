#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# journald keeps what portsnoop feeds it, and journalctl finds it.
# Arguments: names of tests, as globs.
exec python3 "$(dirname "$0")/journald.py" "$@"
