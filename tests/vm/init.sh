#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=dash
#
# The init of a guest: does the jobs in /jobs, one a line, and sends what came of
# them over the second serial line. A piece there is
#
#   @@begin NAME
#   (gzip, base64)
#   @@end NAME
#
# Jobs: `verify`, `tier NAME`, `run COMMAND...`.

export PATH=/bin HOME=/ TERM=dumb
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tracefs tracefs /sys/kernel/tracing
mount -t securityfs securityfs /sys/kernel/security
mount -t bpf bpf /sys/fs/bpf

# arm64 kernels have a ttyS1 too, with nothing behind it.
case $(uname -m) in
aarch64) line=/dev/ttyAMA1 ;;
*) line=/dev/ttyS1 ;;
esac
stty -F $line raw -echo 2>/dev/null
exec 3>$line

send() {
	{
		echo "@@begin $1"
		gzip -c "$2" | base64
		echo "@@end $1"
	} >&3
}

send_text() {
	echo "$2" >/tmp/text
	send "$1" /tmp/text
}

# Awaits the tracer's first line in $1; fails when the process $2 has ended or is late.
first_line() {
	turns=0
	until grep -q stream-start "$1"; do
		kill -0 "$2" 2>/dev/null || return 1
		turns=$((turns + 1))
		[ $turns -lt 1200 ] || return 1
		usleep 50000
	done
}

# Ends process $1 when it has not ended by itself in $2 seconds, and tells where it was.
tracer_watch() {
	turns=0
	while kill -0 "$1" 2>/dev/null; do
		sleep 1
		turns=$((turns + 1))
		[ $turns -gt "$2" ] || continue
		{
			echo "init: the tracer does not end"
			cat "/proc/$1/stack"
		} >>/tmp/words
		kill -KILL "$1"
		return
	done
}

job_tier() {
	: >/tmp/trace
	[ ! -x /bin/ledger.sh ] || ledger.sh before
	[ ! -x /bin/tally.sh ] || tally.sh begin "$1"
	portsnoop trace -o json --release --tier "$1" >/tmp/trace 2>/tmp/words &
	tracer=$!
	if first_line /tmp/trace $tracer; then
		factory all >/tmp/report 2>/tmp/report.words
		[ ! -x /bin/factory32 ] || factory32 all >/tmp/report32 2>>/tmp/report.words
		[ ! -x /bin/tally.sh ] || tally.sh note 2>>/tmp/report.words
		[ ! -x /bin/ledger.sh ] || ledger.sh "$1" /tmp/trace >/tmp/ledger.report 2>>/tmp/report.words
		# Not INT: what a shell starts in the background ignores that.
		kill -TERM $tracer
		tracer_watch $tracer 60 &
	else
		kill -KILL $tracer 2>/dev/null
	fi
	wait $tracer
	# It awaits the end of a TIME_WAIT: a tracer would see those of the situations end, too,
	# after a minute, and they are told to be there still.
	[ ! -e /tmp/tally ] || tally.sh end "$1" >/tmp/tally.report 2>>/tmp/report.words
	send_text "status.$1" $?
	for script in record pool rate capability; do
		[ ! -x /bin/$script.sh ] || $script.sh "$1" >/tmp/$script.report 2>>/tmp/report.words
	done
	for piece in trace words report report32 tally tally.report ledger.report record.report pool.report rate.report capability.report report.words; do
		[ ! -e /tmp/$piece ] || send "$piece.$1" /tmp/$piece
		rm -f /tmp/$piece
	done
}

job_verify() {
	verify >/tmp/verify 2>&1
	send verify /tmp/verify
}

job_run() {
	"$@" >/tmp/run 2>&1
	echo "status $?" >>/tmp/run
	send run /tmp/run
	rm -f /tmp/run
}

send_text uname "$(uname -r)"
ip link set lo up
while read -r module; do
	insmod "/modules/$module" || echo "$module" >>/tmp/refused
done </modules/order
[ ! -e /tmp/refused ] || send modules.refused /tmp/refused
while read -r job; do
	# shellcheck disable=SC2086
	"job_${job%% *}" ${job#* } </dev/null
done </jobs
dmesg | grep -vE '^\[ *[0-9.]+\] (Command line|random:)' >/tmp/dmesg
send dmesg /tmp/dmesg
send_text end ok
exec 3>&-
sleep 0.2
poweroff -f
