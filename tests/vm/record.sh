#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=dash
#
# What a recording keeps of the ports of busybox' httpd, nc and wget, whatever becomes of the
# recorder and of the clock. Runs in a guest.
#
# usage: record.sh TIER
#
# Prints `ok NAME` or `not ok NAME: REASON` for each test, and `end` as its last line.

# shellcheck source=tests/vm/script.sh
. /bin/script.sh

# Below the pool: no client is given one of them.
PORT=20102 UNSEEN=20103 LATER=20104
ROOM=/tmp/record
TIER=$1

record() {
	: >$ROOM/words # of the one before
	portsnoop record --db $ROOM/h.db --tier "$TIER" 2>$ROOM/words &
	recorder=$!
	await says $ROOM/words 'recording to'
}

# What the history says with these arguments, in $text.
history() {
	text=$(portsnoop history --db $ROOM/h.db "$@" -o json 2>&1)
}

history_has() {
	pattern=$1
	shift
	history "$@"
	echo "$text" | grep -q "$pattern"
}

ends() {
	kill "-$1" $recorder
	wait $recorder
}

test_server() {
	httpd -f -p $PORT -h $ROOM &
	server=$!
	await history_has "\"pid\":$server,.*\"name\":\"httpd\"" $PORT
	verdict "a server" "$text" "\"pid\":$server,.*\"name\":\"httpd\""
	httpd -f -p $PORT 2>/dev/null &
	late=$!
	await history_has "\"pid\":$late,.*\"blocked_by\":\[{\"pid\":$server," $PORT --failed
	verdict "what blocked a failure" "$text" "EADDRINUSE" "\"blocked_by\":\[{\"pid\":$server,"
	wait $late
	wget -q -O /dev/null http://127.0.0.1:$PORT/cgi-bin/hello &
	client=$!
	wait $client
	await history_has '"name":"wget"' --pid $client
	verdict "a client and its destination" "$text" "\"port\":$PORT"
}

test_privileges() {
	text=$(cat /proc/$recorder/task/*/status)
	verdict "no capability is left" "$text" '^CapEff:.0000000000000000$' '^CapPrm:.0000000000000000$' \
		'^NoNewPrivs:.1$' '^Seccomp:.2$'
	text=$(echo "$text" | grep -E '^(CapEff|CapPrm):.*[1-9a-f]|^NoNewPrivs:.0|^Seccomp:.0')
	verdict "nor in any thread" "${text:-none}" '^none$'
	text=$(portsnoop record --status -o json 2>&1)
	verdict "the status" "$text" "$ROOM/h.db" "$TIER"
}

test_clock() {
	before=$(date +%s)
	date -s "@$((before + 7200))" >/dev/null
	httpd -f -p $LATER -h $ROOM &
	later=$!
	await history_has "\"pid\":$later," $LATER
	history --since "@$((before - 60))"
	verdict "the clock steps" "$text" "clock" "\"pid\":$later,"
	kill $later
	wait $later
	date -s "@$((before + 60))" >/dev/null
}

test_killed() {
	sleep 2 # for the commit: what is lost may be the last second
	ends KILL
	httpd -f -p $UNSEEN -h $ROOM &
	unseen=$!
	await sh -c "netstat -tln | grep -q ':$UNSEEN '"
	kill $unseen
	wait $unseen
	record
	history $PORT
	verdict "killed: what it knew is there" "$text" "\"pid\":$server,.*\"name\":\"httpd\""
	history $UNSEEN
	verdict "killed: the gap is told" "$text" 'killed'
	ends TERM
	verdict "its totals" "$(cat $ROOM/words)" ' 0 lost; .* 0 dropped'
}

rm -rf $ROOM
mkdir -p $ROOM/cgi-bin
printf '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\nhello\\n"\n' >$ROOM/cgi-bin/hello
chmod +x $ROOM/cgi-bin/hello
if ! record; then
	echo "not ok it records: $(tr '\n' '~' <$ROOM/words)"
	exit
fi
echo "ok it records"
test_server
test_privileges
test_clock
test_killed
kill $server
echo end
