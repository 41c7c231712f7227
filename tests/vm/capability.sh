#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=dash
#
# The least capabilities with which a tier works, as another user than root: with them it
# does, and without any one of them it says which one is missing. Runs in a guest.
#
# usage: capability.sh TIER
#
# Prints `ok NAME` or `not ok NAME: REASON` for each test, and `end` as its last line.

PORT=20011
ROOM=/tmp/capability

# Until a command succeeds, or the process $1 has ended.
await_of() {
	process=$1 turns=0
	shift
	until "$@" >/dev/null 2>&1; do
		kill -0 "$process" 2>/dev/null || return 1
		turns=$((turns + 1))
		[ $turns -lt 1200 ] || return 1
		usleep 50000
	done
}

# trace TIER CAPABILITIES: leaves what it wrote, what it said, and its status.
trace() {
	: >$ROOM/trace
	least "$2" portsnoop trace -o json --tier "$1" >$ROOM/trace 2>$ROOM/words &
	tracer=$!
	if await_of $tracer grep -q stream-start $ROOM/trace; then
		httpd -f -p $PORT &
		server=$!
		await_of $tracer grep -q "\"pid\":$server,.*:$PORT" $ROOM/trace
		# The port is taken: it says so and ends.
		httpd -f -p $PORT 2>/dev/null
		await_of $tracer grep -q EADDRINUSE $ROOM/trace
		kill -TERM $tracer
		kill $server
		wait $server 2>/dev/null
	fi
	wait $tracer
	status=$?
}

not_covered() {
	grep -m1 stream-start $ROOM/trace | grep -o '"not_covered":\[[^]]*\]'
}

# All that the tier can see; but the fentry tier sees SCTP with CAP_SYS_ADMIN only, and
# before 5.11 not at all.
not_covered_expected() {
	case $1 in
	fentry) echo '^"not_covered":\["sctp"\]$' ;;
	kprobe) echo '^"not_covered":\["policy"\]$' ;;
	*) echo '"not_covered":\["udp-write","sctp","io_uring-udp-connect"' ;;
	esac
}

# works TIER CAPABILITIES [REMARK]: a server of somebody else is seen and named, and what it blocks.
works() {
	trace "$1" "$2"
	if [ $status -ne 0 ]; then
		echo "not ok $1 with $2$3: status $status~$(tr '\n' '~' <$ROOM/words)"
	elif ! grep '"action":"bound-socket"' $ROOM/trace | grep -q "\"pid\":$server,.*\"executable\":\"/bin/busybox\""; then
		echo "not ok $1 with $2$3: httpd[$server] is not in $(grep -m3 $PORT $ROOM/trace | tr '\n' '~')"
	elif ! grep EADDRINUSE $ROOM/trace | grep -q "\"blocked_by\":\[{\"pid\":$server,"; then
		echo "not ok $1 with $2$3: not blocked by httpd[$server] in $(grep -m3 EADDRINUSE $ROOM/trace | tr '\n' '~')"
	elif ! not_covered | grep -q "$(not_covered_expected "$1")"; then
		echo "not ok $1 with $2$3: $(not_covered)"
	else
		echo "ok $1 with $2$3"
	fi
}

# refuses TIER CAPABILITIES MISSING: it ends at once, and says which one is missing.
refuses() {
	trace "$1" "$2"
	if [ $status -ne 1 ]; then
		echo "not ok $1 without $3: status $status"
	elif ! grep -q "missing capability .*$3" $ROOM/words; then
		echo "not ok $1 without $3: it said $(tr '\n' '~' <$ROOM/words)"
	else
		echo "ok $1 without $3"
	fi
}

# tier NAME CAPABILITY...: with all of them, and with each left out.
tier() {
	tier=$1
	shift
	works "$tier" "$(echo "$*" | tr ' ' ,)"
	for missing; do
		rest=
		for capability; do
			[ "$capability" = "$missing" ] || rest=$rest,$capability
		done
		refuses "$tier" "${rest#,}" "CAP_$(echo "$missing" | tr '[:lower:]' '[:upper:]')"
	done
}

mkdir -p $ROOM
# Root's own, as everywhere; and Debian's levels above 2 want more: see below.
chmod 700 /sys/kernel/tracing
echo 2 >/proc/sys/kernel/perf_event_paranoid
# BPF's memory is locked memory before 5.11, and of that a user has little.
case $(uname -r) in
5.[0-9].* | 5.10.*) memory=sys_resource ;;
*) memory= ;;
esac
case $1 in
tracepoint) least="bpf perfmon net_admin dac_read_search $memory" ;;
*) least="bpf perfmon $memory" ;;
esac
# shellcheck disable=SC2086 # words
tier "$1" $least
# shellcheck disable=SC2086 # also here
all=$(echo $least | tr ' ' ,)
echo 3 >/proc/sys/kernel/perf_event_paranoid
case $1 in
fentry) works fentry "$all" " at level 3" ;;
*)
	refuses "$1" "$all" CAP_SYS_ADMIN
	works "$1" "$all,sys_admin" " at level 3"
	;;
esac
# What a service manager can give instead.
if [ $memory ]; then
	ulimit -l unlimited
	works "$1" "${all%,"$memory"},sys_admin" " and unlimited memory"
fi
echo end
