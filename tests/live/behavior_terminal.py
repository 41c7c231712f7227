# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Terminals: width, colors, Ctrl-C; columns and fields one by one."""

import csv
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import termios
import unicodedata

from behavior_tool import (ESCAPE, Claimer, Reader, Tool, at_end, check, equal, folder_kept, get, is_event,
                           parse_events, program, run, test)

WIDTHS = 60, 80, 100, 200
# Wide, combining, invisible, right-to-left, no UTF-8, and what a terminal obeys.
NAMES = ("plain", "漢字漢字", "e\u0301a\u0308o\u0302", "\u202e\u200bx", "\x1b[31mred", "a\nb\tc\rd",
         "\udcff\udcfe\udc80", '"quoted",', "\\x41", "😀👍", "שָׁלוֹם", "\x9b2J", "\x7f\x08",
         "⚡✨⭐☔", "🀄🟠🆎", "สวัสดี", "नमस्ते", "\u1112\u1161\u11ab한글", "〈〉", "a\ufe0f\u20dd")


def terminal(width, height=24):
    """(our side, its side)"""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    at_end(os.close, ours)
    return ours, theirs


def on_terminal(width, *words, env=None):
    """Bytes of the lines that it writes to a terminal."""
    ours, theirs = terminal(width)
    tool = Tool(*words, stdout=theirs, env=dict({"TERM": "xterm-256color"}, **(env or {})))
    os.close(theirs)
    lines = [line.rstrip(b"\r") for line in Reader(ours).rest()]
    equal(tool.status(), 0, f"exit status, it said {tool.words()!r}")
    return lines


def columns(text):
    """On a terminal, by the tables of another program than the one that is tested."""
    width = 0
    for character in text:
        # Vowels and finals of a Korean syllable stand within it.
        if unicodedata.category(character) not in ("Mn", "Me") and not "\u1160" <= character <= "\u11ff":
            width += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return width


def check_bytes(line):
    """Colors are the only thing that a terminal obeys."""
    plain = ESCAPE.sub(b"", line).decode("utf-8")  # or it is not UTF-8
    for character in plain:
        check(unicodedata.category(character) not in ("Cc", "Cf", "Zl", "Zp", "Cs"),
              "harmful:", hex(ord(character)), "in", plain)
    return plain


_saved = []


def saved():
    """A recording with names of every kind."""
    if not _saved:
        _saved.append(None)
        path = os.path.join(folder_kept(), "saved")
        claimers = [Claimer(name, name * 30) for name in NAMES]
        tool = Tool("trace", "--save", path)
        tool.started()
        for claimer, name in zip(claimers, NAMES):
            claimer.ask("rename", name)
            claimer.ask("claim", "tcp4", "127.0.0.1", 0)
            claimer.ask("claim", "udp6", "::1", 0)
            claimer.ask("claim", "tcp4", "203.0.113.1", 80)  # not ours: it fails
            listener, port = claimer.ask("claim", "tcp6", "::1", 0)
            claimer.ask("listen", listener)
            client = claimer.ask("open", "tcp6")
            claimer.ask("connect", client, "::1", port)
            claimer.ask("close", client)
        tool.stop()
        _saved[0] = path
    check(_saved[0], "there is no recording")
    return _saved[0]


def events_of(path):
    return [event for event in parse_events(run("replay", "-o", "json", path).lines()) if is_event(event)]


# ---- width ----


def check_width(width, *options):
    path = saved()
    lines = on_terminal(width, "replay", *options, path)
    equal(len(lines), 1 + len(events_of(path)), "lines")
    for line in lines:
        plain = check_bytes(line)
        check(columns(plain) <= width, "of", width, "columns", columns(plain), "in:", plain)


for _width in WIDTHS:
    test(f"terminal: no line is wider than {_width} columns, whatever the names")(
        lambda width=_width: check_width(width))
    test(f"terminal: {_width} columns hold also the columns with the longest texts")(
        lambda width=_width: check_width(width, "--columns", "TIME,COMM,ARGS,EXE,CGROUP,LOCAL"))


