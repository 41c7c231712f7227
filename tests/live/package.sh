#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The Debian package, in machines that systemd boots in namespaces of this one.
# Arguments: names of tests, as globs.
exec python3 "$(dirname "$0")/package.py" "$@"
