# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Every way to stop."""

import os
import re
import signal
import socket
import subprocess
import sys

from behavior_tool import (PATIENCE, Claimer, Reader, Tool, action, at_end, await_true,
                           bytes_waiting, check, end, equal, get, is_event, is_port,
                           parse_events, program, run, test)


def signals_of(pid, which):
    """A mask of /proc/PID/status: SigCgt, SigIgn, ShdPnd."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(dict(line.split(":", 1) for line in status)[which], 16)


def bit(number):
    return 1 << (number - 1)


def stop_by(number):
    claimer = Claimer()
    tool = Tool("trace", "-o", "json")
    tool.started()
    # It wakes up with all of it in the ring, and is to stop.
    tool.pause()
    claimer.ask("storm", "udp4", "127.0.0.1", 0, 500)
    tool.send(number)
    tool.send(signal.SIGCONT)
    events = parse_events(tool.reader.rest())
    equal(tool.status(), 0, "exit status")
    own = [event for event in events if get(event, "process.pid") == claimer.pid]
    equal(len(own), 500, "claims that came out")
    equal(action(events[-1]), "stream-end", "last record")
    equal(tool.totals()[1], sum(map(is_event, events)), "delivered")
    equal(tool.words().count("\n"), 1, f"lines on stderr: {tool.words()!r}")


for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    test(f"stop: {_number.name} drains, says the totals, exits 0")(
        lambda number=_number: stop_by(number))


@test("stop: a signal during the start")
def while_starting():
    tool = Tool("trace")
    # From here on it does not just die of them.
    await_true("a handler of SIGTERM",
               lambda: signals_of(tool.pid, "SigCgt") & bit(signal.SIGTERM))
    tool.send(signal.SIGTERM)
    lines = tool.reader.rest()
    equal(tool.status(), 0, "exit status")
    check(len(lines) >= 1, "no heading")
    tool.totals()


@test("stop: head -1 gets its line, and the pipe ends quietly by the next claim")
def reader_gone():
    claimer = Claimer()
    tool = Tool("trace", "--pid", str(claimer.pid))
    tool.started()
    tool.process.stdout.close()
    tool.process.stdout = None
    claimer.ask("claim", "tcp4", "127.0.0.1", 0)
    equal(tool.status(), 0, "exit status")
    equal(tool.words(), "", "words")


@test("stop: head -1 ends it also when no further claim comes")
def reader_gone_quiet():
    with subprocess.Popen(["sh", "-c", '"$@" | head -1', "sh", program(), "trace", "--pid", "1",
                           "--port", "1"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, start_new_session=True) as shell:
        try:
            out, words = shell.communicate(timeout=PATIENCE)
        finally:
            if shell.poll() is None:
                os.killpg(shell.pid, signal.SIGKILL)
    check(out.startswith(b"TIME") and out.count(b"\n") == 1, "output:", out)
    equal(words, b"", "words")


@test("stop: a socket as output whose other side has gone")
def socket_gone():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        tool = Tool("trace", "--pid", "1", "--port", "1", stdout=theirs)
        theirs.close()
        check(Reader(ours.fileno()).line("the heading").startswith(b"TIME"), "no heading")
    equal(tool.status(), 0, "exit status")
    equal(tool.words(), "", "words")


def await_blocked(tool, pipe):
    def blocked():
        with open(f"/proc/{tool.pid}/wchan", encoding="ascii") as where:
            name = where.read()  # 0: the kernel does not tell
        return ("pipe" in name or name == "0") and bytes_waiting(pipe) > 32768

    await_true("a write that waits for a reader", blocked)


def unread_tool(prefix=()):
    """Blocks on a pipe that is full: whoever started it has stopped reading."""
    claimer = Claimer()
    here, there = os.pipe()
    at_end(os.close, here)
    tool = Tool("trace", "-o", "json", stdout=there, prefix=prefix)
    os.close(there)
    await_true("the first line", lambda: bytes_waiting(here))
    for _ in range(4):
        claimer.ask("storm", "udp4", "127.0.0.1", 0, 1000)
    await_blocked(tool, here)
    return tool


@test("stop: a reader that never reads cannot hold it up")
def never_read():
    tool = unread_tool()
    tool.send(signal.SIGTERM)
    equal(tool.status(), 1, "exit status")
    check("standard output is not read" in tool.words(), "words:", tool.words())
    tool.totals()


@test("stop: a reader that never reads, and a storm that goes on")
def never_read_storm():
    tool = unread_tool()
    # Steady, not fast: it must not fill the rings of others.
    storm = subprocess.Popen([sys.executable, "-c", "import select, socket\nwhile True:\n"
                              " with socket.socket() as s:\n  s.bind(('127.0.0.1', 0))\n"
                              " select.select([], [], [], 0.0005)\n"], stdin=subprocess.DEVNULL)
    at_end(end, storm)
    tool.send(signal.SIGTERM)
    equal(tool.status(), 1, "exit status")
    check("standard output is not read" in tool.words(), "words:", tool.words())
    tool.totals()


@test("stop: a reader that comes back in time gets everything")
def read_again():
    claimer = Claimer()
    tool = Tool("trace", "-o", "json", "--pid", str(claimer.pid))
    tool.started()
    claimer.ask("storm", "udp4", "127.0.0.1", 0, 2000)
    await_blocked(tool, tool.reader.fd)
    lines = tool.stop(signal.SIGTERM)  # reads from now on only
    equal(len(lines), 2001, "lines")
    equal(tool.totals()[1], 2000, "delivered")


@test("stop: the second signal ends it at once")
def second_signal():
    # Its own patience ends with SIGALRM: without it, only a second signal can help.
    tool = unread_tool(("env", "--block-signal=ALRM"))
    tool.send(signal.SIGTERM)
    await_true("the end of the first signal's delivery",
               lambda: not signals_of(tool.pid, "ShdPnd") & bit(signal.SIGTERM))
    tool.send(signal.SIGTERM)
    equal(tool.status(), 1, "exit status")
    check("standard output is not read" in tool.words(), "words:", tool.words())


@test("stop: --duration ends it by itself")
def duration():
    result = run("trace", "-o", "json", "--duration", "300ms")
    equal(result.status, 0, "exit status")
    events = parse_events(result.lines())
    equal((action(events[0]), action(events[-1])), ("stream-start", "stream-end"), "ends")
    equal(result.totals()[1], sum(map(is_event, events)), "delivered")


@test("stop: --duration 1h means one hour")
def duration_long():
    tool = Tool("trace", "-o", "json", "-d", "1h")
    tool.started()
    left = []
    for fd in os.listdir(f"/proc/{tool.pid}/fdinfo"):
        with open(f"/proc/{tool.pid}/fdinfo/{fd}", encoding="ascii") as info:
            words = info.read()
        if "clockid: 1\n" in words:  # CLOCK_MONOTONIC
            left += re.findall(r"it_value: \((\d+), ", words)
    # Others of its timers do not run.
    left = [int(seconds) for seconds in left if int(seconds)]
    check(len(left) == 1 and 3600 - PATIENCE <= left[0] <= 3600, "seconds left:", left)
    tool.stop()


def count_lines(form, number):
    claimer = Claimer()
    tool = Tool("trace", "--pid", str(claimer.pid), "-o", form, "--count", str(number))
    first = tool.started()
    for _ in range(number + 3):
        claimer.tell("claim", "tcp4", "127.0.0.1", 0)
    lines = tool.reader.rest()
    equal(tool.status(), 0, "exit status")
    if form == "json":
        events = parse_events([first] + lines)
        equal(sum(map(is_event, events)), number, "events")
        equal((action(events[0]), action(events[-1])), ("stream-start", "stream-end"), "ends")
    else:
        equal(len(lines), number, "lines behind the heading")
    equal(tool.totals()[1], number, "delivered")


for _form in ("table", "json", "csv"):
    for _count in (1, 5):
        test(f"stop: --count {_count} is {_count} events of {_form}, exactly")(
            lambda form=_form, number=_count: count_lines(form, number))


@test("stop: --count within one batch: the totals tell of what came behind")
def count_batch():
    claimer = Claimer()
    tool = Tool("trace", "-o", "json", "--pid", str(claimer.pid), "--count", "2")
    tool.started()
    tool.pause()
    claimer.ask("storm", "udp4", "127.0.0.1", 0, 50)
    tool.send(signal.SIGCONT)
    events = parse_events(tool.reader.rest())
    equal(tool.status(), 0, "exit status")
    equal(sum(map(is_event, events)), 2, "events")
    seen, delivered, _, lost, behind = tool.totals()
    equal((delivered, lost), (2, 0), "delivered and lost")
    check(behind >= 48, "seen", seen, "behind --count", behind)


@test("stop: an output without room is a failure")
def output_full():
    with open("/dev/full", "wb") as full:
        tool = Tool("trace", stdout=full)
        equal(tool.status(), 1, "exit status")
    check("standard output: No space left on device" in tool.words(), "words:", tool.words())


@test("stop: SIGHUP is nothing to one that was started with nohup")
def no_hang_up():
    claimer = Claimer()
    tool = Tool("trace", "-o", "json", "--pid", str(claimer.pid), prefix=("env", "--ignore-signal=HUP"))
    tool.started()
    check(signals_of(tool.pid, "SigIgn") & bit(signal.SIGHUP), "it does not ignore SIGHUP any more")
    tool.send(signal.SIGHUP)
    _, port = claimer.ask("claim", "tcp4", "127.0.0.1", 0)
    tool.reader.until(is_port(port), "the claim behind SIGHUP")
    tool.stop()
