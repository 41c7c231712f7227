#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A fleet's history answers as the histories of its hosts do.

usage: history.py [PATTERN...]

Each recording of a host goes into a database of its own and into the table of the fleet; then
each question is asked of both. What the table cannot know is left out of the comparison, and
named where that is done.
"""

import calendar
import collections
import contextlib
import csv
import io
import json
import os
import sqlite3
import subprocess
import time

from back_end import TREE, Skip, check, equal, recording, replay, replayed, room, run, suite_run, test
from engine import Chdb, Debian

HOSTS = {"alpha": 400, "beta": 250, "gamma": 120, "o'\\rly\n": 40}
UTC = {"TZ": "UTC"}


# ---- a fleet, and its hosts one by one ----


def nanoseconds(text):
    """Of 2026-11-21T14:32:07.123456789Z."""
    return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) * 10**9 + int(text[20:29])


class Fleet:
    def __init__(self, engine):
        self.engine = engine
        self.folder = room()
        engine.script("node.sql")
        self.source = f"clickhouse:{engine.url}"
        self.databases = {}
        maker = f"{self.folder}/make_fleet"
        done = subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-Iinclude", "-Iuser", "-o",
                               maker, "tests/e2e/make_fleet.c", "user/stream/recording.c", "user/lib/buffer.c", "-lz"],
                              cwd=TREE, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Skip(f"cannot build make_fleet: {done.stderr[-300:]}")
        for number, (host, claims) in enumerate(HOSTS.items()):
            file = f"{self.folder}/{number}.rec"
            subprocess.run([maker, file, host, str(claims)], check=True)
            self.add(host, file)
        self.add("web1", recording("failures"))

    def add(self, host, file):
        self.databases[host] = f"{self.folder}/{len(self.databases)}.db"
        equal(run("record", "--replay", file, "--db", self.databases[host]).status, 0, "exit status of record")
        # A recording that is read from a file ends now for the database, and when it ended for a stream.
        end = replayed(file)[-1]
        equal(end["event"]["action"], "stream-end", "the last event")
        with contextlib.closing(sqlite3.connect(self.databases[host])) as database, database:
            database.execute("UPDATE run SET ended = ?", (nanoseconds(end["@timestamp"]),))
        replay(file, "--sink", self.source)

    def asked(self, *question):
        done = run("history", "--from", self.source, *question, env=UTC)
        check(done.status in (0, 1), "exit status", done.status, done.words())
        return done

    def rows(self, *question):
        """(exit status, rows) of the fleet."""
        done = self.asked("-o", "csv", *question)
        return done.status, list(csv.DictReader(io.StringIO(done.out.decode())))

    def hosts_rows(self, *question, hosts=None):
        """The same of its hosts, one by one."""
        status, rows = 1, []
        for host, database in self.databases.items():
            if hosts is not None and host not in hosts:
                continue
            done = run("history", "--db", database, "-o", "csv", *question, env=UTC)
            check(done.status in (0, 1), "exit status", done.status, done.words())
            status = min(status, done.status)
            rows += [{**row, "host": escaped(host)} for row in csv.DictReader(io.StringIO(done.out.decode()))]
        return status, rows


def escaped(host):
    return host.replace("\\", "\\\\").replace("\n", "\\x0a")


def comparable(row):
    """What both can know, as a text. The table does not know since when events were lost."""
    row = dict(row)
    if row["portsnoop.gap.reason"] == "lost":
        for name in ("@timestamp", "event.start", "event.duration"):
            row.pop(name)
    return json.dumps(row, sort_keys=True)


def bound_twice(row):
    return row["error.code"] == "EINVAL" and row["event.action"] == "bound-socket"


def same(fleet, *question, hosts=None, narrow=()):
    status, have = fleet.rows(*question, *narrow)
    wanted_status, wanted = fleet.hosts_rows(*question, hosts=hosts)
    if question and not question[0].startswith("-"):
        # The table is ordered by the port that a socket has: that is where such a row stands, not where
        # the one that it asked for would be.
        have, wanted = ([row for row in rows if not bound_twice(row)] for rows in (have, wanted))
    words = " ".join([*question, *narrow])
    have = collections.Counter(map(comparable, have))
    wanted = collections.Counter(map(comparable, wanted))
    missing, strange = list((wanted - have).elements()), list((have - wanted).elements())
    check(not missing and not strange, f"{words!r}: {len(missing)} rows are missing, {len(strange)} strange:",
          missing[:2], strange[:2])
    equal(status, wanted_status, f"exit status of {words!r}")
    return sum(have.values())


# ---- questions ----


def moment(ns):
    return f"@{ns // 10**9}.{ns % 10**9:09}"[:-3]


def when(row, name="@timestamp"):
    return nanoseconds(row[name])


def questions(fleet):
    """Some forty, made of what is there."""
    rows = [row for row in fleet.hosts_rows()[1] if row["event.action"] == "held-port"]
    failed = [row for row in fleet.hosts_rows("--failed")[1] if row["event.action"] != "recording-gap"]
    check(len(rows) > 500 and len(failed) > 5, "too little to ask about")
    ended = [row for row in rows if row["event.end"]]
    lingered = [row for row in ended if row["portsnoop.lingered"]]
    long = max(ended, key=lambda row: int(row["event.duration"] or 0))
    port = collections.Counter(row["portsnoop.local.port"] for row in ended).most_common(1)[0][0]
    yield ()
    for some in ("80", "443", "8080", port, "80/tcp", "80/udp", f"{port}/tcp", f"{port}/udp", "32768-40000",
                 "50000-60999/udp", "http https", "1", "1-65535"):
        yield tuple(some.split())
    for row in (ended[0], ended[len(ended) // 2], long, lingered[0], lingered[-1]):
        start, end = when(row), when(row, "event.end")
        local = row["portsnoop.local.port"]
        yield (local, "--at", moment(start + 1000))
        yield (local, "--at", moment((start + end) // 2))
        yield (local, "--at", moment(end - 1000))  # in TIME_WAIT, if there was one
        yield (local, "--at", moment(end + 1_000_000))
        yield (local, "--until", moment(start - 1000))
        yield ("--at", moment((start + end) // 2))
    middle = when(ended[len(ended) // 2])
    yield ("--since", moment(middle))
    yield ("--until", moment(middle))
    yield ("--since", moment(middle), "--until", moment(middle + 500_000_000))
    yield ("--since", moment(middle), "--until", moment(middle + 500_000_000), "--failed")
    yield ("--failed",)
    yield ("--failed", failed[0]["portsnoop.local.port"] or "1")
    yield (failed[-1]["portsnoop.local.port"] or "1",)
    yield ("--pid", ended[7]["process.pid"])
    yield ("--pid", "2147483647")
    for name in ("nginx", "java", "it's", "'; DROP TABLE portsnoop.events; --", "\\", "%"):
        yield ("--comm", name[:15])
    yield ("--exe", "nginx")
    yield ("--exe", "/usr/bin/node")
    yield ("--exe", "bin/node")
    yield ("--exe", "ginx")
    yield ("--unit", "nginx")
    yield ("--unit", "nginx.service")
    yield ("--unit", "ngin_")
    yield ("--container", "0123456789ab")
    yield ("--container", "0123456789abcdef" * 4)
    yield ("--container", "%%%%")
    for remote in ("10.20.1.2", "10.20.1.2:8080", ":443", "10.20.0.0/16", "10.20.2.4/30", "10.0.0.0/7", "0.0.0.0/0",
                   "192.0.2.80:443", "::/0", "2001:db8::/32", "198.51.100.0/24:443"):
        yield ("--remote", remote)
    yield ("--comm", "nginx", "--remote", ":8080", "--since", moment(middle))
    yield ("--comm", "nginx", "80", "--at", moment(middle))


def all_questions(fleet):
    asked = answered = rows = 0
    for question in questions(fleet):
        count = same(fleet, *question)
        asked, answered, rows = asked + 1, answered + (count > 0), rows + count
    check(asked >= 40 and answered >= 30 and rows > 1000, asked, answered, rows)


def chosen_hosts(fleet):
    same(fleet, hosts={"beta"}, narrow=("--host", "beta"))
    same(fleet, hosts={"alpha", "gamma"}, narrow=("--host", "alpha,gamma"))
    same(fleet, "80", hosts={"alpha", "beta", "gamma"}, narrow=("--host", "*a"))
    same(fleet, hosts={"beta"}, narrow=("--host", "b?ta"))
    same(fleet, hosts={"o'\\rly\n"}, narrow=("--host", "o'\\rly\n"))
    same(fleet, hosts={"o'\\rly\n"}, narrow=("--host", "o'\\r*"))
    for host in ("nobody", "%", "_lpha", "alph", "' OR '1'='1"):
        done = fleet.asked("--host", host)
        equal((done.status, done.out), (1, b""), f"the answer for {host!r}")
        check("has no host" in done.words(), done.words())


def what_came_twice(fleet):
    """At least once is how events arrive: answers have each of them once."""
    before = fleet.rows()
    for number in range(len(HOSTS)):
        replay(f"{fleet.folder}/{number}.rec", "--sink", fleet.source)
    equal(fleet.rows(), before, "the answer when everything had come twice")


# What the table has no column for.
UNKNOWN_OWN = {"socket_options", "device", "namespace_pid", "exe_flags", "incomplete", "own_range", "blocked_by_reason",
               "mptcp", "fastopen", "self_connect", "kernel_socket", "kernel_thread", "known_uses"}


def known(event, host):
    own = event["portsnoop"]
    for name in UNKNOWN_OWN & set(own):
        del own[name]
    for name in {"reserved", "pool", "privileged", "own_range"} & set(own.get("class", {})):
        del own["class"][name]
    if own.get("blocked_by") == []:  # and why, which is not known either
        del own["blocked_by"], own["blocked_by_total"]
    event.get("process", {}).pop("args", None)  # left out of what leaves a host
    check(event["host"]["name"] == host, event["host"])
    return json.dumps(event, sort_keys=True)


def json_rows(lines, host=None):
    events = [json.loads(line) for line in lines.decode().splitlines()]
    return [event for event in events if event["event"]["action"] != "recording-gap"
            and (host is None or event["host"]["name"] == host)]


def other_outputs(fleet):
    have = fleet.asked("-o", "json").out
    for host in ("alpha", "gamma", "web1"):
        done = run("history", "--db", fleet.databases[host], "-o", "json", env=UTC)
        one = sorted(known(event, host) for event in json_rows(have, host))
        other = sorted(known(event, host) for event in json_rows(done.out))
        equal(len(one), len(other), f"events of {host}")
        for mine, local in zip(one, other):
            equal(mine, local, host)
    for event in map(json.loads, have.decode().splitlines()):
        check(event["host"]["name"] in fleet.databases, event)
    table = fleet.asked("443").out.decode().splitlines()
    check(table[0].split()[:3] == ["CLAIMED", "HOST", "HELD"], table[0])
    hosts = {line.split()[2] for line in table[1:] if not line.startswith("--")}
    check({"alpha", "beta", "gamma", "o'\\\\rly\\x0a"} <= hosts, hosts)
    check(any(line.startswith("-- beta: ") for line in table), "no gap names its host")


def newest(fleet):
    leases = [row for row in fleet.rows()[1] if row["event.action"] != "recording-gap"]
    for count in (1, 5, 50):
        have = [row for row in fleet.rows("-n", str(count))[1] if row["event.action"] != "recording-gap"]
        equal(have, leases[-count:], f"the newest {count}")


def refusals(fleet):
    def refused(words, *arguments, seconds=20):
        done = run("history", *arguments, seconds=seconds)
        equal((done.status, done.out), (2, b""), f"{arguments}: {done.words()}")
        check(words in done.words(), done.words(), "lacks", words)

    url = fleet.engine.url
    refused("no table portsnoop.nowhere", "--from", f"clickhouse:{url}?table=portsnoop.nowhere")
    refused("no table absent.events", "--from", f"clickhouse:{url}?table=absent.events")
    fleet.engine.ask("CREATE TABLE portsnoop.other (time UInt64, host String) ENGINE = Memory")
    refused("not a table of portsnoop's events", "--from", f"clickhouse:{url}?table=portsnoop.other")
    refused("clickhouse:http://127.0.0.1:1/", "--from", "clickhouse:http://127.0.0.1:1/")


def reader_account():
    """Who may only read, and change no setting, can ask."""
    engine = Debian()
    fleet = Fleet(engine)
    fleet.source = f"clickhouse:http://reader:it%27s%20a%20%26%20secret@127.0.0.1:{engine.port}/"
    same(fleet, "80")
    done = run("history", "--from", f"clickhouse:http://reader:wrong@127.0.0.1:{engine.port}/")
    equal(done.status, 2, "exit status for a wrong password")
    check("wrong" not in done.words(), done.words())


PARTS = {"answers some forty questions as its hosts do": all_questions, "of some hosts": chosen_hosts,
         "json and the table": other_outputs, "the newest ones": newest, "what came twice is there once": what_came_twice,
         "what cannot be asked": refusals}


def parts(engine):
    fleet = Fleet(engine())
    for name, part in PARTS.items():
        part(fleet)


@test("history: a fleet in ClickHouse 18.16 answers as its hosts do")
def in_debian():
    parts(Debian)


@test("history: a fleet in today's ClickHouse answers as its hosts do")
def in_chdb():
    parts(Chdb)


@test("history: an account that may only read")
def by_reader():
    reader_account()


if __name__ == "__main__":
    raise SystemExit(suite_run("e2e/history"))
