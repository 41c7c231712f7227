#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The generator of the port tables, on good and on bad input.
exec python3 "$(dirname "$0")/generate.py"
