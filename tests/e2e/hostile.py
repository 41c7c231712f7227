#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Names that are made to harm, through every sink and in every format it takes: a line stays one
line, nothing in it moves a cursor, and the name that is read back is the one that the process had.

usage: hostile.py [PATTERN...]

What the names are is known from the recording's maker, not from another output of portsnoop.
"""

import codecs
import csv
import gzip
import json
import re
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from back_end import Feed, Tool, at_end, await_true, check, equal, get, lines_of, recording, room, suite_run, test

# Of the processes 100, 101, ... in tests/golden/make_stream.c, which bind 2000, 2001, ...
NAMES = [b"\x1b[2J\x1b[1;1Hroot", b"a\nb\r\tc", b'"}],"x":{"', b'a,b"c', b"\\x41\\", b"=1+1", b"\x7f\xc2\x9b31m",
         b"\xe2\x80\xaegpj.exe", b"\xff\xfe\xc3(", b"\xe2\x80\xa8x", b"  spaces ", b"\xe6\x9d\xb1\xe4\xba\xac",
         b"\xf0\x9f\x98\x80\xf0\x9f\x98\x80", b"e\xcc\x81\xcc\x81\xcc\x81", b"</script>", b""]
# What looks like a line of a log, of syslog, or of this program's own.
LINES = {b"  spaces ": b"\n<34>1 - su: ok", b"</script>": b'{"a":1}\n{"a":2}', b"=1+1": b"=1+1\n0,bound,80"}
PORT = 2000
COMM = 16
LINE = 16384
# C0 and C1, and what turns the direction of a text or ends a line of it.
HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
HEAD = re.compile(rb"<\d{1,3}>1 [!-~]+ [!-~]+ portsnoop [!-~]+ [a-z-]+ - ")
FORMATS = ("ecs", "otlp", "ocsf", "csv")

# A byte that is not UTF-8 is one U+FFFD.
codecs.register_error("each", lambda error: ("\ufffd" * (error.end - error.start), error.end))


def field(name):
    return name.ljust(COMM, b"\0")


def expected():
    """{port: [name, and again]}: each process binds, and fails to."""
    return {PORT + i: [LINES.get(name, name)] * 2 for i, name in enumerate(NAMES)}


def feed(*words):
    fed = Feed(recording("hostile"), *words)
    for name, line in LINES.items():
        check(any(field(name) in record for record in fed.records), "the recording has no process", name)
        fed.records = [record.replace(field(name), field(line)) for record in fed.records]
    return fed


def text(name):
    return name.decode("utf-8", "each")


def raw(cell):
    """What escape_plain() made of it."""
    return re.sub(rb"\\(x[0-9a-f]{2}|\\)",
                  lambda found: b"\\" if found[1] == b"\\" else bytes([int(found[1][1:], 16)]), cell.encode())


# ---- (port, name) of a line, or None if it is about nothing of ours ----


def of_ecs(event):
    return get(event, "portsnoop.local.port"), get(event, "process.name")


def otlp_records(request):
    return [record for part in request["resourceLogs"] for scope in part["scopeLogs"] for record in scope["logRecords"]]


def of_otlp(record):
    values = {one["key"]: one["value"] for one in record["attributes"]}
    return (int(values.get("network.local.port", {}).get("intValue", 0)),
            values.get("process.executable.name", {}).get("stringValue"))


def of_ocsf(event):
    # A bound port is what others can connect to.
    port = get(event, "src_endpoint.port") or get(event, "dst_endpoint.port")
    return port, get(event, "actor.process.name")


def of_row(row):
    return int(row.get("local_port", 0)), row.get("comm")


def names_read(format_name, lines):
    """[(port, name)]"""
    if format_name == "csv":
        rows = list(csv.DictReader([line.decode() for line in lines], strict=True))
        return [(int(row["portsnoop.local.port"] or 0), raw(row["process.name"])) for row in rows]
    values = [json.loads(line) for line in lines]
    if format_name == "otlp":
        return [of_otlp(record) for value in values for record in otlp_records(value)]
    return [{"ecs": of_ecs, "ocsf": of_ocsf, "row": of_row}[format_name](value) for value in values]


def names_check(what, pairs, make):
    """`make`: what a name is there."""
    found = {}
    for port, name in pairs:
        if PORT <= (port or 0) < PORT + len(NAMES):
            found.setdefault(port, []).append(name or make(b""))
    equal(found, {port: [make(name) for name in names] for port, names in expected().items()}, f"{what}: names")


def lines_check(what, lines):
    check(len(lines) > len(NAMES), f"{what}: lines:", len(lines))
    for line in lines:
        check(len(line) < LINE, f"{what}: a line of {len(line)} bytes")
        found = HARMFUL.search(line.decode("utf-8"))
        check(not found, f"{what}: {found and found[0]!r} in", line[:300])


# ---- receivers ----


class Stream:
    """What comes by connections, until their ends."""

    def __init__(self, family, address):
        self.server = socket.socket(family)
        self.server.bind(address)
        self.server.listen()
        self.data = b""
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        connection, _ = self.server.accept()
        while data := connection.recv(1 << 16):
            self.data += data

    def port(self):
        return self.server.getsockname()[1]

    def done(self):
        self.thread.join(10)
        self.server.close()
        return self.data


class Datagrams:
    """Those that come until done(), which is one more."""

    def __init__(self, family, address):
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.messages = []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while message := self.socket.recv(1 << 20):
            self.messages.append(message)

    def port(self):
        return self.socket.getsockname()[1]

    def done(self):
        with socket.socket(self.socket.family, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.socket.getsockname())
        self.thread.join(10)
        self.socket.close()
        return self.messages


class Web:
    """Says yes to all requests."""

    def __init__(self):
        bodies = self.bodies = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                bodies.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        at_end(self.server.shutdown)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"


def counted(data):
    """RFC 6587, 3.4.1."""
    messages = []
    while data:
        length, _, data = data.partition(b" ")
        messages.append(data[:int(length)])
        data = data[int(length):]
    return messages


def texts(messages):
    """Of RFC 5424."""
    for message in messages:
        check(HEAD.match(message), "is not as RFC 5424 wants it:", message[:200])
    return [HEAD.sub(b"", message, 1) for message in messages]


# ---- tests ----


def through_lines(format_name):
    folder = room()
    streams = {"unix": Stream(socket.AF_UNIX, f"{folder}/stream"), "tcp": Stream(socket.AF_INET, ("127.0.0.1", 0)),
               "syslog:tcp": Stream(socket.AF_INET, ("127.0.0.1", 0))}
    datagrams = {"unix, a datagram each": Datagrams(socket.AF_UNIX, f"{folder}/datagrams"),
                 "syslog:unix": Datagrams(socket.AF_UNIX, f"{folder}/log"),
                 "syslog:udp": Datagrams(socket.AF_INET, ("127.0.0.1", 0))}
    specs = ("stdout", f"file:{folder}/lines", f"unix:{folder}/stream", f"tcp:127.0.0.1:{streams['tcp'].port()}",
             f"unix:{folder}/datagrams", f"syslog:unix:{folder}/log",
             f"syslog:tcp:127.0.0.1:{streams['syslog:tcp'].port()}",
             f"syslog:udp:127.0.0.1:{datagrams['syslog:udp'].port()}")
    fed = feed("--format", format_name, *(word for spec in specs for word in ("--sink", f"{spec},args=yes")))
    fed.send()
    fed.pipe.close()
    shown = fed.tool.reader.rest()
    equal(fed.tool.status(), 0, f"exit status, it said {fed.tool.words()!r}")
    lines_check("standard error", fed.tool.words().encode().split(b"\n")[:-1] + [b""] * len(NAMES))
    lines_check("stdout", shown)
    names_check("stdout", names_read(format_name, shown), (lambda name: name) if format_name == "csv" else text)
    with open(f"{folder}/lines", "rb") as file:
        arrived = {"file": file.read()}
    arrived.update((name, stream.done()) for name, stream in streams.items())
    arrived = {name: counted(data) if name == "syslog:tcp" else data.split(b"\n")[:-1]
               for name, data in arrived.items()}
    arrived.update((name, [message.rstrip(b"\n") for message in server.done()]) for name, server in datagrams.items())
    # A message has no heading.
    rows = shown[1:] if format_name == "csv" else shown
    for name, lines in arrived.items():
        lines = texts(lines) if name.startswith("syslog") else lines
        check(lines in (shown, rows), f"{name}: lines are not those of stdout:",
              next((pair for pair in zip(lines, shown) if pair[0] != pair[1]), (len(lines), len(shown))))


for one in FORMATS:
    test(f"hostile names: {one}, by stdout, file, unix, tcp and syslog")(lambda one=one: through_lines(one))


@test("hostile names: journald, byte for byte")
def through_journald():
    folder = room()
    server = Datagrams(socket.AF_UNIX, f"{folder}/journal")
    feed("--sink", f"journald:{folder}/journal").done()
    pairs = []
    for message in server.done():
        fields = {}
        while message:
            name, separator, rest = message.partition(b"\n")
            if b"=" in name:
                name, _, value = name.partition(b"=")
            else:
                check(separator, "a field without a value:", name)
                size = int.from_bytes(rest[:8], "little")
                value, rest = rest[8:8 + size], rest[8 + size + 1:]
            check(re.fullmatch(rb"[A-Z][A-Z0-9_]{0,63}", name), "the name of a field:", name)
            fields[name] = value
            message = rest
        lines_check("MESSAGE", [fields[b"MESSAGE"]] * (len(NAMES) + 1))
        pairs.append((int(fields.get(b"PORTSNOOP_LOCAL_PORT", 0)), fields.get(b"PROCESS_NAME")))
    names_check("journald", pairs, lambda name: name)


@test("hostile names: otlp")
def through_otlp():
    web = Web()
    feed("--sink", f"otlp:{web.url}v1/logs,args=yes").done()
    records = [record for body in web.bodies for record in otlp_records(json.loads(body))]
    check(not any(HARMFUL.search(body.decode("utf-8")) for body in web.bodies), "a request is not one clean line")
    names_check("otlp", [of_otlp(record) for record in records], text)


@test("hostile names: clickhouse")
def through_clickhouse():
    web = Web()
    feed("--sink", f"clickhouse:{web.url},args=yes").done()
    lines = [line for body in web.bodies for line in body.split(b"\n") if line.startswith(b"{")]
    lines_check("clickhouse", lines)
    names_check("clickhouse", names_read("row", lines), text)


@test("arguments of processes go to no other machine, unless asked for")
def arguments():
    folder, web = room(), Web()
    tcp, syslog = (Stream(socket.AF_INET, ("127.0.0.1", 0)) for _ in range(2))
    udp = Datagrams(socket.AF_INET, ("127.0.0.1", 0))
    feed("--sink", f"tcp:127.0.0.1:{tcp.port()}", "--sink", f"syslog:tcp:127.0.0.1:{syslog.port()}",
         "--sink", f"syslog:udp:127.0.0.1:{udp.port()}", "--sink", f"otlp:{web.url}", "--sink", f"clickhouse:{web.url}",
         "--sink", f"file:{folder}/here", "--sink", f"file:{folder}/without,args=no").done()
    # Of process 111.
    own = "-\u6771\u4eac".encode()[1:]
    with open(f"{folder}/here", "rb") as file:
        here = file.read()
    check(b'"args":["' + own in here, "a file has none")
    with open(f"{folder}/without", "rb") as file:
        away = [file.read(), tcp.done(), syslog.done(), *udp.done(), *web.bodies]
    for data in away:
        check(not re.search(rb'args"', data.replace(b'"args":""', b"")), "arguments in", data[:200])


# ---- a replay that is stopped ----


@test("a replay that waits for a sink says what became of its events when it is stopped")
def stopped():
    for number in (signal.SIGTERM, signal.SIGINT):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            spec = f"tcp:127.0.0.1:{nobody.getsockname()[1]}"
            tool = Tool("replay", "--release", "--sink", spec, recording("claims"))
            await_true("it to say who is away", lambda tool=tool: "events wait until it is there" in tool.words())
            await_true("the end of the recording", lambda tool=tool: " seen = " in tool.words())
            tool.send(number)
            equal(tool.status(), 1, f"exit status, it said {tool.words()!r}")
            check(re.search(rf"sink {spec}: 0 events delivered, \d+ lost: ", tool.words()), "it says:", tool.words())


@test("a replay says which sink gives no answer, and so does its end")
def no_answer():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        spec = f"otlp:http://127.0.0.1:{silent.getsockname()[1]}"
        tool = Tool("replay", "--sink", spec, recording("claims"))
        await_true("it to say so", lambda: "no answer so far" in tool.words())
        tool.send(signal.SIGTERM)
        equal(tool.status(), 1, f"exit status, it said {tool.words()!r}")
        check(re.search(r"0 events delivered, \d+ lost: no answer until the end\n", tool.words()), "it says:",
              tool.words())


@test("a replay that reads on is stopped where it is")
def stopped_reading():
    folder = room()
    fed = feed("--sink", f"file:{folder}/events")
    fed.send(0.5)
    await_true("half of it", lambda: lines_of(f"{folder}/events"))
    fed.tool.send(signal.SIGTERM)
    equal(fed.tool.status(), 1, f"exit status, it said {fed.tool.words()!r}")
    check(re.search(r"standard input: stopped at byte \d+\n.* seen = .*\n(.*\n)*.*: [1-9]\d* events delivered\n",
                    fed.tool.words()), "it says:", fed.tool.words())
    fed.pipe.close()


if __name__ == "__main__":
    sys.exit(suite_run("hostile"))
