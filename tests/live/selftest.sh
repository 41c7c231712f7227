#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The comparator and the reader of strace, on made-up input.
exec python3 "$(dirname "$0")/test_compare.py"
