#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=dash
#
# What a running trace knows of the ports of programs that nobody here wrote: busybox'
# httpd, nc and wget. Runs in a guest.
#
# usage: ledger.sh before             a server that the trace finds there
#        ledger.sh TIER TRACE         TRACE: what `trace -o json --release` writes meanwhile
#
# Prints `ok NAME` or `not ok NAME: REASON` for each test, and `end` as its last line.

# shellcheck source=tests/vm/script.sh
. /bin/script.sh

# Below the pool: no client is given one of them.
PORT=20002 NOBODY=20003 SERVER=20004 AWAITED=20005 LEAVING=20006
ROOM=/tmp/ledger

listens() {
	netstat -tln | grep -q ":$1 "
}

listens_not() {
	! listens "$1"
}

# The trace's line of process $1 for the action $2, left in $line.
event() {
	line=
	await event_find "$@"
}

event_find() {
	line=$(grep "\"action\":\"$2\"" "$TRACE" | grep -m1 "\"process\":{\"pid\":$1,")
	[ "$line" ]
}

# who NAME STATUS ARGUMENT PATTERN...
who_says() {
	name=$1 wanted=$2
	text=$(portsnoop who "$3" 2>&1)
	status=$?
	shift 3
	verdict "$name" "$text
exit status $status" "^exit status $wanted\$" "$@"
}

# Starts a server on port $1 while another one is in the way; $line: the trace's of its failure.
fail_to_bind() {
	httpd -f -p "$1" 2>/dev/null &
	late=$!
	event $late bound-socket
	kill $late 2>/dev/null
	wait $late
}

# In the way: a server that was there before the trace, and one that it saw come.
test_listeners() {
	before=$(pidof httpd)
	fail_to_bind $PORT
	verdict "blocked by a server from before" "$line" '"code":"EADDRINUSE"' \
		"\"blocked_by\":\[{\"pid\":$before,\"name\":\"httpd\",\"role\":\"holder\",\"state\":\"listen\"" \
		'"blocked_by_total":1'
	who_says "who, a server from before" 0 $PORT ":$PORT and IPv4 LISTEN" "httpd\[$before\]" \
		"claimed before portsnoop\[[0-9]*\] began to watch"
	kill "$before"
	await listens_not $PORT
	httpd -f -p $PORT -h $ROOM &
	server=$!
	event $server listen-for-connections
	fail_to_bind $PORT
	verdict "blocked by a server" "$line" '"code":"EADDRINUSE"' \
		"\"blocked_by\":\[{\"pid\":$server,\"name\":\"httpd\",\"role\":\"claimant\",\"state\":\"listen\",\"since\":\"" \
		'"blocked_by_total":1'
	who_says "who, a server" 0 $PORT "httpd\[$server\]" \
		"claimed at .* by httpd\[$server\], with bind; listen since"
	who_says "who, nobody" 1 $NOBODY "^$NOBODY: nobody has it"
}

# The server closes first: what it accepted stays in TIME_WAIT.
test_accepted() {
	wget -q -O /dev/null http://127.0.0.1:$PORT/cgi-bin/hello
	await accepted_lingers
	who_says "who, TIME_WAIT of an accepted connection" 0 $PORT "httpd\[$server\]" \
		"no process: TIME_WAIT, ends in [0-9]* s" \
		"accepted; its listener's port was claimed at .* by httpd\[$server\],"
	kill $server
	wait $server
}

accepted_lingers() {
	netstat -tan | grep -q "127.0.0.1:$PORT .*TIME_WAIT"
}

# The client closes first: it has the whole answer, and the server does not end it.
test_time_wait() {
	nc -l -p $SERVER -e $ROOM/answer &
	await listens $SERVER
	wget -q -O /dev/null http://127.0.0.1:$SERVER/ &
	client=$!
	wait $client
	event $client released-port
	verdict "TIME_WAIT begins" "$line" ' into TIME_WAIT, held ' '"time_wait":"'
	own=$(echo "$line" | sed -n 's/.*"local":{"ip":"127.0.0.1","port":\([0-9]*\)}.*/\1/p')
	who_says "who, TIME_WAIT of a client" 0 "$own" "127.0.0.1:$own -> 127.0.0.1:$SERVER TIME_WAIT" \
		"no process: TIME_WAIT, ends in [0-9]* s" \
		"claimed at .* by wget\[$client\], .*with connect: the kernel chose the port; time_wait since"
	fail_to_bind "$own"
	verdict "blocked by TIME_WAIT" "$line" '"code":"EADDRINUSE"' \
		"\"blocked_by\":\[{\"pid\":$client,\"name\":\"wget\",\"role\":\"claimant\",\"state\":\"time_wait\",\"since\":\"" \
		'"expires_ms":[1-9]' '"blocked_by_total":1'
}

# Both at a time: what they attach takes long in a guest.
test_wait() {
	httpd -f -p $LEAVING &
	leaving=$!
	await listens $LEAVING
	portsnoop who $AWAITED --wait --timeout 60s >$ROOM/wait 2>$ROOM/wait.words &
	waiter=$!
	portsnoop who $LEAVING --wait-free --timeout 60s >$ROOM/free 2>$ROOM/free.words &
	freed=$!
	await says $ROOM/wait.words waiting
	httpd -f -p $AWAITED &
	server=$!
	wait $waiter
	status=$?
	verdict "who --wait" "exit status $status
$(cat $ROOM/wait)" '^exit status 0$' "httpd\[$server\]"
	await says $ROOM/free.words waiting
	kill $leaving
	wait $freed
	status=$?
	verdict "who --wait-free" "exit status $status
$(cat $ROOM/free)" '^exit status 0$' "^$LEAVING: free"
	kill $server
}

mkdir -p $ROOM/cgi-bin
if [ "$1" = before ]; then
	httpd -p $PORT -h $ROOM
	exit
fi
TRACE=$2
printf '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\nhello\\n"\n' >$ROOM/cgi-bin/hello
printf '#!/bin/sh\nprintf "HTTP/1.0 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"\ncat >/dev/null\n' >$ROOM/answer
chmod +x $ROOM/cgi-bin/hello $ROOM/answer
test_listeners
test_accepted
test_time_wait
# Whatever tier the trace has, these take the best one: once a kernel is enough.
[ "$1" != tracepoint ] || test_wait
echo end
