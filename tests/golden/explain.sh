#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# usage: PORTSNOOP=build/san/portsnoop tests/golden/explain.sh [--update]
#
# What `portsnoop explain` prints, against the files in tests/golden/explain/. The
# machine is the one in tests/fixtures/proc. --update writes the files anew: read
# the difference before you believe it.
set -u

cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/golden/tally
. tests/golden/tally
expected=tests/golden/explain
machine=tests/fixtures/proc
update=${1-}

# run ARGUMENT...: leaves out, err and status
run() {
	"$PORTSNOOP" explain "$@" >"$room/out" 2>"$room/err"
	status=$?
}

# golden NAME STATUS ARGUMENT...: stdout and stderr are those of the file
golden() {
	name=$1 wanted=$2
	shift 2
	run --proc "$machine" "$@"
	{
		cat "$room/out"
		sed 's/^/stderr: /' "$room/err"
	} >"$room/both"
	[ "$update" != --update ] || cp "$room/both" "$expected/$name.txt"
	if [ "$status" -ne "$wanted" ]; then
		fail "$name" "exit status $status instead of $wanted"
	elif ! diff -u "$expected/$name.txt" "$room/both"; then
		fail "$name" 'differs'
	else
		pass "$name"
	fi
}

# refused NAME ARGUMENT...: exit 2, one line on stderr, which is clean, nothing on stdout
refused() {
	name="refused $1"
	shift
	run "$@"
	if [ "$status" -ne 2 ]; then
		fail "$name" "exit status $status instead of 2"
	elif [ -s "$room/out" ]; then
		fail "$name" 'printed an answer'
	elif [ "$(wc -l <"$room/err")" -ne 1 ] || ! grep -q '^portsnoop explain: ' "$room/err"; then
		fail "$name" "not one clear line: $(cat "$room/err")"
	elif LC_ALL=C grep -q '[^ -~]' "$room/err"; then
		fail "$name" 'stray bytes on stderr'
	else
		pass "$name"
	fi
}

# told NAME TEXT ARGUMENT...: exit 0, and stdout holds the text
told() {
	name="told $1" text=$2
	shift 2
	run --proc "$machine" "$@"
	if [ "$status" -ne 0 ]; then
		fail "$name" "exit status $status"
	elif ! grep -qF -- "$text" "$room/out"; then
		fail "$name" "'$text' is missing in: $(cat "$room/out")"
	else
		pass "$name"
	fi
}

# The five that web pages call Xsan's: two of them are reserved in this machine.
for port in 60002 60202 60256 60322 60716; do
	told "$port is dynamic" 'dynamic (49152-65535): never assigned by IANA to anyone' "$port"
	told "$port has both ranges" "32768-60999 (ip_local_port_range; IANA's dynamic range is 49152-65535)" "$port"
	told "$port: Xsan is a hint" "Apple's own list for macOS gives it the whole dynamic range" "$port"
	run --proc "$machine" "$port"
	if sed '/not registered, may be used by/,$d' "$room/out" | grep -qi 'xsan\|mosh'; then
		fail "$port: hint" 'stands among the facts'
	else
		pass "$port: hint stands apart"
	fi
done
told '60322 is in the pool' 'this port is inside: the kernel may give it' 60322
told '60202 is reserved' 'this port is inside, but reserved' 60202
told '61000 is outside' 'this port is outside' 61000

golden dynamic 0 60002
golden reserved 0 60202/udp
golden ssh 0 ssh
golden http 0 80/tcp
golden nfs 0 2049
golden range 0 49152-49215
golden x11 0 x11/tcp
golden list 0 1-1023/tcp
golden zero 0 0
golden no-protocol 0 6400
golden portless 0 airplay
golden unauthorized 0 6003/udp
golden json 0 -o json 60002 60202 60300-60312 22/tcp 8080 49152-49215 7770-7780 airplay
golden options-behind 0 22/tcp -o json
golden unknown-name 1 postgre 22/sctp ssh/dccp
golden absent 0 --proc /nonexistent 60002/tcp
golden absent-json 0 -o json --proc /nonexistent 60002/tcp

