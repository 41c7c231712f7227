#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=dash
#
# What `rate` says of a connection that lives on in TIME_WAIT, by its process and its
# destination. Runs in a guest.
#
# usage: rate.sh TIER
#
# Prints `ok NAME` or `not ok NAME: REASON` for each test, and `end` as its last line.

# shellcheck source=tests/vm/script.sh
. /bin/script.sh

ROOM=/tmp/rate
# Only 5.10 does not tell how many runs it left out.
COMPLETE='"complete":true\|"incomplete":\[{"reason":"skipped_unknown","message":"[^"]*"}\]'

rate() {
	portsnoop rate --once --duration 1h -o json --top 1000 --tier "$tier" --by "$1" \
		>$ROOM/"$1" 2>$ROOM/"$1".words &
	await says $ROOM/"$1".words 'counting for'
}

tier=$1
case $tier in
tracepoint) estimated='\["time_waits"\]' held='{"open":0}' ;;
*) estimated='\[\]' held='{"open":0,"time_wait":1}' ;;
esac
mkdir $ROOM
rate process
by_process=$!
rate destination
by_destination=$!
pid=$(factory time-wait/tcp4 | sed -n '1s/.*"pid":\([0-9]*\),.*/\1/p')
kill -TERM $by_process $by_destination
wait $by_process
verdict "ends well" "status $? $(cat $ROOM/process.words)" 'status 0 portsnoop: counting for'
wait $by_destination
verdict "is whole" "$(cat $ROOM/process)" "\"tier\":\"$tier\"" "\"estimated\":$estimated" "$COMPLETE"
verdict "by process" "$(sed 's/{"name"/\n&/g' $ROOM/process | grep "^{\"name\":\"factory\[$pid\]\"")" \
	'"interval":{"claims":2,"kernel":2,"requested":0,"unsplit":0,"failures":0,' \
	'"released":2,"time_waits":1}' "\"held\":$held"
verdict "by destination" "$(sed 's/{"name"/\n&/g' $ROOM/destination)" \
	"^{\"name\":\"tcp 127.0.0.1:[0-9]* from 127.0.0.1\".*\"released\":1,\"time_waits\":1}.*\"held\":$held"
rm -r $ROOM
echo end
