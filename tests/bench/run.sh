#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# usage: tests/bench/run.sh [PART...]   (PARTS below)
#
# Measures, and prints a table a part. Fails only if something could not be measured;
# a tool that is not there is named.
set -u

PARTS='tally who memory start soak store history report record'

cd "$(dirname "$0")/../.." || exit 1
if [ "$(id -u)" -ne 0 ]; then
	echo 'bench: needs root (sudo make bench)' >&2
	exit 1
fi
export PYTHONDONTWRITEBYTECODE=1
mkdir -p build/bench || exit 1

# Run by root in a user's tree: what is made here belongs to the user.
owner=$(stat -c %u:%g .)
# shellcheck disable=SC2317
give_back() {
	[ "${owner%:*}" -eq 0 ] || chown -Rh "$owner" build
}
trap give_back EXIT
trap 'exit 130' INT TERM HUP

tools/install-deps.sh bench || echo 'bench: goes on without what is missing' >&2
# shellcheck disable=SC2086
[ $# -gt 0 ] || set -- $PARTS
status=0
for part; do
	case " $PARTS " in
	*" $part "*)
		python3 "tests/bench/$part.py" || status=1
		;;
	*)
		echo "bench: unknown part '$part': expected one of $PARTS" >&2
		exit 2
		;;
	esac
done
exit $status