refused letters 80abc
refused empty ''
refused 'too high' 65536
refused 'far too high' 99999999999999999999
refused sign +80
refused minus -5
refused space ' 80'
refused tail '80 '
refused hexadecimal 0x50
refused 'half a range' 80-
refused 'other half' -- -80
refused 'backward range' 90-80
refused 'range too high' 1-65536
refused 'two ranges' 1-2-3
refused 'no protocol' 80/
refused 'foreign protocol' 80/icmp
refused 'capital protocol' 80/TCP
refused 'two protocols' 80/tcp/udp
refused 'only a protocol' /tcp
refused 'list' 22,80
refused 'line feed' "$(printf 'ssh\nforged')"
refused 'escape' "$(printf '\033[31mssh')"
refused 'not UTF-8' "$(printf 'ss\377h')"
refused 'long' "$(printf '%0500d' 7)"
refused 'long name' "$(printf '%0500d' 7 | tr 0 a)"
refused nothing
refused 'format' -o yaml 22
refused 'last of several' 22 443 80abc
refused 'option behind' 22 -o yaml
refused 'empty folder' --proc '' 22

told 'name with a slash' 'port 2222, asked as EtherNet/IP-1' EtherNet/IP-1
told 'name with a slash and a protocol' 'port 2222/udp, asked' EtherNet/IP-1/udp

# A port that is no number cannot slip through as 0-padded or octal.
told 'leading zeros are decimal' 'port 80' 0080

# Every line is JSON, and every text in it what it was.
run -o json --proc "$(printf '/no\033\001\377"\\where')" 0-65535 60002 ssh airplay
if python3 - "$room/out" <<'PYTHON'; then
import json, sys
lines = open(sys.argv[1], "rb").read().decode("utf-8").split("\n")
assert lines.pop() == "" and len(lines) == 4, len(lines)
whole, port, ssh, airplay = map(json.loads, lines)
assert whole["low"] == 0 and whole["high"] == 65535
assert sum(whole["iana"]["ports"].values()) == 65536
assert whole["iana"]["ports"]["never-assigned"] == 16384
assert len(whole["iana"]["entries"]) > 6000
assert port["machine"] == {} and len(port["absent"]) == 3
assert port["absent"][0]["file"].startswith('/no\x1b\x01\ufffd"\\where/sys/'), port["absent"]
assert port["iana"]["status"] == "never-assigned" and port["iana"]["entries"] == []
assert any(use["name"] == "Apple Xsan Filesystem Access" and not use["specific"]
           for use in port["known_uses"])
assert ssh["port"] == 22 and ssh["iana"]["protocols"]["sctp"]["service"] == "ssh"
assert airplay["port"] is None
PYTHON
	pass 'JSON is JSON'
else
	fail 'JSON is JSON' 'see above'
fi

# The answer that cannot be written is an error.
if [ -w /dev/full ]; then
	"$PORTSNOOP" explain 22 >/dev/full 2>"$room/err"
	status=$?
	if [ "$status" -eq 2 ] && grep -q 'cannot write' "$room/err"; then
		pass 'full disk'
	else
		fail 'full disk' "exit status $status, $(cat "$room/err")"
	fi
fi

# What was typed as a folder comes back harmless.
run --proc "$(printf '/no\033[31m\nforged')" 60002
if [ "$status" -eq 0 ] && ! grep -q '^forged' "$room/out" && ! LC_ALL=C grep -q '[^ -~]' "$room/out"; then
	pass 'hostile folder'
else
	fail 'hostile folder' "$(cat "$room/out" "$room/err")"
fi

# Without --proc it is this machine.
run 60002
range=$(tr '\t' - </proc/sys/net/ipv4/ip_local_port_range)
if [ "$status" -eq 0 ] && grep -q "pool  *$range " "$room/out"; then
	pass 'this machine'
else
	fail 'this machine' "$range is missing in: $(cat "$room/out" "$room/err")"
fi

finish
