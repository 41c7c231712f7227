#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=dash
#
# Counts along with a trace in a guest: what it counted of the situations is compared
# outside (tests/live/tally_compare.py).
#
# usage: tally.sh begin TIER    before the situations
#        tally.sh note          after them: leaves both lines of tests/live/tally_reader.c in
#                               /tmp/tally
#        tally.sh end TIER      at last
#
# The last prints `ok NAME` or `not ok NAME: REASON` for each test, and `end` as its last line.

# shellcheck source=tests/vm/script.sh
. /bin/script.sh

LINES=/tmp/tally.lines ASK=/tmp/tally.ask

# The next reading, as the last of $LINES.
reading() {
	seen=$(wc -l <$LINES)
	echo >$ASK
	await more_lines
}

more_lines() {
	[ "$(wc -l <$LINES)" -gt "$seen" ]
}

# The rows of process $1 of the last reading.
rows() {
	tail -n 1 $LINES | sed 's/"places":.*//' | tr '{' '\n' | grep "\"pid\":$1,"
}

time_wait_is_over() {
	reading
	rows "$pid" | grep -q '"time_waits":1,"time_waits_over":1'
}

begin() {
	rm -f $ASK
	mkfifo $ASK
	: >$LINES
	sleep 600 >$ASK & # keeps it open
	echo $! >/tmp/tally.holder
	tally_reader "$1" <$ASK >$LINES 2>/tmp/tally.words &
	await says $LINES not_covered
}

note() {
	reading
	cp $LINES /tmp/tally
}

end() {
	# With a namespace its TIME_WAITs end.
	if [ "$1" != tracepoint ]; then
		pid=$(unshare -n factory time-wait/tcp4 | sed -n '1s/.*"pid":\([0-9]*\),.*/\1/p')
		await time_wait_is_over
		verdict "TIME_WAIT ends" "$(rows "$pid")" '"claims":1,.*"closed":1,.*"time_waits":1,"time_waits_over":1'
	fi
	kill "$(cat /tmp/tally.holder)"
	verdict "reading" "$(cat /tmp/tally /tmp/tally.words)" '"not_covered":' '"rows":\[{' '"untracked":0,'
	echo end
}

"$@"
