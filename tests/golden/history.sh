#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# usage: PORTSNOOP=build/san/portsnoop tests/golden/history.sh [--update]
#
# What `portsnoop history` says of a database that make_history.c has written, byte for
# byte against the files in tests/golden/history/. --update writes these anew: read the
# difference before you believe it.
set -u

cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/golden/tally
. tests/golden/tally
expected=tests/golden/history
update=${1-}
# The table shows local time.
export TZ=UTC

compiler=${CC:-cc}
if ! command -v "$compiler" >/dev/null; then
	skip history "there is no $compiler to make a database with"
	finish
fi
# shellcheck disable=SC2046 # pkg-config prints words
if ! "$compiler" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Iinclude -Iuser -DPORTSNOOP_VERSION='"0"' \
	-o "$room/make_history" tests/golden/make_history.c user/store/*.c user/model/*.c \
	user/ports/*.c user/lib/buffer.c user/lib/escape.c user/lib/json.c user/lib/list.c \
	user/lib/log.c user/lib/parse.c user/lib/resolve.c \
	$(pkg-config --cflags --libs sqlite3) -lm >"$room/compiled" 2>&1 ||
	! "$room/make_history" "$room/history.db" 1 || ! "$room/make_history" "$room/history.db" 2; then
	fail 'make_history' "$(cat "$room/compiled")"
	finish
fi

# run ARGUMENT...: leaves out, err and status
run() {
	"$PORTSNOOP" history --db "$room/history.db" "$@" >"$room/out" 2>"$room/err" </dev/null
	status=$?
}

# golden NAME STATUS ARGUMENT...: stdout and stderr are those of the file
golden() {
	name=$1 wanted=$2
	shift 2
	run "$@"
	{
		cat "$room/out"
		sed 's/^/stderr: /' "$room/err"
	} >"$room/both"
	[ "$update" != --update ] || cp "$room/both" "$expected/$name.txt"
	if [ "$status" -ne "$wanted" ]; then
		fail "$name" "exit status $status instead of $wanted: $(cat "$room/err")"
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
if python3 - "$room/out" <<'PYTHON'; then
import csv, sys
rows = list(csv.reader(open(sys.argv[1], newline="", encoding="utf-8")))
assert len(rows) > 10 and len({len(row) for row in rows}) == 1, rows
PYTHON
	pass 'all-csv is CSV'
else
	fail 'all-csv is CSV' 'see above'
fi

golden at-minute 0 8080 --at '2026-11-20 09:00'
golden at-second 0 8080/tcp --at '2026-11-20 09:00:10'
golden at-second-before 1 8080 --at '2026-11-20 09:00:09'
golden at-gap 1 6379 --at '2026-11-20 09:30'
golden at-last-day 0 6379 --at 2026-11-20
golden since-until 0 6379 8080 --since '2026-11-20 09:02:13' --until '2026-11-20 10:30'
golden other-zone 0 8080 --at '2026-11-20 10:00 Europe/Berlin'
golden newest 0 -n 3
golden newest-mixed 0 -n 2 53001/udp 8080/tcp 7000/tcp
golden mixed 0 53001/udp 8080/udp 7000/tcp
golden range 0 40000-40003
golden pid 0 --pid 61
golden comm 0 --comm curl
golden exe 0 --exe redis-server
golden exe-path 0 --exe /usr/sbin/nginx
golden unit 0 --unit nginx
golden container 0 --container c0ffee12
golden remote 0 --remote 192.0.2.0/24:443
golden remote-6 0 --remote '[2001:db8::53]:53'
golden failed 0 --failed
golden nothing 1 --comm nobody

# refused NAME ARGUMENT...: exit 2, one line on stderr, which is clean, nothing on stdout
refused() {
	name="refused $1"
	shift
	"$PORTSNOOP" history "$@" >"$room/out" 2>"$room/err" </dev/null
	status=$?
	if [ "$status" -ne 2 ]; then
		fail "$name" "exit status $status instead of 2"
	elif [ -s "$room/out" ]; then
		fail "$name" 'printed an answer'
	elif [ "$(wc -l <"$room/err")" -ne 1 ] || ! grep -q '^portsnoop' "$room/err"; then
		fail "$name" "not one clear line: $(cat "$room/err")"
	elif LC_ALL=C grep -q '[^ -~]' "$room/err"; then
		fail "$name" 'stray bytes on stderr'
	else
		pass "$name"
	fi
}

refused 'a moment' --at teatime
refused 'the future' --at 2099-01-01
refused 'a hostile moment' --at "$(printf '\033[31m14:32\n')"
refused 'at and since' --at now --since now
refused 'follow and until' -f --until now
refused 'a port' 80abc
refused 'a format' -o yaml
refused 'a remote' --remote example.org
refused 'no container' --container c0f
refused 'no database' --db "$room/absent.db"
refused 'no folder' --db "$room/absent/history.db"
refused 'no database, following' -f --db "$room/absent.db"
refused 'a folder' --db "$room"
: >"$room/empty.db"
refused 'an empty file' --db "$room/empty.db"
head -c 8192 /dev/urandom >"$room/noise.db"
refused 'no database of any kind' --db "$room/noise.db"

"$PORTSNOOP" history --db "$room/absent.db" 2>"$room/err"
if grep -qF "$room/absent.db" "$room/err" && grep -q 'portsnoop record' "$room/err"; then
	pass 'a missing database is named'
else
	fail 'a missing database is named' "$(cat "$room/err")"
fi
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
	cp "$room/history.db" "$room/secret.db"
	chmod 600 "$room/secret.db"
	chmod 711 "$room"
	cp "$PORTSNOOP" "$room/portsnoop"
	setpriv --reuid 65534 --regid 65534 --clear-groups "$room/portsnoop" history \
		--db "$room/secret.db" >"$room/out" 2>"$room/err" </dev/null
	status=$?
	if [ "$status" -eq 2 ] && grep -q 'permission' "$room/err" && grep -q 'group' "$room/err"; then
		pass 'an unreadable database'
	else
		fail 'an unreadable database' "exit status $status: $(cat "$room/err")"
	fi
else
	skip 'an unreadable database' 'only root can become somebody who may not read it'
fi

# The answer that cannot be written is an error, but a reader that has seen enough is none.
if [ -w /dev/full ]; then
	"$PORTSNOOP" history --db "$room/history.db" >/dev/full 2>"$room/err"
	status=$?
	if [ "$status" -eq 2 ] && grep -q 'standard output' "$room/err"; then
		pass 'full disk'
	else
		fail 'full disk' "exit status $status, $(cat "$room/err")"
	fi
fi

if python3 tests/golden/history_follow.py "$PORTSNOOP" "$room/make_history" "$room" >"$room/follow"; then
	while read -r name; do
		pass "follow: $name"
	done <"$room/follow"
else
	fail 'follow' "$(cat "$room/follow")"
fi

finish
