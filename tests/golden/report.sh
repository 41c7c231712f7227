#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# usage: PORTSNOOP=build/san/portsnoop tests/golden/report.sh [--update]
#
# What `portsnoop report` makes of databases: the page of the one that make_history.c writes,
# byte for byte against tests/golden/report/history.html; of others the numbers, counted again
# through the views of the database; of a hostile one the structure; and what Chromium makes
# of it. --update writes the file anew: look at it in a browser before you believe it.
set -u

cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/golden/tally
. tests/golden/tally
expected=tests/golden/report/history.html
update=${1-}
check=tests/golden/check_report.py
export TZ=UTC PYTHONDONTWRITEBYTECODE=1

compiler=${CC:-cc}
if ! command -v "$compiler" >/dev/null; then
	skip report "there is no $compiler to make a database with"
	finish
fi

# program NAME: builds tests/golden/NAME.c, with the writing side of the history
program() {
	# shellcheck disable=SC2046 # pkg-config prints words
	"$compiler" -std=gnu11 -D_GNU_SOURCE -O1 -Wall -Wextra -Iinclude -Iuser \
		-DPORTSNOOP_VERSION='"0"' -o "$room/$1" "tests/golden/$1.c" user/store/*.c \
		user/model/*.c user/ports/*.c user/lib/buffer.c user/lib/escape.c user/lib/json.c \
		user/lib/list.c user/lib/log.c user/lib/parse.c user/lib/resolve.c \
		$(pkg-config --cflags --libs sqlite3) -lm >"$room/compiled" 2>&1
}

if ! program make_history || ! program make_proxy || ! "$room/make_history" "$room/history.db" 1 ||
	! "$room/make_history" "$room/history.db" 2; then
	fail 'the databases' "$(cat "$room/compiled")"
	finish
fi

# run ARGUMENT...: leaves out, err and status
run() {
	"$PORTSNOOP" report "$@" >"$room/out" 2>"$room/err" </dev/null
	status=$?
}

# checked NAME ARGUMENT...: what check_report.py says
checked() {
	name=$1
	shift
	if python3 "$check" "$@" >"$room/checked" 2>&1; then
		pass "$name"
	else
		fail "$name" "$(tail -n 3 "$room/checked")"
	fi
}

# ---- byte for byte ----

run --db "$room/history.db" --since '2026-11-20 09:00' --until '2026-11-20 11:00' -o "$room/golden.html"
# The version may change.
sed -E 's/(portsnoop) [0-9]+\.[0-9]+\.[0-9]+([^0-9])/\1 VERSION\2/g' "$room/golden.html" >"$room/golden.plain"
[ "$update" != --update ] || cp "$room/golden.plain" "$expected"
if [ "$status" -ne 0 ] || [ -s "$room/out" ] || [ -s "$room/err" ]; then
	fail 'the page' "exit status $status: $(cat "$room/err")"
elif ! cmp "$expected" "$room/golden.plain" >"$room/compared" 2>&1; then
	fail 'the page' "differs: $(cat "$room/compared")"
else
	pass 'the page'
fi
checked 'the page is well-formed' structure "$room/golden.html"
run --db "$room/history.db" --since '2026-11-20 09:00' --until '2026-11-20 11:00'
if cmp -s "$room/out" "$room/golden.html"; then
	pass 'standard output'
else
	fail 'standard output' 'is not the file'
fi

# ---- counted again ----

# recount NAME DB SINCE UNTIL: in seconds
recount() {
	run --db "$2" --since "@$3" --until "@$4" -o "$room/page.html"
	if [ "$status" -ne 0 ]; then
		fail "recount $1" "exit status $status: $(cat "$room/err")"
		return
	fi
	checked "recount $1" recount "$room/page.html" "$2" "$3" "$4"
	checked "recount $1: well-formed" structure "$room/page.html"
}

nine=1795165200 # Fri 2026-11-20 09:00:00 UTC
one=1795179600	# 13:00
recount 'two recordings' "$room/history.db" $nine $((nine + 7200))
recount 'a part of them' "$room/history.db" $((nine + 31)) $((nine + 61))
recount 'before them' "$room/history.db" $((nine - 86400)) $((nine + 30))
for seed in 1 2; do
	if "$room/make_proxy" "$room/proxy$seed.db" 100 "$seed"; then
		recount "a proxy, seed $seed" "$room/proxy$seed.db" $one $((one + 7200))
	else
		fail "recount a proxy, seed $seed" 'there is no database'
	fi
done
recount 'a proxy, from the midst' "$room/proxy1.db" $((one + 1100)) $((one + 5000))
recount 'a proxy, a minute' "$room/proxy1.db" $((one + 4800)) $((one + 4860))
recount 'a proxy, months' "$room/proxy1.db" $((one - 7000000)) $((one + 7200))
TZ=Asia/Kolkata "$PORTSNOOP" report --db "$room/proxy1.db" --since @$one --until @$((one + 7200)) \
	-o "$room/kolkata.html"
if grep -q 'IST, UTC+0530' "$room/kolkata.html" && grep -q '2026-11-20 18:30:00' "$room/kolkata.html"; then
	pass 'local time'
else
	fail 'local time' 'is not that of TZ'
fi
# The same as history tells, row by row.
"$PORTSNOOP" history --db "$room/proxy1.db" --since @$one --until @$((one + 7200)) -o json >"$room/json"
run --db "$room/proxy1.db" --since @$one --until @$((one + 7200)) -o "$room/page.html"
if python3 - "$room/json" "$room/page.html" <<'PYTHON'; then
import json, re, sys
claimed = failed = 0
for line in open(sys.argv[1], encoding="utf-8"):
    row = json.loads(line)
    action = row["event"]["action"]
    claimed += action == "held-port" and "start" in row["event"]
    failed += action not in ("held-port", "recording-gap")
page = open(sys.argv[2], encoding="utf-8").read()
shown = [int(re.search(f'id="{name}"[^/]*/span><strong>([0-9,]+)<', page)[1].replace(",", ""))
         for name in ("claimed", "failed")]
