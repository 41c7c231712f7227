#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# usage: tools/fuzz.sh [--keep] SECONDS
#
# Runs each fuzz target that `make` has built for SECONDS, as many at a time as
# there are processors, starting from the seeds in tests/fuzz/seeds/NAME/ (and,
# with --keep, from what the runs before have found, in build/fuzz/found/NAME/).
# What crashes a target is left in build/fuzz/crash-NAME-*.
set -u

cd "$(dirname "$0")/.." || exit 1
keep=
if [ "${1-}" = --keep ]; then
	keep=yes
	shift
fi
case ${1-} in
'' | *[!0-9]* | 0)
	echo "fuzz: bad time '${1-}': expected seconds, from 1" >&2
	exit 2
	;;
esac
seconds=$1

logs=build/fuzz/log
rm -rf "$logs"
mkdir -p "$logs"

# one NAME: its last line says how it went
one() {
	found=build/fuzz/found/$1
	[ -n "$keep" ] || rm -rf "$found"
	mkdir -p "$found"
	if ! [ -d "tests/fuzz/seeds/$1" ]; then
		echo "not ok fuzz_$1: no seeds in tests/fuzz/seeds/$1"
		return
	fi
	if "build/fuzz/fuzz_$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
		-print_final_stats=1 -artifact_prefix="build/fuzz/crash-$1-" \
		"$found" "tests/fuzz/seeds/$1" >"$logs/$1" 2>&1 </dev/null; then
		echo "ok fuzz_$1: $(sed -n 's/^stat::number_of_executed_units: *//p' "$logs/$1") inputs"
	else
		echo "not ok fuzz_$1: status $?, log:"
		tail -n 40 "$logs/$1" | sed 's/^/# /'
	fi
}

processors=$(nproc)
running=0
for source in tests/fuzz/fuzz_*.c; do
	[ -e "$source" ] || break
	name=$(basename "$source" .c)
	name=${name#fuzz_}
	one "$name" >"$logs/$name.result" &
	running=$((running + 1))
	[ $((running % processors)) -ne 0 ] || wait
done
wait

[ "$running" -gt 0 ] || exit 1 # and no count: that is a failure
cat "$logs"/*.result
passed=$(cat "$logs"/*.result | grep -c '^ok ')
echo "$passed passed, $((running - passed)) failed, 0 skipped"
[ "$passed" -eq "$running" ]
