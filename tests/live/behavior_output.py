# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Output comes at once, whatever it goes into."""

import json
import os
import subprocess

from behavior_tool import (PATIENCE, Claimer, Reader, Tool, action, at_end, check, end, equal, is_port,
                           parse_events, program, test)


def quiet_tool(claimer, *arguments):
    """One that shows the claims of one process only, so that nothing else moves it."""
    return Tool("trace", "--pid", str(claimer.pid), *arguments)


@test("output: a table comes line by line through a pipe, heading first")
def table_at_once():
    claimer = Claimer()
    tool = quiet_tool(claimer)
    heading = tool.started()
    equal(heading.split()[:4], [b"TIME", b"EVENT", b"PID", b"COMM"], "heading")
    for _ in range(3):  # each after a quiet moment, none pushes the one before
        handle, port = claimer.ask("claim", "tcp4", "127.0.0.1", 0)
        line = tool.reader.line("a claim")
        check(b"bind" in line and f"127.0.0.1:{port}".encode() in line, "another claim:", line)
        claimer.ask("close", handle)
    equal(tool.stop(), [], "lines behind the claims")
    equal(tool.totals()[1], 3, "delivered")


@test("output: JSON comes line by line through a pipe, stream-start first")
def json_at_once():
    claimer = Claimer()
    tool = quiet_tool(claimer, "-o", "json")
    events = parse_events([tool.started()])
    equal(action(events[0]), "stream-start", "first record")
    for _ in range(3):
        _, port = claimer.ask("claim", "udp4", "127.0.0.1", 0)
        line = tool.reader.line("a claim")
        check(is_port(port, claimer.pid)(line), "another claim:", line)
    rest = parse_events(tool.stop())
    equal([action(event) for event in rest], ["stream-end"], "records behind the claims")


@test("output: CSV comes line by line through a pipe, heading first")
def csv_at_once():
    claimer = Claimer()
    tool = quiet_tool(claimer, "-o", "csv", "-f", "process.pid,portsnoop.local.port")
    equal(tool.started(), b"process.pid,portsnoop.local.port", "heading")
    for _ in range(3):
        _, port = claimer.ask("claim", "tcp4", "127.0.0.1", 0)
        equal(tool.reader.line("a claim"), f"{claimer.pid},{port}".encode(), "row")
    equal(tool.stop(), [], "lines behind the claims")


@test("output: releases and outcomes come at once, too")
def releases_at_once():
    claimer = Claimer()
    tool = quiet_tool(claimer, "-o", "json", "--release")
    tool.started()
    handle, port = claimer.ask("claim", "udp4", "127.0.0.1", 0)
    tool.reader.until(is_port(port, claimer.pid), "the claim")
    claimer.ask("close", handle)
    check(is_port(port, claimer.pid, "released-port")(tool.reader.line("the release")), "no release")
    listener, port = claimer.ask("claim", "tcp4", "127.0.0.1", 0)
    claimer.ask("listen", listener)
    client = claimer.ask("open", "tcp4")
    own = claimer.ask("connect", client, "127.0.0.1", port)
    tool.reader.until(is_port(own, claimer.pid, "connection-established"), "the outcome")


@test("output: a shell's pipe into cat gets the first claim at once")
def through_cat():
    claimer = Claimer()
    # The pid of the tool itself, so that it can be stopped and not cat.
    shell = subprocess.Popen(
        ["sh", "-c", 'sh -c \'echo $$ >&2; exec "$0" "$@"\' "$@" | cat', "sh", program(), "trace",
         "--pid", str(claimer.pid)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE)
    at_end(end, shell)
    at_end(shell.stderr.close)
    words = Reader(shell.stderr.fileno())
    pid = int(words.line("the pid"))
    reader = Reader(shell.stdout.fileno())
    check(reader.line("the heading").startswith(b"TIME"), "no heading")
    _, port = claimer.ask("claim", "tcp4", "127.0.0.1", 0)
    check(f":{port}".encode() in reader.line("the claim"), "another claim")
    os.kill(pid, 2)
    equal(reader.rest(), [], "lines behind the claim")
    equal(shell.wait(PATIENCE), 0, "exit status of cat")
    check(b" seen = 1 delivered + " in words.line("the totals"), "totals:", words.all)


@test("output: what is read late is not lost")
def read_late():
    claimer = Claimer()
    tool = quiet_tool(claimer, "-o", "json")
    tool.started()
    # More than a pipe takes, less than pipe and ring together.
    claimer.ask("storm", "udp4", "127.0.0.1", 0, 2000)
    lines = []
    while len(lines) < 2000:
        lines.append(tool.reader.line(f"claim {len(lines)}"))
    ports = {json.loads(line)["portsnoop"]["local"]["port"] for line in lines}
    check(len(ports) > 1, "one port only")
    rest = parse_events(tool.stop())
    equal([action(event) for event in rest], ["stream-end"], "records behind the claims")
    totals = tool.totals()
    equal((totals[1], totals[3]), (2000, 0), "delivered and lost")