assert shown == [claimed, failed], (shown, claimed, failed)
PYTHON
	pass 'as history tells'
else
	fail 'as history tells' 'see above'
fi

# ---- hostile ----

cp "$room/proxy2.db" "$room/hostile.db"
if python3 tests/golden/make_hostile.py "$room/hostile.db"; then
	run --db "$room/hostile.db" --since @$one --until @$((one + 7200)) -o "$room/hostile.html"
	checked 'a hostile database' structure "$room/hostile.html"
	if [ "$(wc -c <"$room/hostile.html")" -lt 1000000 ]; then
		pass 'a hostile database: small'
	else
		fail 'a hostile database: small' "$(wc -c <"$room/hostile.html") bytes"
	fi
else
	fail 'a hostile database' 'could not be made'
fi
TZ='<b>"&'"'"'>3' "$PORTSNOOP" report --db "$room/history.db" --since @$nine --until @$((nine + 60)) \
	-o "$room/zone.html"
checked 'a hostile time zone' structure "$room/zone.html"

# ---- the file ----

mkdir "$room/folder"
echo old >"$room/folder/page.html"
chmod 640 "$room/folder/page.html"
ln -s page.html "$room/folder/link.html"
run --db "$room/history.db" --since @$nine --until @$((nine + 60)) -o "$room/folder/link.html"
if [ "$status" -eq 0 ] && [ -L "$room/folder/link.html" ] && grep -q '</html>' "$room/folder/page.html" &&
	[ "$(stat -c %a "$room/folder/page.html")" = 640 ] && [ "$(find "$room/folder" | wc -l)" -eq 3 ]; then
	pass 'a file is replaced where a link leads'
else
	fail 'a file is replaced where a link leads' "$(ls -l "$room/folder")"
fi
echo old >"$room/folder/page.html"
# Enough for what SQLite maps, not for the page.
if (ulimit -f 80 && trap '' XFSZ && "$PORTSNOOP" report --db "$room/proxy1.db" --since @$one \
	--until @$((one + 7200)) -o "$room/folder/page.html" 2>"$room/err" >/dev/null); then
	fail 'whole or not at all' 'it says that it could write'
elif [ "$(cat "$room/folder/page.html")" = old ] && grep -q page.html "$room/err" && [ "$(find "$room/folder" | wc -l)" -eq 3 ]; then
	pass 'whole or not at all'
