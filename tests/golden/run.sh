#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# usage: PORTSNOOP=build/san/portsnoop tests/golden/run.sh [--update]
#
# What `portsnoop replay` prints for the recordings in tests/golden/stream/, byte
# for byte against the files beside them. make_stream.c has made the recordings;
# --update makes them and all expected files anew: read the difference before you
# believe it.
set -u

cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/golden/tally
. tests/golden/tally
expected=tests/golden/stream
update=${1-}
# The table shows local time.
export TZ=UTC

compiler=${CC:-cc}
if command -v "$compiler" >/dev/null; then
	made=
	if "$compiler" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Iinclude -Iuser -o "$room/make_stream" \
		tests/golden/make_stream.c user/stream/recording.c user/lib/buffer.c -lz &&
		mkdir "$room/made" && "$room/make_stream" "$room/made"; then
		made=yes
	fi
	if [ "$update" = --update ] && [ -n "$made" ]; then
		mkdir -p "$expected"
		rm -f "$expected"/*.rec "$expected"/*.expected
		cp "$room/made"/*.rec "$expected"
		chmod 644 "$expected"/*.rec
	fi
	# A recording states the byte order of its machine.
	order=$(printf '\1\0' | od -An -tx2 | tr -d ' ')
	if [ -z "$made" ]; then
		fail 'recordings are what make_stream writes' 'make_stream does not work'
	elif [ "$order" != 0001 ]; then
		skip 'recordings are what make_stream writes' 'they are little-endian'
	elif ! ls "$expected"/*.rec >/dev/null; then
		fail 'recordings are what make_stream writes' 'there is none'
	else
		stale=
		for made in "$room/made"/*.rec; do
			cmp "$made" "$expected/${made##*/}" || stale=yes
		done
		if [ -n "$stale" ]; then
			fail 'recordings are what make_stream writes' 'they differ'
		else
			pass 'recordings are what make_stream writes'
		fi
	fi
else
	skip 'recordings are what make_stream writes' "there is no $compiler"
fi

# rendered NAME FILE ARGUMENT...: leaves out and status
rendered() {
	recording=$1
	shift
	"$PORTSNOOP" replay "$@" "$expected/$recording.rec" >"$room/out" 2>"$room/err"
	status=$?
}

# golden RECORDING KIND ARGUMENT...
golden() {
	name=$1.$2
	recording=$1
	shift 2
	rendered "$recording" "$@"
	[ "$update" != --update ] || cp "$room/out" "$expected/$name.expected"
	if [ "$status" -ne 0 ]; then
		fail "$name" "exit status $status: $(cat "$room/err")"
	elif ! cmp -s "$expected/$name.expected" "$room/out"; then
		diff -u "$expected/$name.expected" "$room/out"
		fail "$name" 'differs'
	elif ! [ -s "$room/out" ]; then
		fail "$name" 'is empty'
	else
		pass "$name"
	fi
}

# clean RECORDING KIND: of the bytes that went out last: text, in UTF-8, no control
# character but the line feed
clean() {
	if python3 - "$room/out" <<'PYTHON'; then
import sys, unicodedata
text = open(sys.argv[1], "rb").read().decode("utf-8")
for line in text.split("\n"):
    for character in line:
        assert unicodedata.category(character) not in ("Cc", "Cf", "Zl", "Zp"), (character, line)
PYTHON
		pass "$1.$2 is clean"
	else
		fail "$1.$2 is clean" 'see above'
	fi
}

# What --fields knows, less what is for people alone.
every=$("$PORTSNOOP" replay -f 'no such' - 2>&1 |
	sed 's/.*is none of them): //; s/, verb, .*//; s/, /,/g')

for file in "$expected"/*.rec; do
	recording=$(basename "$file" .rec)
	for format in json csv table otlp ocsf; do
		golden "$recording" "$format" --release -o "$format"
		clean "$recording" "$format"
	done

	rendered "$recording" --release -o json
	if python3 tests/golden/check_json.py "$room/out"; then
		pass "$recording.json is what ECS wants"
	else
		fail "$recording.json is what ECS wants" 'see above'
	fi
	cp "$room/out" "$room/json"
	for format in otlp ocsf; do
		rendered "$recording" --release -o "$format"
		if python3 "tests/golden/check_$format.py" "$room/out" "$room/json"; then
			pass "$recording.$format is what its schema wants"
		else
			fail "$recording.$format is what its schema wants" 'see above'
		fi
	done
	rendered "$recording" --release -o ecs
	if cmp "$room/json" "$room/out"; then
		pass "$recording.ecs is json"
	else
		fail "$recording.ecs is json" 'differs'
	fi
	for fields in '' "-f $every"; do
		# shellcheck disable=SC2086 # none, or two words
		rendered "$recording" --release -o csv $fields
		if python3 tests/golden/check_csv.py "$room/out" "$room/json"; then
			pass "$recording.csv is CSV${fields:+, with every field}"
		else
			fail "$recording.csv is CSV${fields:+, with every field}" 'see above'
		fi
	done
	rendered "$recording" --release -o csv
	cp "$room/out" "$room/before"
	different=
	for format in ecs otlp ocsf csv; do
		rendered "$recording" --release --sink stdout --format "$format"
		[ "$status" -eq 0 ] || different="$different $format"
		cp "$room/out" "$room/sunk"
		if [ "$format" = csv ]; then
			# For a sink there are two columns more.
			rendered "$recording" --release -o csv --fields "$(head -n 1 "$room/sunk")"
			case $(head -n 1 "$room/sunk") in
			"$(head -n 1 "$room/before"),event.id,host.name") ;;
			*) different="$different heading" ;;
			esac
		else
			rendered "$recording" --release -o "$format"
		fi
		cmp "$room/sunk" "$room/out" || different="$different $format"
	done
	if [ -z "$different" ]; then
		pass "$recording by a sink"
	else
		fail "$recording by a sink" "is not the same in$different: $(cat "$room/err")"
	fi
	rendered "$recording" --release -o csv
	if cmp "$room/before" "$room/out"; then
		pass "$recording again"
	else
		fail "$recording again" 'is not the same'
	fi
done

# refused FORMAT: fields are not to be chosen
refused() {
	rendered claims -o "$1" -f process.pid
	if [ "$status" -eq 2 ] && ! [ -s "$room/out" ] && grep -q -- "--fields is for .*: $1 has" "$room/err"; then
		pass "$1 has no --fields"
	else
		fail "$1 has no --fields" "exit status $status: $(cat "$room/err")"
	fi
}
refused otlp
refused ocsf

golden claims fields.csv -o csv -f message,portsnoop.known_uses,network.type
golden claims fields.json -o json -f portsnoop.local.port,process.pid,message
golden claims columns.table -o table --columns TIME,PORT,MESSAGE

finish