@test("terminal: columns stand below each other, whatever the names")
def aligned():
    path = saved()
    for options in ((), ("--columns", "COMM,EVENT,PID")):
        lines = [check_bytes(line) for line in on_terminal(100, "replay", *options, path)]
        at = columns(lines[0][:lines[0].index("EVENT")])
        for line in lines[1:]:
            found = re.search(r" (bind|listen|connect|open|failed|send) ", line)
            check(found, "no event in:", line)
            equal(columns(line[:found.start() + 1]), at, f"column of the event in: {line}")


@test("terminal: the locale changes nothing")
def locale():
    path = saved()
    usual = on_terminal(80, "replay", path)
    for name in ("C", "POSIX", "C.UTF-8", "tr_TR.UTF-8", "no_such.locale"):
        equal(on_terminal(80, "replay", path, env={"LC_ALL": name, "LANG": name}), usual, f"with {name}")


@test("terminal: a very narrow one")
def very_narrow():
    for width in (1, 2, 7, 20):
        check_width(width)


@test("terminal: COLUMNS says more than the terminal, and a wrong one nothing")
def columns_variable():
    path = saved()
    for words, width in (("70", 70), ("none", 120), ("", 120), ("0", 120), ("-5", 120)):
        lines = [check_bytes(line) for line in on_terminal(120, "replay", path, env={"COLUMNS": words})]
        check(max(map(columns, lines)) <= width, "COLUMNS", words, "gives", max(map(columns, lines)))
        if width == 120:
            equal(lines, [check_bytes(line) for line in on_terminal(120, "replay", path)],
                  f"output with COLUMNS={words}")


@test("terminal: elsewhere nothing is cut")
def not_cut():
    path = saved()
    text = b"\n".join(run("replay", "--columns", "PID,ARGS", path, env={"COLUMNS": "60"}).lines()).decode()
    check("plain" * 30 in text and "漢字漢字" * 30 in text, "the arguments are cut")


# ---- colors ----


@test("terminal: colors on a terminal, closed on each line")
def colors():
    lines = on_terminal(100, "replay", saved())
    check(any(b"\x1b[31m" in line for line in lines), "no failure is red")
    for line in lines:
        if b"\x1b" in line:
            check(line.endswith(b"\x1b[0m") and line.startswith(b"\x1b["), "a color is left open:", line)


@test("terminal: NO_COLOR, TERM=dumb, no TERM: no escapes")
def no_colors():
    path = saved()
    with_colors = on_terminal(100, "replay", path)
    check(any(b"\x1b" in line for line in with_colors), "no colors at all")
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": None}):
        lines = on_terminal(100, "replay", path, env=env)
        check(not any(b"\x1b" in line for line in lines), "an escape with", env)
        equal(lines, [ESCAPE.sub(b"", line) for line in with_colors], f"text with {env}")
    check(any(b"\x1b" in line for line in on_terminal(100, "replay", path, env={"NO_COLOR": ""})),
          "an empty NO_COLOR counts")


@test("terminal: no escapes elsewhere, whatever the names")
def no_escapes():
    for form in ("table", "json", "csv"):
        for line in run("replay", "-o", form, saved(), env={"TERM": "xterm"}).lines():
            check(b"\x1b" not in line, "an escape:", line)
            check_bytes(line)


# ---- live ----


@test("terminal: Ctrl-C stops it, and the totals come behind")
def control_c():
    claimer = Claimer()
    ours, theirs = terminal(80)
    command = [program(), "trace", "--pid", str(claimer.pid)]
    # The terminal becomes its controlling one: Ctrl-C is then a signal of the kernel.
    process = subprocess.Popen(["setsid", "--ctty", "--wait", *command], stdin=theirs, stdout=theirs,
                               stderr=theirs, env=dict(os.environ, TERM="xterm"))
    os.close(theirs)
    at_end(process.wait)
    at_end(lambda: process.poll() is None and process.kill())
    reader = Reader(ours)
    check(b"TIME" in reader.line("the heading"), "no heading")
    _, port = claimer.ask("claim", "tcp4", "127.0.0.1", 0)
    check(f":{port}".encode() in reader.line("the claim"), "another claim")
    os.write(ours, b"\x03")
    rest = reader.rest()
    check(any(b"seen = 1 delivered" in line for line in rest), "behind Ctrl-C:", rest)
    equal(process.wait(), 0, "exit status")


