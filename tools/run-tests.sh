#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# usage: tools/run-tests.sh SUITE...   (lint unit golden fuzz live e2e vm)
#        tools/run-tests.sh --broken   (counts a build that failed)
#
# Runs suites that `make` has built and adds up what they count: see
# tests/README.md. The last line is the sum; it also stands in
# build/test/summary. The exit status is 1 if anything failed.
set -u

cd "$(dirname "$0")/.." || exit 1
out=${OUT:-build/test}
rm -rf "$out"
mkdir -p "$out" || exit 1

# The tree is no place for __pycache__, and root's less than any.
export PYTHONDONTWRITEBYTECODE=1

# Run by root in a user's tree: what is made here belongs to the user.
owner=$(stat -c %u:%g .)
give_back() {
	[ "$(id -u)" -ne 0 ] || [ "${owner%:*}" -eq 0 ] || chown -Rh "$owner" build
}
beside=
clean_up() {
	[ -z "$beside" ] || kill "$beside" 2>/dev/null
	give_back
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

passed=0
failed=0
skipped=0
failures=

# count PASSED FAILED SKIPPED
count() {
	passed=$((passed + $1))
	failed=$((failed + $2))
	skipped=$((skipped + $3))
}

# fail WHAT WHY: one failure that no suite counted by itself
fail() {
	echo "not ok $1: $2"
	failures="$failures
  $1: $2"
	count 0 1 0
}

# skip WHAT WHY
skip() {
	echo "skip $1: $2"
	count 0 0 1
}

# Sanitizers of that age cannot place their shadow when addresses are drawn from
# more than 30 bits, and crash now and then: then run without.
calm=
if [ "$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 0)" -gt 30 ] &&
	setarch -R true 2>/dev/null; then
	calm='setarch -R'
fi

# run NAME SECONDS COMMAND...: shows and keeps the output, sets status and log
run() {
	name=$1 patience=$2
	shift 2
	log=$out/$(echo "$name" | tr '/ ' '--').log
	echo "== $name"
	rm -f "$out/status"
	began=$(date +%s)
	{
		timeout --kill-after=20 "$patience" "$@" </dev/null 2>&1
		echo $? >"$out/status"
	} | tee "$log"
	status=$(cat "$out/status" 2>/dev/null || echo 1)
	echo "$(($(date +%s) - began)) $name" >>"$out/seconds"
}

# how_it_ended: words for a status that says more than pass or fail
how_it_ended() {
	case $status in
	124) echo "ran out of time ($patience s)" ;;
	137) echo "was killed (it had $patience s)" ;;
	*) echo "ended with status $status" ;;
	esac
}

# take PASSED FAILED SKIPPED: counts, if they can be true
take() {
	count "$1" "$2" "$3"
	[ "$2" -eq 0 ] || failures="$failures
  $name: $2 failed"
	if [ $(($1 + $2 + $3)) -eq 0 ]; then
		fail "$name" "ran no test, $(how_it_ended)"
	elif [ "$status" -ne 0 ] && [ "$2" -eq 0 ]; then
		fail "$name" "counts no failure, but $(how_it_ended)"
	elif [ "$status" -eq 0 ] && [ "$2" -ne 0 ]; then
		echo "note: $name: counts failures, but ended with status 0"
	fi
}

# run_counted NAME SECONDS COMMAND...: a suite that ends with its own sum
run_counted() {
	run "$@"
	sum=$(grep -v '^[[:space:]]*$' "$log" | tail -n 1 |
		sed -n 's/^\([0-9]\{1,9\}\) passed, \([0-9]\{1,9\}\) failed, \([0-9]\{1,9\}\) skipped$/\1 \2 \3/p')
	if [ -z "$sum" ]; then
		fail "$name" "gave no count, $(how_it_ended)"
		return
	fi
	# shellcheck disable=SC2086
	take $sum
}

