#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# usage: PORTSNOOP=build/san/portsnoop tests/golden/fleet.sh [--update]
#
# What `portsnoop history --from` asks of a server that has its answers ready
# (fleet_server.py), and what it makes of them, byte for byte against the files in
# tests/golden/fleet/. --update writes these anew: read the difference before you believe it.
set -u

cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/golden/tally
. tests/golden/tally
expected=tests/golden/fleet
update=${1-}
# The table shows local time.
export TZ=UTC

python3 tests/golden/fleet_server.py "$room/port" "$room/queries" 2>"$room/server" &
server=$!
trap 'kill "$server" 2>/dev/null; rm -rf "$room"' EXIT
waited=0
while ! [ -e "$room/port" ]; do
	waited=$((waited + 1))
	if [ "$waited" -gt 400 ] || ! kill -0 "$server" 2>/dev/null; then
		fail 'fleet_server' "$(cat "$room/server")"
		finish
	fi
	sleep 0.05
done
port=$(cat "$room/port")
"$PORTSNOOP" history --from "clickhouse:http://127.0.0.1:$port/" >"$room/out" 2>"$room/err" </dev/null
if grep -qE 'libcurl|without HTTP' "$room/err"; then
	skip fleet "$(cat "$room/err")"
	finish
fi

# run USER ARGUMENT...: leaves out, err and status
run() {
	user=$1
	shift
	: >"$room/queries"
	"$PORTSNOOP" history --from "clickhouse:http://${user:+$user@}127.0.0.1:$port/" "$@" \
		>"$room/out" 2>"$room/err" </dev/null
	status=$?
	sed -i "s/127\.0\.0\.1:$port/127.0.0.1:8123/" "$room/err"
}

# golden NAME STATUS ARGUMENT...: stdout, stderr and the questions are those of the file
golden() {
	name=$1 wanted=$2
	shift 2
	run '' "$@"
	{
		cat "$room/out"
		sed 's/^/stderr: /' "$room/err"
		# how a host fares now is asked with the time
		sed -E '/uniqExactIf/s/[0-9]{19}/TIME/g; s/^/asked: /' "$room/queries"
	} >"$room/both"
	[ "$update" != --update ] || cp "$room/both" "$expected/$name.txt"
	if [ "$status" -ne "$wanted" ]; then
		fail "$name" "exit status $status instead of $wanted: $(cat "$room/err")"
	elif grep -n '^WRONG' "$room/queries"; then
		fail "$name" 'asks what is no question of ours'
	elif ! diff -u "$expected/$name.txt" "$room/both"; then
		fail "$name" 'differs'
	else
		pass "$name"
	fi
}

golden all-table 0
clean all-table
golden all-json 0 -o json
clean all-json
if python3 tests/golden/check_history.py "$room/out"; then
	pass 'all-json is ECS'
else
	fail 'all-json is ECS' 'see above'
fi
golden all-csv 0 -o csv
clean all-csv
golden at 0 8080 --at '2026-11-20 09:00:10'
golden time-wait 0 40000/tcp --at '2026-11-20 09:01:30'
golden before 1 8080 --at '2026-11-20 08:59'
golden silent 0 --since '2026-11-20 09:03' --until '2026-11-20 09:03:10'
golden failed 0 --failed
golden newest 0 -n 2
golden hosts 0 --host 'web?,nobody' 8080
golden remote 0 --remote 192.0.2.0/24:443
golden hostile 1 --comm "';--" --exe "a'b\\" --unit '`' --container "c0f'" --host "x' OR 1*"
hostile=$(printf '\033[31m\n"},')
golden hostile-name 1 --comm "$hostile"
golden mixed 0 60002/udp 22/tcp

# refused NAME WORDS USER: exit 2, nothing made up, and a clear line that has these words
refused() {
	run "$3"
	name="refused $1"
	if [ "$status" -ne 2 ]; then
		fail "$name" "exit status $status instead of 2"
	elif [ -s "$room/out" ]; then
		fail "$name" 'printed an answer'
	elif [ "$(wc -l <"$room/err")" -ne 1 ] || ! grep -qF "$2" "$room/err"; then
		fail "$name" "not one clear line: $(cat "$room/err")"
	elif LC_ALL=C grep -q '[^ -~]' "$room/err"; then
		fail "$name" 'stray bytes on stderr'
	else
		pass "$name"
	fi
}

refused 'what is no answer' 'is no row that was asked for' garbage
refused 'an answer that is cut off' 'clickhouse:http://127.0.0.1:8123/' cut
refused 'an answer without its end' 'is no row that was asked for' half
refused 'an error behind rows' 'is no row that was asked for' exception
refused 'want of memory' 'Memory limit (for query) exceeded' memory
refused 'want of time' 'Timeout exceeded: elapsed 60 seconds' slow
refused 'no table' 'there is no table portsnoop.events' missing
refused 'a wrong password' 'Authentication failed' refused
refused 'a redirection' 'HTTP status 302' elsewhere
refused 'somebody in between' 'HTTP status 502' proxy

# usage NAME WORDS ARGUMENT...: exit 2, a line with these words, and nobody was asked
usage() {
	name="refused $1" words=$2
	shift 2
	: >"$room/queries"
	"$PORTSNOOP" history "$@" >"$room/out" 2>"$room/err" </dev/null
	status=$?
	if [ "$status" -ne 2 ] || [ -s "$room/out" ] || [ -s "$room/queries" ]; then
		fail "$name" "exit status $status: $(cat "$room/err")"
	elif [ "$(wc -l <"$room/err")" -ne 1 ] || ! grep -qF -e "$words" "$room/err"; then
		fail "$name" "not one clear line: $(cat "$room/err")"
	else
		pass "$name"
	fi
}

url=clickhouse:http://127.0.0.1:$port/
usage 'a database and a fleet' '--from excludes --db' --from "$url" --db x.db
usage 'to follow a fleet' '--from excludes --follow' --from "$url" -f
usage 'hosts of a machine' '--host goes with --from only' --host web1
usage 'an empty host' 'names of hosts' --from "$url" --host 'web1,,web2'
usage 'another kind of source' 'clickhouse:URL' --from otlp:http://127.0.0.1/
usage 'no URL' 'clickhouse:URL' --from clickhouse:somewhere
usage 'a URL with a password' "'clickhouse:http://***@host:port/'" --from clickhouse:http://user:geheim@host:port/
usage 'the future of a fleet' 'yet to come' --from "$url" --at 2099-01-01

"$PORTSNOOP" history --from clickhouse:http://user:geheim@127.0.0.1:1/ >"$room/out" 2>"$room/err" </dev/null
status=$?
if [ "$status" -eq 2 ] && grep -qF 'clickhouse:http://127.0.0.1:1/' "$room/err" && ! grep -q geheim "$room/err"; then
	pass 'nobody there'
else
	fail 'nobody there' "exit status $status: $(cat "$room/err")"
fi

finish
