#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Runs in the guest: starts these watchers, puts sockets into every situation
# while they all look on, and sends what each of them wrote.
#
# usage: peers.sh GROUP NAME...
#
# The command line of NAME is in /peers/NAME. Descriptor 3 is the line to the host.

group=$1
shift
out=/tmp/peers.$group
mkdir -p "$out"

send() {
	[ -e "$2" ] || return 0
	{
		echo "@@begin $1"
		gzip -c "$2" | base64
		echo "@@end $1"
	} >&3
}

# Whether the process $1 waits for events, in poll, epoll_wait, ppoll or
# epoll_pwait. None of them does so before it has attached everything.
is_waiting() {
	case $(cat "/proc/$1/syscall" 2>/dev/null) in
	"7 "* | "232 "* | "271 "* | "281 "*) return 0 ;;
	esac
	return 1
}

# Awaits that the process $1 waits, $2 looks in a row.
idle_await() {
	turns=0
	waited=0
	while [ $waited -lt "$2" ]; do
		kill -0 "$1" 2>/dev/null || return 1
		turns=$((turns + 1))
		[ $turns -lt 1200 ] || return 1
		if is_waiting "$1"; then waited=$((waited + 1)); else waited=0; fi
		usleep 50000
	done
}

for name in "$@"; do
	read -r command <"/peers/$name"
	# shellcheck disable=SC2086
	$command >"$out/$name.out" 2>"$out/$name.words" </dev/null &
	echo $! >"$out/$name.pid"
	idle_await $! 3 || echo "peers: not ready" >>"$out/$name.words"
	read -r up _ </proc/uptime
	echo "$up $name watches" >>"$out/times"
done
factory all >"$out/report" 2>"$out/report.words"
[ ! -x /bin/factory32 ] || factory32 all >"$out/report32" 2>>"$out/report.words"
for name in "$@"; do
	# What lies in its buffer must be read before it is told to end.
	idle_await "$(cat "$out/$name.pid")" 5
done
read -r up _ </proc/uptime
echo "$up the factory is done" >>"$out/times"
for name in "$@"; do
	kill -INT "$(cat "$out/$name.pid")"
	wait "$(cat "$out/$name.pid")"
	echo $? >"$out/$name.status"
	for piece in out words status; do
		send "$group/$name.$piece" "$out/$name.$piece"
	done
done
for piece in report report32 report.words times; do
	send "$group/$piece" "$out/$piece"
done
rm -rf "$out"
