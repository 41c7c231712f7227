#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What `portsnoop record` keeps, and what becomes of it when things go wrong.

usage: record.py [PATTERN...]
Environment: PORTSNOOP (program), TIER. PATTERN: names of tests, as globs.

The claims are made by a program that says itself what they were; the rows are read with
Python's SQLite, through the views that people are told of.
"""

import collections
import contextlib
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time

from behavior_tool import (HERE, PATIENCE, Failure, Reader, Skip, Tool, at_end, await_true, check, end, equal,
                           get, parse_events, room, run, suite_run, test)
from record_tool import Recorder

SECOND = 1_000_000_000
COLUMNS = ("protocol", "trigger", "origin", "outcome", "local_ip", "local_port", "remote_ip", "remote_port",
           "error")


class Claimer:
    def __init__(self):
        self.process = subprocess.Popen([sys.executable, os.path.join(HERE, "record_claimer.py")],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.reader = Reader(self.process.stdout.fileno())
        at_end(end, self.process)

    def claim(self, rounds):
        """What it claimed, once all of it is over."""
        self.process.stdin.write(b"%d\n" % rounds)
        self.process.stdin.flush()
        lines = self.reader.until(lambda line: line == b"done", "the end of the claims")
        return [json.loads(line) for line in lines[:-1]]


@contextlib.contextmanager
def opened(database):
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    try:
        yield connection
    finally:
        connection.close()


def rows(database, words, *values):
    with opened(database) as connection:
        return [dict(row) for row in connection.execute(words, values)]


def recorded(database, pids, since=0):
    """A multiset of what the history has of these processes."""
    marks = ",".join("?" * len(pids))
    found = collections.Counter()
    for view, time_column in (("leases", "claimed"), ("failures", "time")):
        for row in rows(database, f"SELECT * FROM {view} WHERE pid IN ({marks}) AND {time_column} >= ?",
                        *pids, since):
            if view == "failures":
                row["outcome"] = "failed"
            found[(row["pid"], *(row[name] for name in COLUMNS))] += 1
    return found


def claimed(claims):
    return collections.Counter((claim["pid"], *(claim[name] for name in COLUMNS)) for claim in claims)


def await_equal(database, claims, what="claims"):
    """A commit may be under way."""
    want, pids = claimed(claims), sorted({claim["pid"] for claim in claims})
    try:
        await_true(what, lambda: recorded(database, pids) == want)
    except Failure:
        have = recorded(database, pids)
        raise Failure(f"{what}: missing {list((want - have).items())[:5]}, "
                      f"too many {list((have - want).items())[:5]}") from None


def whole(database):
    with opened(database) as connection:
        equal([tuple(row) for row in connection.execute("PRAGMA integrity_check")], [("ok",)], "integrity")


def gaps(database):
    return [(row["reason"], row["count"]) for row in rows(database, "SELECT * FROM gaps ORDER BY since")]


def status(*words, code=0):
    result = run("record", "--status", "-o", "json", *words)
    equal(result.status, code, f"exit status of --status, it said {result.words()!r}")
    return parse_events(result.lines())[0]


@test("record: every claim of another program is in the database, as it says itself")
def claims_equal():
    database = f"{room()}/h.db"
    recorder, claimers = Recorder(database).started(), [Claimer() for _ in range(3)]
    claims = [claim for one in claimers for claim in one.claim(20)]
    check(len(claims) == 3 * 20 * 14, "claims:", len(claims))
    await_equal(database, claims)
    recorder.stop()
    await_equal(database, claims, "claims after the end")
    whole(database)
    names = {row["comm"] for row in rows(database, "SELECT DISTINCT comm FROM leases WHERE pid = ?",
                                         claimers[0].process.pid)}
    equal(len(names), 1, "names of one process")
    check(claimers[0].process.args[1] in rows(
        database, "SELECT args FROM leases WHERE pid = ? LIMIT 1", claimers[0].process.pid)[0]["args"], "args")


@test("record: what is held is there within a second, and has its end when it is over")
def open_lease():
    database = f"{room()}/h.db"
    recorder = Recorder(database).started()
    holder = subprocess.Popen(["python3", "-c", "import socket,sys\ns=socket.socket()\n"
                               "s.bind(('127.0.0.1',0))\ns.listen()\n"
                               "print(s.getsockname()[1],flush=True)\nsys.stdin.read()"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    at_end(end, holder)
    port = int(Reader(holder.stdout.fileno()).line())
    words = "SELECT * FROM leases WHERE local_port = ? AND pid = ?"
    row = await_true("the open lease", lambda: rows(database, words, port, holder.pid))[0]
    equal((row["ending"], row["held"], row["outcome"]), ("open", None, "listening"), "open lease")
    holder.stdin.close()
    holder.wait()
    row = await_true("the end", lambda: [one for one in rows(database, words, port, holder.pid)
                                         if one["ending"] != "open"])[0]
    equal(row["ending"], "released", "ending")
    check(0 < row["held"] < 10 * PATIENCE * SECOND, "held:", row["held"])
    recorder.stop()


@test("record: a failure names what stood in its way")
def blockers():
    database = f"{room()}/h.db"
    recorder, claimer = Recorder(database).started(), Claimer()
    claims = [claim for claim in claimer.claim(1) if claim["error"] == "EADDRINUSE"]
    await_true("the failures", lambda: len(rows(
        database, "SELECT * FROM failures WHERE pid = ?", claimer.process.pid)) == 2)
    recorder.stop()
    result = run("history", "--db", database, "--failed", "--pid", str(claimer.process.pid), "-o", "json")
    failures = [event for event in parse_events(result.lines()) if get(event, "error.code") == "EADDRINUSE"]
    equal(len(failures), len(claims), "failures")
    for failure in failures:
        # Behind the listener there may be the TIME_WAIT of what was accepted a moment later.
        blocked_by = get(failure, "portsnoop.blocked_by")
        equal({one["pid"] for one in blocked_by}, {claimer.process.pid}, "blocked_by")
        equal(blocked_by[0]["state"], "listen", "state of the first")


def starved(pid):
    """ns that a process wanted to run and was not let"""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as told:
        return int(told.read().split()[1])


@test("record: killed at any moment, it has lost a second at most, and the gap is told")
def killed():
    database, claimer, kept = f"{room()}/h.db", Claimer(), []
    chance = random.Random(7)
    for _ in range(6):
        recorder = Recorder(database).started()
        deadline = time.monotonic() + chance.uniform(0.2, 2.5)
        claims = []
        while time.monotonic() < deadline:
            claims += claimer.claim(1)
        waited = starved(recorder.pid)  # by a busy machine: no fault of the recorder's
        os.kill(recorder.pid, signal.SIGKILL)
        killed_at = time.time_ns()
        recorder.process.wait()
        whole(database)
        kept += [claim for claim in claims if claim["time"] < killed_at - 1.5 * SECOND - waited]
        have, want = recorded(database, [claimer.process.pid]), claimed(kept)
        check(not want - have, "lost:", list((want - have).items())[:3])
        claimer.claim(1)  # nobody is watching
    Recorder(database).started().stop()
    reasons = [reason for reason, _ in gaps(database)]
    equal(reasons, ["killed"] * 6, "gaps")
    equal(rows(database, "SELECT count(*) AS n FROM leases WHERE pid = ? AND ending = 'open'",
               claimer.process.pid)[0]["n"], 0, "leases of a dead run that look open")


class Disk:
    """A file system of its own, small."""

    def __init__(self, size="3m"):
        self.path = room()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.path],
                              capture_output=True, check=False)
        if done.returncode:
            raise Skip(f"no tmpfs can be mounted: {done.stderr.decode().strip()}")
        at_end(self.close)

    def close(self):
        subprocess.run(["umount", "-l", self.path], check=False)

    def remount(self, how):
        return subprocess.run(["mount", "-o", f"remount,{how}", self.path], capture_output=True,
                              check=False).returncode == 0

    def fill(self):
        with contextlib.suppress(OSError), open(f"{self.path}/filler", "wb", 0) as file:
            while True:
                file.write(b"x" * 4096)

    def free(self):
        os.unlink(f"{self.path}/filler")


@test("record: a full disk is said, costs nothing once there is room again")
def disk_full():
    disk, claimer = Disk(), Claimer()
    database = f"{disk.path}/h.db"
    recorder = Recorder(database).started()
    claims = claimer.claim(5)
    await_equal(database, claims)
    disk.fill()
    claims += claimer.claim(300)
    recorder.says("disk")
    told = status()
    check(get(told, "portsnoop.database.error") or "error" in json.dumps(told), "status:", told)
    disk.free()
    await_equal(database, claims, "claims once there is room")
    recorder.stop()
    whole(database)
    equal([one for one in gaps(database) if one[0] == "dropped"], [], "gaps")


@test("record: a file system that becomes read-only is said, and outlived")
def read_only():
    disk, claimer = Disk("32m"), Claimer()
    database = f"{disk.path}/h.db"
    recorder = Recorder(database).started()
    claims = claimer.claim(5)
    await_equal(database, claims)
    # A file that is open for writing keeps it writable: only a bind mount can be switched.
    subprocess.run(["mount", "--bind", disk.path, disk.path], check=True)
    at_end(subprocess.run, ["umount", "-l", disk.path])
    recorder.stop()
    if not disk.remount("bind,ro"):
        raise Skip("this kernel does not remount it read-only")
    failed = run("record", "--db", database)
    equal(failed.status, 1, "exit status")
    check("read-only" in failed.words().lower(), "words:", failed.words())
    check(disk.remount("bind,rw"), "cannot make it writable again")
    recorder = Recorder(database).started()
    claims += claimer.claim(5)
    await_equal(database, claims, "claims once it can be written")
    recorder.stop()


@test("record: a database that is deleted is begun anew, with what is held")
def deleted():
    database, claimer = f"{room()}/h.db", Claimer()
    recorder = Recorder(database).started()
    await_equal(database, claimer.claim(5))
    held = subprocess.Popen(["nc", "-l", "127.0.0.1", "0"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    at_end(end, held)
    await_true("the listener", lambda: rows(
        database, "SELECT * FROM leases WHERE pid = ? AND ending = 'open'", held.pid))
    for name in (database, f"{database}-wal", f"{database}-shm", f"{database}.lock"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
    between = claimer.claim(5)  # the next commit finds out
    recorder.says("was deleted or replaced: a new one begins")
    later = claimer.claim(5)
    await_true("the new database", lambda: os.path.exists(database) and rows(
        database, "SELECT 1 FROM sqlite_schema WHERE name = 'gaps'"))
    await_true("later claims", lambda: not claimed(later) - recorded(database, [claimer.process.pid]))
    missing = sum((claimed(between) - recorded(database, [claimer.process.pid])).values())
    told = sum(count for reason, count in gaps(database) if reason == "dropped")
    check(told >= missing, "dropped:", told, "missing:", missing)
    other = run("record", "--db", database)
    equal((other.status, str(recorder.pid) in other.words()), (1, True), "a second one")
    await_true("the listener, again", lambda: rows(
        database, "SELECT * FROM leases WHERE pid = ? AND ending = 'open'", held.pid))
    recorder.stop()
    whole(database)


@test("record: a second one on the same database is refused, and told who has it")
def second():
    database = f"{room()}/h.db"
    recorder = Recorder(database).started()
    other = run("record", "--db", database)
    equal(other.status, 1, "exit status")
    check(str(recorder.pid) in other.words(), "words:", other.words())
    claimer = Claimer()
    await_equal(database, claimer.claim(2))
    recorder.stop()


@test("record: once it watches it has no privileges left")
def privileges():
    recorder = Recorder(f"{room()}/h.db").started()
    for task in os.listdir(f"/proc/{recorder.pid}/task"):
        with open(f"/proc/{recorder.pid}/task/{task}/status", encoding="utf-8") as file:
            words = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            equal(int(words[name], 16), 0, f"{name} of thread {task}")
        equal((words["NoNewPrivs"], words["Seccomp"]), ("1", "2"), f"thread {task}")
    recorder.stop()


@test("record: a database that is moved keeps all that it was given")
def moved():
    database, claimer = f"{room()}/h.db", Claimer()
    recorder = Recorder(database).started()
    claims = claimer.claim(5)
    await_equal(database, claims)
    os.rename(database, f"{database}.1")
    recorder.says("was moved: it keeps what it has, and a new one begins")
    later = claimer.claim(5)
    await_true("the new database", lambda: os.path.exists(database) and rows(
        database, "SELECT 1 FROM sqlite_schema WHERE name = 'gaps'"))
    await_equal(database, later, "later claims")
    recorder.stop()
    await_equal(f"{database}.1", claims, "claims in the old one")
    whole(f"{database}.1")


@test("record: a start that fails leaves nothing behind")
def unmade():
    folder = room()
    result = run("record", "--db", f"{folder}/h.db", prefix=("setpriv", "--bounding-set", "-all",
                                                             "--inh-caps", "-all", "--ambient-caps", "-all"))
    equal(result.status, 1, f"exit status, it said {result.words()!r}")
    equal(os.listdir(folder), [], "files")


@test("record: SIGHUP opens what is at the path now")
def reopened():
    database, claimer = f"{room()}/h.db", Claimer()
    recorder = Recorder(database).started()
    first = claimer.claim(3)
    await_equal(database, first)
    os.rename(database, f"{database}.1")
    for end_ in ("-wal", "-shm"):
        os.rename(database + end_, f"{database}.1{end_}")
    recorder.send(signal.SIGHUP)
    recorder.says("opened the database anew")
    second_ = claimer.claim(3)
    await_equal(database, second_)
    recorder.stop()
    await_equal(f"{database}.1", first, "claims in the old one")


@test("record: a port that is closed is free at once, also while the kernel is asked who has it")
def in_nobodys_way():
    recorder = Recorder(f"{room()}/h.db").started()
    with socket.socket() as finder:
        finder.bind(("127.0.0.1", 0))
        address = finder.getsockname()
    late = 0
    for _ in range(3000):
        with socket.socket() as holder, socket.socket() as asker:
            try:
                holder.bind(address)
            except OSError:
                late += 1
                continue
            with contextlib.suppress(OSError):
                asker.bind(address)
    equal(late, 0, "binds to a port that had been closed")
    recorder.stop()


@test("record: --status tells of the one that records")
def told():
    database, claimer = f"{room()}/h.db", Claimer()
    equal(run("record", "--status").status, 1, "exit status with nobody recording")
    equal(run("record", "--status", "--db", database).status, 2, "exit status of what makes no sense")
    recorder = Recorder(database).started()
    await_equal(database, claimer.claim(4))
    words = json.dumps(status())
    check(database in words, "status:", words)
    text = run("record", "--status")
    equal(text.status, 0, "exit status")
    check(str(recorder.pid) in text.out.decode() or database in text.out.decode(), "text:", text.out)
    recorder.stop()


@test("record: who asks the one that records")
def asked():
    recorder, claimer = Recorder(f"{room()}/h.db").started(), Claimer()
    holder = subprocess.Popen(["nc", "-l", "127.0.0.1", "0"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    at_end(end, holder)
    row = await_true("the listener", lambda: rows(
        recorder.database, "SELECT * FROM leases WHERE pid = ? AND outcome = 'listening'", holder.pid))[0]
    answer = parse_events(run("who", str(row["local_port"]), "-o", "json").lines())
    equal(get(answer[0], "portsnoop.claimant.pid"), holder.pid, "claimant")
    claimer.claim(1)
    recorder.stop()


@test("history: who had the port at a time, while it is being recorded")
def at_a_time():
    recorder, claimer = Recorder(f"{room()}/h.db").started(), Claimer()
    claims = claimer.claim(3)
    await_equal(recorder.database, claims)
    one = next(claim for claim in claims if claim["outcome"] == "listening")
    row = rows(recorder.database, "SELECT * FROM leases WHERE pid = ? AND local_port = ? AND outcome = 'listening'",
               one["pid"], one["local_port"])[0]
    middle = row["claimed"] + row["held"] // 2
    result = run("history", str(one["local_port"]), "--db", recorder.database,
                 "--at", f"@{middle // SECOND}.{middle % SECOND // 1000:06d}", "-o", "json")
    equal(result.status, 0, f"exit status, it said {result.words()!r}")
    found = [get(event, "process.pid") for event in parse_events(result.lines())
             if get(event, "portsnoop.local.port") == one["local_port"]]
    check(one["pid"] in found, "found:", found)
    equal(run("history", str(one["local_port"]), "--db", recorder.database, "--at", "2001-01-01", "-o", "json").status,
          1, "exit status for a time before")
    recorder.stop()


@test("history: -f shows what is written from then on")
def followed():
    recorder, claimer = Recorder(f"{room()}/h.db").started(), Claimer()
    claimer.claim(1)
    follower = Tool("history", "--db", recorder.database, "--pid", str(claimer.process.pid), "-f", "-n", "1",
                    "-o", "json")
    follower.started()
    claims = claimer.claim(2)
    want, seen = claimed(claims), collections.Counter()

    def row(event):
        port = get(event, "portsnoop.local.port") or get(event, "portsnoop.requested.port")
        return (get(event, "process.pid"), get(event, "network.transport"), get(event, "portsnoop.trigger"), port,
                get(event, "error.code"))

    wanted = collections.Counter({(c["pid"], c["protocol"], c["trigger"], c["local_port"], c["error"]): 1
                                  for c in claims})
    deadline = time.monotonic() + PATIENCE
    while wanted - seen:
        line = follower.reader.line("what is followed", deadline - time.monotonic())
        seen[row(json.loads(line))] += 1
    check(want, "claims")
    follower.send(signal.SIGINT)
    equal(follower.status(), 0, "exit status")
    recorder.stop()


if __name__ == "__main__":
    sys.exit(suite_run("record"))