else
	fail 'whole or not at all' "$(ls -l "$room/folder")"
fi
(ulimit -f 80 && "$PORTSNOOP" report --db "$room/proxy1.db" --since @$one --until @$((one + 7200)) \
	-o "$room/folder/page.html" || exit 1) >"$room/out" 2>&1
if [ "$(cat "$room/folder/page.html")" = old ] && [ "$(find "$room/folder" | wc -l)" -eq 3 ]; then
	pass 'a signal leaves no temporary file'
else
	fail 'a signal leaves no temporary file' "$(ls -l "$room/folder")"
fi
# By somebody who may do all with the folder, but not write to the file.
chmod 777 "$room/folder"
chmod 711 "$room"
chmod 644 "$room/folder/page.html" "$room/proxy1.db"*
nobody=
[ "$(id -u)" -ne 0 ] || nobody='setpriv --reuid=65534 --regid=65534 --clear-groups'
[ -n "$nobody" ] || chmod 444 "$room/folder/page.html"
$nobody "$PORTSNOOP" report --db "$room/proxy1.db" --since @$one --until @$((one + 7200)) \
	-o "$room/folder/link.html" >"$room/out" 2>"$room/err"
if [ "$(cat "$room/folder/page.html")" = old ] && grep -q 'link.html: Permission denied' "$room/err"; then
	pass 'a file that is not to be written stays'
else
	fail 'a file that is not to be written stays' "$(cat "$room/err")"
fi
run --db "$room/history.db" --since @$((nine - 90000)) --until @$((nine - 80000)) -o "$room/empty.html"
if [ "$status" -eq 1 ] && grep -q 'nothing was recorded' "$room/err"; then
	pass 'nothing was recorded'
else
	fail 'nothing was recorded' "exit status $status: $(cat "$room/err")"
fi
checked 'nothing was recorded: well-formed' structure "$room/empty.html"

# refused NAME ARGUMENT...: exit 2, one line on stderr, nothing on stdout
refused() {
	name="refused $1"
	shift
	run "$@"
	if [ "$status" -ne 2 ]; then
		fail "$name" "exit status $status instead of 2"
	elif [ -s "$room/out" ] || [ "$(wc -l <"$room/err")" -ne 1 ]; then
		fail "$name" "not one clear line: $(cat "$room/err")"
	else
		pass "$name"
	fi
}

refused 'a moment' --since teatime
refused 'the future' --until 2099-01-01
refused 'backwards' --since @200 --until @100
refused 'a format' --db "$room/history.db" -o json
refused 'a word' --db "$room/history.db" page.html
refused 'no database' --db "$room/absent.db"
refused 'a folder' --db "$room/history.db" -o "$room/absent/page.html"
if [ -w /dev/full ]; then
	refused 'a full disk' --db "$room/history.db" --since @$nine -o /dev/full
fi

# ---- a browser ----

if ! command -v chromium >/dev/null; then
	skip 'a browser' 'there is no chromium'
	finish
fi

# chromium_run ARGUMENT...: leaves out and err
chromium_run() {
	timeout 120 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --no-first-run --disable-dev-shm-usage \
		--disable-background-networking --disable-component-update --disable-sync \
		--user-data-dir="$room/chromium" --enable-logging=stderr --v=0 "$@" >"$room/out" \
		2>"$room/err" </dev/null
}

for page in golden proxy hostile; do
	[ $page != proxy ] || cp "$room/page.html" "$room/proxy.html"
	if ! chromium_run --dump-dom "file://$room/$page.html"; then
		fail "a browser: $page" "$(tail -n 3 "$room/err")"
		continue
	fi
	checked "a browser: $page" browser "$room/$page.html" "$room/out"
	if grep 'CONSOLE' "$room/err" >"$room/console"; then
		fail "a browser: $page: silent" "$(head -n 3 "$room/console")"
	else
		pass "a browser: $page: silent"
	fi
done
if python3 tests/golden/report_browser.py "$room/proxy.html" "$room" >"$room/told"; then
	while read -r name; do
		pass "a browser: $name"
	done <"$room/told"
else
	fail 'a browser' "$(cat "$room/told")"
fi

finish
