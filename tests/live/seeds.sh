#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Sockets that were there before the stream: each is told of, once, and let go.
exec python3 "$(dirname "$0")/seeds.py" "$@"
