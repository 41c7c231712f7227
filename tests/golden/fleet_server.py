# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""usage: fleet_server.py PORT-FILE QUERIES

A ClickHouse that has its answers ready: for tests of what `portsnoop history --from` makes of
them. Each question is checked to be one that is meant for the fleet's table, and written into the
file QUERIES. The user's name chooses what goes wrong.
"""

import fnmatch
import gzip
import http.server
import json
import os
import re
import sys
import time

SECOND = 10**9
DAY = 1795165200 * SECOND  # Fri 2026-11-20 09:00:00 UTC
EVIL = "\x1b[31m\n\"},{\ufffd\u202e\\"
TEXTS = set("host id action outcome error transport trigger origin local_ip remote_ip requested_ip comm exe args "
            "parent_comm entity user container runtime pod unit cgroup time_wait holder_comm blocked_by tier".split())


def at(seconds):
    return DAY + int(seconds * SECOND)


class Stream:
    def __init__(self, host, number, start):
        self.host, self.id, self.sequence = host, f"{number:016x}", 0
        self.row("stream-start", start)

    def row(self, action, seconds, **columns):
        self.sequence += 1
        row = {"time": at(seconds), "host": self.host, "id": f"{self.id}-{self.sequence}", "action": action,
               "tier": "fentry", **columns}
        ROWS.append(row)
        return row

    def socket(self, action, seconds, socket, port, who, **columns):
        return self.row(action, seconds, **{
            "outcome": "success", "transport": "tcp", "socket": socket, "local_port": port, "local_ip": "0.0.0.0",
            "netns": 4026531840, **who, **columns})


def process(pid, comm, exe, unit="", user="dev", **more):
    return {"pid": pid, "comm": comm, "exe": exe, "unit": unit, "uid": 1000, "user": user, "parent_pid": 1,
            "parent_comm": "systemd", "entity": f"7f3a91c2:{pid}:{pid}000:1", **more}


ROWS = []
NGINX = process(61, "nginx", "/usr/sbin/nginx", "nginx.service", "www-data")
CURL = process(70, "curl", "/usr/bin/curl", container="c0ffee12" * 8, runtime="docker", pod="")
BAD = process(66, EVIL, f"/tmp/{EVIL}", f"{EVIL}.service", EVIL, args=json.dumps(["x", EVIL]))
BOUND = {"trigger": "bind", "origin": "requested", "claimed": 1}
WENT = {"trigger": "connect", "origin": "kernel", "claimed": 1, "local_ip": "10.0.0.1", "remote_ip": "192.0.2.80",
        "remote_port": 443, "in_pool": 1}


def fill():
    web = Stream("web1", 0x7f3a, 0)
    web.socket("bound-socket", 10, 1, 8080, NGINX, **BOUND)
    web.socket("listen-for-connections", 10.001, 1, 8080, NGINX, trigger="listen", origin="requested")
    web.socket("connected-to", 20, 2, 40000, CURL, **{**WENT, "outcome": "unknown"})
    web.socket("connection-established", 20.0123, 2, 40000, CURL, **{**WENT, "claimed": 0})
    web.row("heartbeat", 60)
    web.socket("released-port", 65, 2, 40000, CURL, **{**WENT, "claimed": 0, "time_wait": "seen",
                                                       "duration": 45 * SECOND})
    web.row("lost-events", 70, lost_count=5)
    web.row("bound-socket", 80, outcome="failure", error="EADDRINUSE", transport="tcp", requested_ip="0.0.0.0",
            requested_port=8080, **{**BOUND, **BAD}, blocked_by_total=2, blocked_by=json.dumps([
                {"pid": 61, "name": "nginx", "role": "claimant", "state": "listen", "since": "2026-11-20T09:00:10.000000000Z",
                 "local": {"ip": "0.0.0.0", "port": 8080}}]))
    web.row("heartbeat", 120)
    web.socket("released-port", 125, 2, 40000, CURL, **{**WENT, "claimed": 0, "time_wait": "over",
                                                        "duration": 105 * SECOND, "lingered": 60 * SECOND})
    web.row("heartbeat", 420)  # five minutes in which nothing arrived
    web.socket("released-port", 430, 1, 8080, NGINX, trigger="bind", origin="requested", duration=420 * SECOND)
    web.row("stream-end", 440)
    again = Stream("web1", 0x7f3b, 500)
    again.row("heartbeat", 560)
    again.socket("released-port", 570, 9, 22, {"holder_pid": 81, "holder_comm": "sshd"})
    again.socket("bound-socket", 575, 10, 60002, NGINX, **{**BOUND, "transport": "udp"})  # and it was killed
    again.row("heartbeat", 620)
    evil = Stream(f"h{EVIL}", 0xbad, 100)
    evil.socket("bound-socket", 101, 1, 8080, BAD, **{**BOUND, "local_ip": "::"})
    evil.socket("released-port", 102, 1, 8080, BAD, trigger="bind", origin="requested", local_ip="::", duration=SECOND)
    evil.row("stream-end", 160)
    live = Stream("live", 0x11fe, 200)
    live.socket("bound-socket", 210, 1, 8080, NGINX, **BOUND)
    live.socket("connected-to", 220, 2, 40001, CURL, **{**WENT, "outcome": "unknown", "local_ip": "::ffff:10.0.0.2"})
    live.row("heartbeat", (time.time_ns() - DAY) / SECOND)
    ROWS.extend(dict(row) for row in ROWS[::3])  # as events may arrive


def cell(value):
    for byte, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"), ("\0", "\\0"), ("\b", "\\b"),
                          ("\f", "\\f"), ("'", "\\'")):
        value = value.replace(byte, escaped)
    return value


def line(values):
    return "\t".join(cell(value) if isinstance(value, str) else str(value) for value in values) + "\n"


def stream_of(row):
    return row["host"], row["id"].split("-")[0]


def order(row):
    return *stream_of(row), int(row["id"].split("-")[1])


def column(row, name):
    if name.startswith("substring"):
        return stream_of(row)[1]
    return row.get(name, "" if name in TEXTS else 0)


def table(query, rows, key=order):
    names = re.split(r", (?![^(]*\))", re.match(r"SELECT (.*?) FROM", query)[1])
    return "".join(line(column(row, name) for name in names) for row in sorted(rows, key=key))


def asked_for(query):
    """Rows of the hosts that are asked for. All else is judged again by who asks."""
    words = re.search(r" AND \((host (?:=|LIKE) .*?)\)(?= )", query)
    if not words:
        return ROWS
    names = re.findall(r"host (=|LIKE) '((?:[^'\\]|\\x..)*)'", words[1])
    return [row for row in ROWS if any(
        row["host"] == name if how == "=" else fnmatch.fnmatchcase(row["host"], name.replace("%", "*").replace("_", "?"))
        for how, name in names)]


def streams(rows, query):
    actions = set(re.findall(r"'([a-z-]+)'", re.search(r"action IN \((.*?)\)", query)[1]))
    window = re.search(r"AND \(time BETWEEN (\d+) AND (\d+) OR time >= (\d+)\)", query)
    since, until, alive = map(int, window.groups()) if window else (0, 0, 0)
    pulse = "uniqExactIf" in query
    found = {}
    for row in rows:
        if row["action"] in actions and (since <= row["time"] <= until or row["time"] >= alive):
            found.setdefault(stream_of(row), {})[row["id"]] = row
    for (host, stream), rows in sorted(found.items()):
        times = {action: [row["time"] for row in rows.values() if row["action"] == action]
                 for action in ("stream-start", "stream-end", "heartbeat")}
        every = [row["time"] for row in rows.values()]
        parts = {time // (75 * SECOND) for time in every}
        holes = max(parts) - min(parts) + 1 - len(parts)
        # One that runs has sent more heartbeats than are written out here.
        yield line([host, stream, min(every), max(every), min(times["stream-start"], default=0),
                    max(times["stream-end"], default=0), "fentry", 0 if host == "live" or not pulse else holes])


def answer(query):
    rows = asked_for(query)
    calls = ("bound-socket", "connected-to", "listen-for-connections", "autobound-socket")
    if query.endswith(" GROUP BY host, stream FORMAT TabSeparated"):
        return "".join(streams(rows, query))
    if "action = 'lost-events'" in query:
        return table(query, {row["id"] + row["host"]: row for row in rows if row["action"] == "lost-events"}.values())
    if "substring(id, 1, 16)) IN (('" in query:
        asked = set(re.findall(r"\('((?:[^'\\]|\\x..)*)', '([0-9a-f]{16})'\)", query))
        return table(query, [row for row in rows if stream_of(row) in asked and not row.get("socket")
                             and not row.get("error")], key=lambda row: (*stream_of(row), row["time"]))
    if " AND outcome = 'failure' AND action IN (" in query:
        return table(query, [row for row in rows if row["action"] in calls and row.get("outcome") == "failure"])
    return table(query, [row for row in rows if row.get("socket")])


def wrong(query):
    if not query.startswith("SELECT ") or not query.endswith(" FORMAT TabSeparated"):
        return "neither begins nor ends as a question of ours"
    if query.count(" FROM `portsnoop`.`events` WHERE ") != query.count(" FROM "):
        return "asks another table"
    outside = re.sub(r"'(?:[^'\\]|\\x[0-9A-F]{2})*'", "", query)
    if re.search(r"['\\;\"\n#]|--|/\*", outside):
        return "is not closed"
    if outside.count("(") != outside.count(")"):
        return "has other brackets"
    return None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def say(self, status, body, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        query = body.decode()
        bad = wrong(query) or (self.path != "/?wait_end_of_query=1" and f"asks for {self.path}")
        with open(sys.argv[2], "a", encoding="utf-8") as file:
            file.write(f"{f'WRONG, {bad}: ' if bad else ''}{query}\n")
        user = self.headers.get("X-ClickHouse-User", "")
        good = answer(query).encode()
        if bad:
            self.say(400, f"Code: 62. DB::Exception: Syntax error: the test's server: {bad}".encode())
        elif user == "garbage":
            self.say(200, b"<html>\x1b[31m welcome </html>\n")
        elif user == "cut":
            self.say(200, good[:len(good) // 2], Content_Length=len(good))
            self.close_connection = True
        elif user == "half":
            self.say(200, good[:-5])
        elif user == "exception":
            self.say(200, good + b"Code: 241. DB::Exception: Memory limit (total) exceeded\n")
        elif user == "memory":
            self.say(500, b"Code: 241, e.displayText() = DB::Exception: Memory limit (for query) exceeded: \x1b[31m"
                          b"would use 9.31 GiB, e.what() = DB::Exception\n")
        elif user == "slow":
            self.say(500, b"Code: 159. DB::Exception: Timeout exceeded: elapsed 60 seconds (version 24.3)\n")
        elif user == "missing":
            self.say(404, b"Code: 60. DB::Exception: Table portsnoop.events doesn't exist. (UNKNOWN_TABLE)\n")
        elif user == "refused":
            self.say(403, b"Code: 516. DB::Exception: refused: Authentication failed\n")
        elif user == "elsewhere":
            self.say(302, b"", Location="http://127.0.0.1:1/")
        elif user == "proxy":
            self.say(502, b"<html><title>502 Bad Gateway\x1b[31m</title></html>")
        else:
            self.say(200, good)


def main():
    fill()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with open(f"{sys.argv[1]}.new", "w", encoding="utf-8") as file:
        file.write(str(server.server_port))
    os.rename(f"{sys.argv[1]}.new", sys.argv[1])
    server.serve_forever()


main()
