#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""ClickHouse takes the rows of a fleet, and answers its questions: tools/fleet.

usage: clickhouse.py [PATTERN...]

Each test runs against the oldest server that the table is for, Debian's 18.16, and against
the engine of today, npm's chdb, which is 550 MB: under `make e2e-all` alone.
"""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timezone

from back_end import (PATIENCE, TREE, BackEnd, Feed, Tool, await_true, check, equal, get, recording, replay,
                      replayed, room, run, slow, suite_run, test)
from engine import chdb, port_free

FLEET = os.path.join(TREE, "tools", "fleet")
USER, PASSWORD = "fleet", "se\"cret &<%,/@1"

# What each column has, of an event as JSON.
COLUMNS = {
    "time": "@timestamp", "host": "host.name", "id": "event.id", "action": "event.action",
    "outcome": "event.outcome", "error": "error.code", "transport": "network.transport",
    "trigger": "portsnoop.trigger", "origin": "portsnoop.origin", "claimed": "portsnoop.claimed",
    "local_ip": "portsnoop.local.ip", "local_port": "portsnoop.local.port", "remote_ip": "destination.ip",
    "remote_port": "destination.port", "requested_ip": "portsnoop.requested.ip",
    "requested_port": "portsnoop.requested.port", "pid": "process.pid", "comm": "process.name",
    "exe": "process.executable", "args": "process.args", "parent_pid": "process.parent.pid",
    "parent_comm": "process.parent.name", "entity": "process.entity_id", "uid": "process.user.id",
    "user": "process.user.name", "container": "container.id", "runtime": "container.runtime",
    "pod": "portsnoop.pod", "unit": "portsnoop.unit", "cgroup": "portsnoop.cgroup", "netns": "portsnoop.netns",
    "socket": "portsnoop.socket", "duration": "event.duration", "lingered": "portsnoop.lingered",
    "time_wait": "portsnoop.time_wait", "service": "portsnoop.class.service", "in_pool": "portsnoop.class.in_pool",
    "holder_pid": "portsnoop.holder.pid", "holder_comm": "portsnoop.holder.name",
    "blocked_by": "portsnoop.blocked_by", "blocked_by_total": "portsnoop.blocked_by_total",
    "lost_count": "portsnoop.lost.count", "tier": "portsnoop.tier",
}
NUMBERS = {"time", "claimed", "local_port", "remote_port", "requested_port", "pid", "parent_pid", "uid", "netns",
           "socket", "duration", "lingered", "in_pool", "holder_pid", "blocked_by_total", "lost_count"}
LISTS = {"args", "blocked_by"}
ELLIPSIS = "\u2026"


def nanoseconds(text):
    """2026-11-21T14:32:07.123456789Z"""
    second = datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    return int(second.timestamp()) * 10**9 + int(text[20:29])


def row_expected(event):
    row = {}
    for column, path in COLUMNS.items():
        value = get(event, path)
        if column == "time":
            value = nanoseconds(value)
        row[column] = value if value is not None else "" if column not in NUMBERS else 0
        if column in NUMBERS:
            row[column] = int(row[column])
    return row


def row_arrived(row):
    """As it was meant: what is not in the event is "" or 0 all the same."""
    row = dict(row)
    for column in NUMBERS:
        row[column] = int(row[column])  # 64 bits come as text from some
    for column in LISTS:
        row[column] = json.loads(row[column]) if row[column] else ""
    return row


def value_equal(arrived, expected):
    """Or the beginning of it, and an ellipsis: a row is 16 KiB at most."""
    if isinstance(expected, list) and isinstance(arrived, list):
        return arrived == expected or (arrived[:-1] == expected[:len(arrived) - 1] and
                                       value_equal(arrived[-1], expected[len(arrived) - 1]))
    if isinstance(arrived, str) and len(arrived) > 64 and arrived.endswith(ELLIPSIS):
        return expected.startswith(arrived[:-1])
    return arrived == expected


def rows_equal(arrived, events):
    """Equal, column by column; twice only with the same id and all else."""
    by_id = {}
    for row in map(row_arrived, arrived):
        equal(row, by_id.setdefault(row["id"], row), "what arrived twice")
    missing = [get(event, "event.id") for event in events if get(event, "event.id") not in by_id]
    check(not missing, f"{len(missing)} of {len(events)} are missing:", missing[:5])
    equal(len(by_id), len(events), "how many ids arrived")
    for event in events:
        row, expected = by_id[get(event, "event.id")], row_expected(event)
        equal(sorted(row), sorted(expected), "columns")
        for column, value in expected.items():
            check(value_equal(row[column], value), f"{column} of {row['id']}: {row[column]!r}, expected {value!r}")


# ---- servers ----


class Refused(Exception):
    pass


class Server(BackEnd):
    """What both have: HTTP."""

    port = None

    def url(self, user=USER, password=PASSWORD, table=None):
        name = f"{user}:{urllib.parse.quote(password, safe='')}@" if user else ""
        return f"clickhouse:http://{name}127.0.0.1:{self.port}/{f'?table={table}' if table else ''}"

    def ask(self, query):
        headers = {"X-ClickHouse-User": USER, "X-ClickHouse-Key": PASSWORD}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/", data=query.encode(), headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            raise Refused(error.read().decode()) from None

    def answers(self):
        try:
            return self.ask("SELECT 1") == "1\n"
        except (OSError, Refused):
            return False

    def rows(self, table="portsnoop.events", more=""):
        lines = self.ask(f"SELECT * FROM {table} {more} FORMAT JSONEachRow").splitlines()
        return [json.loads(line) for line in lines]

    def count(self, table="portsnoop.events", more=""):
        return int(self.ask(f"SELECT count() FROM {table} {more}"))

    def table_make(self, name="portsnoop.events", **types):
        for statement in statements("node.sql"):
            statement = statement.replace("portsnoop.events", name)
            for column, kind in types.items():
                statement, found = re.subn(rf"`{column}` \w+", f"`{column}` {kind}", statement)
                check(found or "TABLE" not in statement, "no column", column)
            self.ask(statement)

    def wait(self, events, table="portsnoop.events"):
        await_true(f"{events} rows", lambda: int(self.ask(f"SELECT uniqExact(id) FROM {table}")) >= events)


class Old(Server):
    name = "18.16"

    def __init__(self):
        folder, self.port = room(), port_free()
        password = PASSWORD.replace("&", "&amp;").replace("<", "&lt;")
        files = {
            "config.xml": f"""<yandex>
                <logger><level>warning</level><console>1</console></logger>
                <http_port>{self.port}</http_port><listen_host>127.0.0.1</listen_host>
                <path>{folder}/data/</path><tmp_path>{folder}/tmp/</tmp_path>
                <users_config>users.xml</users_config><default_profile>default</default_profile>
                <default_database>default</default_database><mark_cache_size>67108864</mark_cache_size>
                <timezone>Asia/Tokyo</timezone>
                <keep_alive_timeout>1</keep_alive_timeout></yandex>""",
            "users.xml": f"""<yandex><profiles><default></default></profiles><quotas><default></default></quotas>
                <users><{USER}><password>{password}</password><networks><ip>127.0.0.1</ip></networks>
                <profile>default</profile><quota>default</quota></{USER}></users></yandex>""",
        }
        for name, text in files.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        super().__init__("clickhouse-server", f"--config-file={folder}/config.xml", packages="clickhouse",
                         ready=self.answers, cwd=folder)


class New(Server):
    name = "of today"

    def __init__(self):
        folder, self.port = room(), port_free()
        super().__init__("node", os.path.join(TREE, "tests", "e2e", "chdb_server.js"), chdb(), f"{folder}/data",
                         f"{folder}/port", ready=self.answers,
                         env={"PORT": str(self.port), "USER": USER, "PASSWORD": PASSWORD})


# ---- what is sent ----


def statements(name):
    with open(os.path.join(FLEET, name), encoding="utf-8") as file:
        text = re.sub(r"--.*\n", "\n", file.read())
    return [one.strip() for one in text.split(";\n") if one.strip()]


def query(name, **replaced):
    """One of queries.sql, with other words in it."""
    with open(os.path.join(FLEET, "queries.sql"), encoding="utf-8") as file:
        text = re.search(rf"^-- {name}: .*?;$", file.read(), re.M | re.S).group()
    text = re.sub(r"--.*\n", "\n", text).rstrip(";")
    for words, own in replaced.items():
        check(words in text, "the query does not have", words)
        text = text.replace(words, own)
    return text


_maker = []


def host(name, claims):
    """The recording of a host that does not exist."""
    if not _maker:
        program = os.path.join(room(), "make_fleet")
        subprocess.run(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-Iinclude", "-Iuser", "-o", program,
                        "tests/e2e/make_fleet.c", "user/stream/recording.c", "user/lib/buffer.c", "-lz"],
                       cwd=TREE, check=True)
        _maker.append(program)
    path = os.path.join(room(), f"{name}.rec")
    subprocess.run([_maker[0], path, name, str(claims)], check=True)
    return path


def for_each(title):
    def add(function):
        for kind in (Old, New):
            def body(kind=kind):
                _maker.clear()
                function(kind().start())

            body.__name__ = f"{function.__name__}_{kind.__name__}"
            test(f"clickhouse {kind.name}: {title}")(body)
        return function

    return add


@for_each("rows are what replay says, column by column")
def rows(server):
    for name in ("claims", "failures", "blocked", "gaps", "hostile"):
        table = f"portsnoop.{name}"
        server.table_make(table)
        replay(recording(name), "--sink", f"{server.url(table=table)},args=yes")
        rows_equal(server.rows(table, "FINAL"), replayed(recording(name)))


@for_each("several hosts, and the questions about them")
def hosts(server):
    server.table_make()
    files = {name: host(name, 1500) for name in ("web1", "web2", "db'1\"")}
    events = []
    for file in files.values():
        replay(file, "--sink", server.url())
        events += replayed(file)
    for event in events:
        event.get("process", {}).pop("args", None)  # they are left out unless asked for
    rows_equal(server.rows(more="FINAL"), events)

    taken = server.ask(query("taken", **{"60002 AS port": "8080 AS port", "2026-11-20 22:00": "2026-11-21 00:00",
                                         "2026-11-21 06:00": "2026-11-22 00:00"}))
    equal([line.split("\t")[1:4] for line in taken.splitlines()], [["tcp", "0.0.0.0", "java"]] * 3, "who has 8080")
    equal({line.split("\t")[-1] for line in taken.splitlines()}, {"-"}, "until when")

    port = next(get(event, "portsnoop.local.port") for event in events
                if get(event, "event.action") == "connection-established")
    leases = {(get(event, "host.name"), get(event, "portsnoop.socket")) for event in events
              if get(event, "portsnoop.local.port") == port}
    taken = server.ask(query("taken", **{"60002 AS port": f"{port} AS port", "2026-11-20 22:00": "2026-11-21 00:00",
                                         "2026-11-21 06:00": "2026-11-22 00:00"}))
    equal(len(taken.splitlines()), len(leases), f"leases of port {port}")
    check("\t-\n" not in taken, "each has ended:", taken)
    morning = server.ask(query("taken", **{"60002 AS port": f"{port} AS port", "2026-11-20 22:00": "2026-11-21 00:00"}))
    equal(morning, "", "leases before the hosts began")

    failed = [event for event in events if get(event, "event.outcome") == "failure"]
    lines = [line.split("\t") for line in server.ask(query("failures")).splitlines()]
    equal(sum(int(line[5]) for line in lines), len(failed), "failures")
    none_left = [event for event in failed if get(event, "error.code") == "EADDRNOTAVAIL"]
    lines = [line.split("\t") for line in server.ask(query("exhausted")).splitlines()]
    check(none_left, "no host has run out of ports")
    equal(lines and (lines[0][:2], int(lines[0][3])), (["10.20.1.2", "8080"], len(none_left)), "exhausted")

    lines = [line.split("\t") for line in server.ask(query("lost")).splitlines()]
    equal(sorted(line[1:3] for line in lines), [["1", "3"]] * 3, "what was lost")
    lines = [line.split("\t") for line in server.ask(query("unwatched")).splitlines()]
    equal(len({line[0] for line in lines}), 3, "hosts with a time without a word")
    server.ask(query("silent"))


@for_each("a restart in the middle loses nothing")
def restart(server):
    file = host("web1", 3000)  # two frames; more than a sink has room for would wait for the server
    events = replayed(file)
    server.table_make()
    feed = Feed(file, "--sink", f"{server.url()},args=yes")
    feed.send(0.75)
    server.wait(1000)
    server.stop()
    feed.send()
    server.start()
    feed.done()
    rows_equal(server.rows(more="FINAL"), events)


@for_each("what comes twice is there once")
def twice(server):
    file = host("web1", 1000)
    server.table_make()
    for _ in range(2):
        replay(file, "--sink", f"{server.url()},args=yes")
    rows_equal(server.rows(), replayed(file))  # twice, or once if it was merged already
    equal(server.count(more="FINAL"), len(replayed(file)), "rows")
    server.ask("OPTIMIZE TABLE portsnoop.events FINAL")
    equal(server.count(), len(replayed(file)), "rows, after the merge")


@test("clickhouse of today: a batch that comes twice is dropped")
def token():
    server = New().start()
    server.table_make()
    server.ask("ALTER TABLE portsnoop.events MODIFY SETTING non_replicated_deduplication_window = 1000")
    for _ in range(2):
        replay(recording("hostile"), "--sink", server.url())
    equal(server.count(), len(replayed(recording("hostile"))), "rows, before any merge")


@for_each("a row that is refused is the only one")
def refused(server):
    file = host("web1", 1000)
    events = replayed(file)
    long = [event for event in events if len(get(event, "error.code") or "") > 12]
    check(0 < len(long) < 30, "some that the table has no room for:", len(long))
    server.table_make(error="FixedString(12)")
    done = run("replay", "--release", "--sink", server.url(), file)
    equal(done.status, 1, f"exit status, it said {done.words()!r}")
    check(f"{len(long)} refused" in done.words(), "what it says:", done.words())
    equal(server.count(more="FINAL"), len(events) - len(long), "rows")


@for_each("what a person has to mend is said, and no password")
def said(server):
    slow("they are tried for half a minute")
    server.table_make()
    server.table_make("portsnoop.short")
    server.ask("ALTER TABLE portsnoop.short DROP COLUMN holder_comm")
    file = recording("hostile")
    tools = {
        "password": Tool("replay", "--release", "--sink", server.url(password="hunter2"), file),
        "doesn't exist|does not exist": Tool("replay", "--release", "--sink", server.url(table="portsnoop.no"), file),
        "holder_comm": Tool("replay", "--release", "--sink", server.url(table="portsnoop.short"), file),
    }
    for words, tool in tools.items():
        equal(tool.status(PATIENCE * 2), 1, f"exit status, it said {tool.words()!r}")
        check(re.search(words, tool.words(), re.I), f"it does not say {words!r}:", tool.words())
        check("hunter2" not in tool.words() and "se%22" not in tool.words(), "it says a password:", tool.words())
        check("refused" not in tool.words(), "refused:", tool.words())


if __name__ == "__main__":
    sys.exit(suite_run("clickhouse"))
