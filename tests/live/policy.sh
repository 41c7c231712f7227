#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Calls that a BPF policy refuses.
exec python3 "$(dirname "$0")/policy.py" "$@"
