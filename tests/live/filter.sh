#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Filters in the kernel show what filters in user space show. Arguments: kinds of filters.
exec python3 "$(dirname "$0")/filter.py" "$@"
