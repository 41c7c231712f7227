#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the tally counts: against the factory, whose callers know what they did; against the
kernel's own counters; when its maps are full; and when what it counted has ended.

usage: tally.py [PATTERN...]
Environment: FACTORY, TALLY_READER (programs), TIER.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter

import compare
import situations
import tally_compare
import tracer
from tally_claimer import PROCESSES_UID
from behavior_tool import Failure, Reader, Skip, at_end, await_exit, await_true, check, end, equal, suite_run, test

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS, ERRORS = 16384, 4096  # include/portsnoop/config.h; fewer on more than 32 CPUs
BIND, CONNECT, SEND = 1, 2, 4
TCP, UDP = 6, 17


class Tally:
    """tests/live/tally_reader.c; counts from here on."""

    def __init__(self):
        program = os.environ.get("TALLY_READER", os.path.join(HERE, "..", "..", "build", "live", "tally_reader"))
        tier = [os.environ["TIER"]] if os.environ.get("TIER") else []
        self.process = subprocess.Popen([program, *tier], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        at_end(end, self.process)
        self.reader = Reader(self.process.stdout.fileno())
        begin = self.answer()
        self.uncovered, self.tier = set(begin["not_covered"]), begin["tier"]

    def answer(self):
        line = self.reader.line("a line of tally_reader")
        check(line is not None, "tally_reader ended with status", self.process.poll())
        return json.loads(line)

    def read(self, word=""):
        self.process.stdin.write(word.encode() + b"\n")
        self.process.stdin.flush()
        return self.answer()

    def stop(self):
        return self.read("stop")


def claimer_start(scene, *numbers, apart=False):
    """A scene of tally_claimer.py, and a Reader of what it tells."""
    command = [sys.executable, os.path.join(HERE, "tally_claimer.py"), scene, *map(str, numbers)]
    process = subprocess.Popen([*(["unshare", "--net"] if apart else []), *command], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    at_end(end, process)
    return process, Reader(process.stdout.fileno())


def told_by(process, reader):
    line = reader.line("what the claimer did")
    check(line, f"the claimer ended with status {process.poll()}")
    return json.loads(line)


def scene_play(scene, *numbers, apart=False):
    process, reader = claimer_start(scene, *numbers, apart=apart)
    told = told_by(process, reader)
    process.stdin.close()
    equal(await_exit(process), 0, f"status of {scene}")
    return told


def total(rows, member, **wanted):
    return sum(row[member] for row in rows if all(row[key] == value for key, value in wanted.items()))


@test("tally: every situation of the factory, counted exactly")
def test_factory():
    program = situations.factory_build("factory")
    check(program, "the factory cannot be built")
    tally = Tally()
    done = subprocess.run([program, "all"], stdin=subprocess.DEVNULL, capture_output=True, timeout=200, check=False)
    reading = tally.stop()
    reports = compare.reports_from([json.loads(line) for line in done.stdout.splitlines()])
    states, problems = Counter(), []
    for report in reports:
        state, reason = tally_compare.verdict(report, reading, tally.uncovered)
        states[state] += 1
        if state == "not ok":
            problems.append(f"{report.situation}: {reason}")
    print(f"{tally.tier}: {states['ok']} situations counted exactly, {states['skip']} not covered or not here",
          flush=True)
    check(not problems, "\n    ".join(problems))
    check(states["ok"] > len(reports) / 2, "situations compared:", dict(states))
    equal(tally_compare.sums_check(reading), [], "sums that do not agree")
    equal(reading["untracked"], 0, "untracked")


@test("tally: connections, refusals and TIME_WAIT are as many as the kernel counts")
def test_connections():
    if not shutil.which("ss"):
        raise Skip("ss is not installed")
    tally = Tally()
    told = scene_play("connections", apart=True)
    reading = tally.read()
    rows = [row for row in reading["rows"] if row["netns"] == told["netns"]]
    equal(total(rows, "claims", trigger=CONNECT), told["opened"], "connects, and Tcp.ActiveOpens")
    equal(total(rows, "connect_failures"), told["failed"], "failed connects, and Tcp.AttemptFails")
    check(told["time_waits"] > 20, "TIME_WAITs:", told["time_waits"])
    equal(total(rows, "time_waits"), told["time_waits"], "TIME_WAITs, and those that ss lists")
    places = {(row["other"], row["other_port"]): row for row in reading["places"]
              if row["netns"] == told["netns"] and row["trigger"] == CONNECT}
    equal({key: (row["local"], row["claims"], row["connect_failures"], row["closed"]) for key, row in places.items()},
          {("127.0.0.1", told["server"]): ("127.0.0.1", 40, 0, 40),
           ("127.0.0.1", told["nobody"]): ("127.0.0.1", 25, 25, 25)}, "places")
    if tally.tier == "tracepoint":
        equal(reading["estimated"], True, "TIME_WAIT is estimated")
        return
    # With the namespace its TIME_WAITs end.
    await_true("the end of all TIME_WAITs", lambda: total(
        [row for row in tally.read()["rows"] if row["netns"] == told["netns"]], "time_waits_over") == told["time_waits"])


@test("tally: a range that is used up: EADDRNOTAVAIL, EADDRINUSE, EAGAIN, and where")
def test_exhaustion():
    tally = Tally()
    told = scene_play("exhaustion", apart=True)
    reading = tally.read()
    want = Counter((call, port, error) for call, port, error in told["calls"])
    equal(want, Counter({("connect", 999, None): 10, ("connect", 999, "EADDRNOTAVAIL"): 3, ("connect", 998, None): 4,
                         ("bind", 0, None): 10, ("bind", 0, "EADDRINUSE"): 3,
                         ("send", 0, None): 10, ("send", 0, "EAGAIN"): 3}), "what the calls returned")
    have = {(row["protocol"], row["trigger"], row["local"], row["other"], row["other_port"], row["low"], row["high"]):
            (row["claims"], row["failures"], row["closed"])
            for row in reading["places"] if row["netns"] == told["netns"]}
    equal(have, {(TCP, CONNECT, "127.0.0.1", "127.0.0.1", 999, 40000, 40009): (10, 3, 10),
                 (TCP, CONNECT, "127.0.0.1", "127.0.0.1", 998, 40000, 40009): (4, 0, 4),
                 (UDP, BIND, "127.0.0.1", "0.0.0.0", 0, 40000, 40009): (10, 3, 10),
                 (UDP, SEND, "0.0.0.0", "0.0.0.0", 0, 40000, 40009): (10, 3, 10)}, "places")
    errors = {(row["trigger"], row["error"]): row["count"] for row in reading["errors"]
              if row["netns"] == told["netns"]}
    equal(errors, {(CONNECT, "EADDRNOTAVAIL"): 3, (BIND, "EADDRINUSE"): 3, (SEND, "EAGAIN"): 3}, "errors")


def overflow_find(scene, count, judge):
    """Other processes of this machine may find no room either, and are in the rest then: so
    the sum must be right once, and never too small."""
    problem = None
    for _ in range(3):
        tally = Tally()
        told = scene_play(scene, count)
        reading = tally.stop()
        wrong = [(what, have, want) for what, have, want in judge(reading, told["pid"]) if have != want]
        check(all(have > want for _, have, want in wrong), "too few:", wrong)
        equal(tally_compare.sums_check(reading), [], "sums that do not agree")
        if not wrong:
            return
        problem = wrong
    raise Failure(f"too many, three times: {problem}")


@test("tally: more keys than there is room for: rows and rest are all")
def test_rows_overflow():
    count = ROWS + 1000

    def judge(reading, pid):
        rows, rest = reading["rows"], reading["rest"]
        check(rest[0]["claims"] > 0, "nothing overflowed:", len(rows), "rows")
        check(rest[2]["failures"] > 0, "no error overflowed:", len(reading["errors"]), "rows")
        claims = total(rows, "claims", pid=pid, protocol=UDP) + rest[0]["claims"]
        return [("claims", claims, count),
                ("closed", total(rows, "closed", pid=pid, protocol=UDP) + rest[0]["closed"], count),
                ("failures", total(rows, "failures", pid=pid) + rest[0]["failures"], count // 3),
                ("errors", total(reading["errors"], "count", pid=pid) + rest[2]["failures"], count // 3)]

    overflow_find("users", count, judge)


@test("tally: more places than there is room for: places and rest are all")
def test_places_overflow():
    count = ROWS + 1000

    def judge(reading, pid):
        places, rest = [row for row in reading["places"] if row["other"].startswith("127.1.")], reading["rest"]
        check(rest[1]["claims"] > 0, "nothing overflowed:", len(places), "places")
        equal(total(reading["rows"], "claims", pid=pid), count, "claims of the process")
        return [(member, total(places, member) + rest[1][member], count)
                for member in ("claims", "closed", "connect_failures")]

    overflow_find("destinations", count, judge)


@test("tally: what has ended makes room, and is counted to the last")
def test_eviction():
    tally = Tally()
    process, reader = claimer_start("processes", 1600)
    gone, rows, sizes = Counter(), {}, []

    def key_of(row):
        return tuple(row[name] for name in ("pid", "comm", "uid", "netns", "protocol", "trigger", "origin", "class"))

    def take():
        reading = tally.read()
        rows.clear()
        for row in reading["rows"]:
            if row["cgroup"] is None or row["comm"] is None:
                raise Failure(f"a row without a name: {row}")
            if row["last"]:
                gone[key_of(row)] += row["claims"]
            else:
                rows[key_of(row)] = row["claims"]
        sizes.append((len(reading["rows"]), reading["processes"]))
        return reading

    while process.poll() is None:
        take()
    for _ in range(4):
        reading = take()
    told = told_by(process, reader)
    own = [count for key, count in [*gone.items(), *rows.items()] if key[2] == PROCESSES_UID]
    equal(sum(own), told["claims"], "claims counted")
    check(max(size for size, _ in sizes) < 1000, "rows at a time:", max(sizes))
    left = [key for key in rows if key in gone]
    equal(left, [], "rows that came back")
    check(reading["processes"] < 200, "names that are left:", reading["processes"])


@test("tally: a socket that outlives its claimant keeps its row")
def test_heritage():
    tally = Tally()
    process, reader = claimer_start("heritage")
    told = told_by(process, reader)
    await_exit(process)

    def state():
        rows = [row for row in tally.read()["rows"] if row["pid"] == told["pid"]]
        return (total(rows, "claims"), total(rows, "closed"), [row["last"] for row in rows])

    for _ in range(3):
        equal(state(), (1, 0, [False]), "claims, closed and `last` while the child holds the socket")
    process.stdin.close()
    await_true("the last of the row", lambda: any(state()[2]))
    equal(state(), (0, 0, []), "the row, afterwards")


if __name__ == "__main__":
    sys.exit(suite_run("tally"))