# run_tap NAME SECONDS COMMAND...: cmocka's TAP, which announces how many tests come
run_tap() {
	run "$@"
	counts=$(awk '
		/^[ \t]*1\.\.[0-9]+/ { sub(/^[ \t]*1\.\./, ""); planned += $1; next }
		/^(not )?ok [0-9]+.*# SKIP/ { skipped++; next }
		/^ok [0-9]+/ { passed++; next }
		/^not ok [0-9]+/ { failed++ }
		END { print planned + 0, passed + 0, failed + 0, skipped + 0 }' "$log")
	planned=${counts%% *}
	counts=${counts#* }
	# shellcheck disable=SC2086
	set -- $counts
	if [ "$planned" -ne $(($1 + $2 + $3)) ]; then
		count "$1" "$2" "$3"
		fail "$name" "$planned tests planned, $(($1 + $2 + $3)) told of, $(how_it_ended)"
		return
	fi
	take "$1" "$2" "$3"
}

# scripts SUITE SECONDS FILE...: every script of a suite; without one, a failure
scripts() {
	suite=$1 patience=$2
	shift 2
	[ -e "$1" ] || { fail "$suite" 'has no tests' && return; }
	for script; do
		run_counted "$suite/$(basename "$script")" "$patience" "$script"
	done
}

run_suite() {
	case $1 in
	lint)
		run_counted lint 900 tools/lint.sh
		;;
	unit)
		set -- tests/unit/test_*.c
		[ -e "$1" ] || { fail unit 'has no tests' && return; }
		for source; do
			program=build/unit/$(basename "$source" .c)
			# shellcheck disable=SC2086
			CMOCKA_MESSAGE_OUTPUT=TAP run_tap "unit/$(basename "$program")" 120 $calm "$program"
		done
		;;
	golden)
		PORTSNOOP=$PWD/build/san/portsnoop
		export PORTSNOOP
		scripts golden 300 tests/golden/*.sh
		;;
	fuzz)
		run_counted fuzz 600 tools/fuzz.sh "${FUZZ_SECONDS:-10}"
		;;
	live)
		set -- tests/live/*.sh
		if [ "$(id -u)" -ne 0 ]; then
			skip live 'needs root (sudo make test)'
			return
		fi
		PORTSNOOP=$PWD/build/portsnoop FACTORY=$PWD/build/live/factory
		export PORTSNOOP FACTORY
		scripts live 900 "$@"
		;;
	e2e)
		set -- tests/e2e/*.sh
		if [ "$(id -u)" -ne 0 ]; then
			skip e2e 'needs root (sudo make test)'
			return
		fi
		PORTSNOOP=$PWD/build/portsnoop
		export PORTSNOOP
		# E2E=all: those that build something first, too.
		scripts e2e "$([ "${E2E-}" = all ] && echo 3600 || echo 300)" "$@"
		;;
	vm)
		# The oldest, the middle and the newest; `make vm` boots them all. One run for all of
		# them, the longest first: two guests at a time keep two cores busy.
		if [ "${KERNEL-}${TIER-}" ]; then
			run_counted vm 1200 tests/vm/run.py
		else
			run_counted vm 1200 env CELLS='6.1:verifier 7.3:fentry 6.1:fentry 5.10:fentry 5.10:kprobe' \
				tests/vm/run.py
		fi
		;;
	*)
		echo "run-tests: unknown suite '$1': expected lint, unit, golden, fuzz, live, e2e or vm" >&2
		exit 2
		;;
	esac
}

# Some suites leave a core to another: lint, which only computes, runs beside the tests that need no
# kernel, and e2e, which waits for other programs, beside the guests. The live suite has the machine
# to itself: what comes in time there comes late on a busy one.
beside_start() {
	OUT=$out/$1 nice -n "$2" tools/run-tests.sh "$1" >"$out/beside-$1" 2>&1 </dev/null &
	beside=$!
	waiting=$1
}

# Of the one that was started, if one was
beside_take() {
	[ -n "$beside" ] || return 0
	# shellcheck disable=SC2016
	run_counted "$waiting" 1200 sh -c 'tail --pid="$1" -c +1 -f "$2"; tail -n 1 "$2" | grep -q " 0 failed,"' \
		sh "$beside" "$out/beside-$waiting"
	beside=
}

if [ "${1-}" = --broken ]; then
	fail build 'failed, no test was run'
elif [ $# -eq 1 ]; then
	run_suite "$1"
else
	[ $# -gt 0 ] || set -- lint unit golden fuzz live e2e vm
	for wanted; do
		case $wanted in
		lint) beside_start lint 19 ;;
		e2e) beside_take && beside_start e2e 0 ;;
		live) beside_take && run_suite live ;;
		*) run_suite "$wanted" ;;
		esac
	done
	beside_take
fi

[ $# -eq 1 ] || {
	echo 'the longest, in seconds:'
	sort -rn "$out/seconds" 2>/dev/null | head -n 12
}
[ -z "$failures" ] || echo "failed:$failures"
echo "$passed passed, $failed failed, $skipped skipped" | tee "$out/summary"
[ "$failed" -eq 0 ]