@test("terminal: one that is closed ends it")
def hang_up():
    ours, theirs = pty.openpty()
    tool = Tool("trace", "--pid", "1", "--port", "1", stdout=theirs)
    os.close(theirs)
    check(b"TIME" in Reader(ours).line("the heading"), "no heading")
    os.close(ours)
    equal(tool.status(), 0, "exit status")


# ---- columns and fields one by one ----


def listed(which):
    """Names from the words that refuse a wrong one."""
    words = run("replay", "--columns", "no-such-name", "-").words()
    fields, headings = re.search(r"none of them\): (.*); or of headings: (.*)$", words, re.M).groups()
    return (headings if which == "headings" else fields).split(", ")


@test("columns: each one alone, by its heading")
def each_column():
    path = saved()
    count = len(events_of(path))
    names = listed("headings")
    check(len(names) > 30, "only", len(names), "columns")
    for name in names:
        lines = run("replay", "--columns", name, path).lines()
        equal((lines[0].strip(), len(lines)), (name.encode(), 1 + count), f"heading and lines of {name}")
        check(all(lines), "an empty cell in", name)
        narrow = on_terminal(60, "replay", "--columns", name.lower(), path, env={"NO_COLOR": "1"})
        check(all(columns(check_bytes(line)) <= 60 for line in narrow), "too wide:", name)


@test("fields: each one alone, in JSON, CSV and the table")
def each_field():
    path = saved()
    events = parse_events(run("replay", "-o", "json", path).lines())
    names = listed("fields")
    check(len(names) > 60, "only", len(names), "fields")
    for name in names:
        alone = parse_events(run("replay", "-o", "json", "-f", name, path).lines())
        equal(len(alone), len(events), f"lines of {name}")
        for event, whole in zip(alone, events):
            leaf = event
            for part in name.split(".") if event else ():
                equal(list(leaf), [part], f"members of {name}")
                leaf = leaf[part]
            if name.split(".")[0] in whole and get(whole, name) is not None:
                equal(get(event, name), get(whole, name), f"value of {name}")
        rows = list(csv.reader(io.StringIO(run("replay", "-o", "csv", "-f", name, path).out.decode())))
        equal(rows[0], [name], "heading")
        equal(len(rows), 1 + sum(map(is_event, events)), f"rows of {name}")
        check(all(len(row) <= 1 for row in rows), "more than one cell:", name)
        equal(len(run("replay", "--columns", name, path).lines()), len(rows), f"lines of {name}")


@test("columns: in the order asked for; a name twice; any case")
def column_order():
    path = saved()
    lines = run("replay", "--columns", "PID,EVENT,TIME", path).lines()
    equal(lines[0].split(), [b"PID", b"EVENT", b"TIME"], "headings")
    equal(run("replay", "--columns", "pid,event,time", path).lines(), lines, "in small letters")
    equal(run("replay", "--columns", "PID", "--columns", "EVENT,TIME", path).lines(), lines, "in parts")
    equal(run("replay", "--columns", "process.pid,verb,@timestamp", path).lines(), lines, "by field")


# ---- hostile names in all of this ----


@test("names: exact in JSON, harmless in CSV and the table, one line an event")
def names_exact():
    path = saved()
    events = parse_events(run("replay", "-o", "json", path).lines())
    of_sockets = [event for event in events if is_event(event)]
    rows = list(csv.reader(io.StringIO(
        run("replay", "-o", "csv", "-f", "process.name,process.args", path).out.decode())))
    equal(len(rows), 1 + len(of_sockets), "rows")
    for name in NAMES:
        shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        own = [event for event in of_sockets if (get(event, "process.args") or [])[2:] == [shown, shown * 30]]
        check(len(own) >= 7, len(own), "events with the arguments", repr(name))
        # What a name of 15 bytes cuts in two is no character.
        comm = name.encode("utf-8", "surrogateescape")[:15].decode("utf-8", "replace")
        names = {get(event, "process.name") for event in own}
        check(comm in names, "names", names, "and not", repr(comm))
