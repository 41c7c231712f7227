#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Files that logrotate rotates, disks that are full, sockets whose readers come and go, syslog.

usage: streams.py [PATTERN...]
"""

import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib

from back_end import (TREE, Feed, Skip, at_end, await_true, check, end, equal, lines_of, prefix_of, recording, replay,
                      room, run, suite_run, test)

HEADER, FRAME = 32, struct.Struct("=4I")  # user/stream/recording.h


def reframed(data, most=16384):
    """The same recording in smaller frames: what comes in one comes at once."""
    out, at, number = [data[:HEADER]], HEADER, 0
    while at < len(data):
        magic, length, _, _ = FRAME.unpack_from(data, at)
        at += FRAME.size
        begin = place = at
        at += length
        while place < at:
            place += struct.unpack_from("=H", data, place + 2)[0]
            if place == at or place - begin > most:
                out += [FRAME.pack(magic, place - begin, zlib.crc32(data[begin:place]), number), data[begin:place]]
                begin = place
                number += 1
    return b"".join(out)


def many(claims=30000):
    """A recording; usual: about 100,000 events, 100 MB."""
    path = os.path.join(TREE, "build", "e2e", f"many-{claims}.rec")
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        maker = f"{room()}/stream"
        made = subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-O2",
                               f"-I{TREE}/include", f"-I{TREE}/user", "-o", maker, f"{TREE}/tests/bench/stream.c",
                               f"{TREE}/user/stream/recording.c", f"{TREE}/user/lib/buffer.c", "-lz"],
                              capture_output=True, text=True, check=False)
        if made.returncode:
            raise Skip(f"tests/bench/stream.c cannot be built: {made.stderr.strip()[:200]}")
        with open(path + ".new", "wb") as file:
            file.write(reframed(subprocess.run([maker, str(claims), "60"], stdout=subprocess.PIPE, check=True).stdout))
        os.rename(path + ".new", path)
    return path


class Load(threading.Thread):
    """Feeds a sink with a recording for about so many seconds."""

    def __init__(self, file, seconds, *words):
        super().__init__(daemon=True)
        self.feed, self.seconds, self.left = Feed(file, *words), seconds, 200
        self.start()

    def run(self):
        for self.left in range(200, 0, -1):
            self.feed.send(1 / self.left)
            time.sleep(self.seconds / 200)

    def done(self, status=0):
        self.join()
        self.feed.done(status)


def lines_equal(parts, sent):
    """Each line is one that was sent, none is missing, and none comes before one that was sent
    before it. Returns how many there were once more. In a part whose name ends with ~ the last
    line may be cut: a connection that broke, and what copytruncate copied while it was written."""
    places = {line: place for place, line in enumerate(sent)}
    known = again = 0
    for name, data in parts:
        lines = data.split(b"\n")
        last = lines.pop()
        check(not last or name.endswith("~"), f"{name} ends with a line that is cut:", last[-100:])
        for line in lines:
            place = places.get(line)
            check(place is not None, f"{name} has a line that was not sent:", line[:300])
            check(place <= known, f"{name}: lines are missing before", f"{place}, {known} are known:", line[:200])
            again += place < known
            known = max(known, place + 1)
    equal(known, len(sent), "lines that arrived")
    return again


def sent_lines(file, *words):
    return run("replay", "--release", "-o", "json", *words, file, seconds=100).lines()


def read(path):
    with open(path, "rb") as file:
        return file.read()


# ---- files ----


class Logrotate:
    """Rotates FOLDER/events.json each time it is told to."""

    def __init__(self, folder, *words):
        self.folder, self.configuration = folder, f"{folder}/logrotate.conf"
        with open(self.configuration, "w", encoding="utf-8") as file:
            file.write(f"{folder}/events.json {{\n  rotate 10000\n  start 1\n  nocompress\n  missingok\n")
            file.write("".join(f"  {line}\n" for line in words) + "}\n")
        self.prefix = prefix_of("logrotate")
        self.turns = 0

    def turn(self):
        done = subprocess.run([*self.prefix, "logrotate", "-f", "-s", f"{self.folder}/state", self.configuration],
                              capture_output=True, text=True, check=False)
        equal((done.returncode, done.stderr), (0, ""), "what logrotate says")
        self.turns += 1

    def parts(self, torn=""):
        names = [name for name in os.listdir(self.folder) if re.fullmatch(r"events\.json\.\d+", name)]
        names.sort(key=lambda name: -int(name.rpartition(".")[2]))
        return [*((name + torn, read(f"{self.folder}/{name}")) for name in names),
                ("events.json", read(f"{self.folder}/events.json"))]


def rotated(torn, file, *words):
    folder = room()
    rotation = Logrotate(folder, *words)
    load = Load(file, 2, "--sink", f"file:{folder}/events.json")
    await_true("the first lines", lambda: lines_of(f"{folder}/events.json"))
    # Of a copytruncate after the last line nobody learns.
    while load.left > 20:
        rotation.turn()
    load.done()
    parts = rotation.parts(torn)
    check(rotation.turns > 5 and sum(len(data) > 0 for _, data in parts) > 5, "too few rotations:", rotation.turns,
          [len(data) for _, data in parts])
    return lines_equal(parts, sent_lines(file))


@test("file: logrotate with create loses no line, tears none, and none comes twice")
def with_create():
    equal(rotated("", many(), "create 0640 root root"), 0, "lines that came twice")


@test("file: logrotate with nocreate, which nobody tells of it")
def with_nocreate():
    folder = room()
    rotation = Logrotate(folder, "nocreate")
    load = Load(many(), 2, "--sink", f"file:{folder}/events.json")
    await_true("a file with lines", lambda: lines_of(f"{folder}/events.json"))
    rotation.turn()
    load.done()
    equal(lines_equal(rotation.parts(), sent_lines(many())), 0, "lines that came twice")


@test("file: logrotate with copytruncate loses no line")
def with_copytruncate():
    # What is written between copying and truncating is written again, up to 4 MiB of it.
    rotated("~", many(3000), "copytruncate")


@test("file: its own rotation by size")
def own_rotation():
    folder = room()
    replay(many(), "--sink", f"file:{folder}/events.json,rotate-size=1M,keep=1000", seconds=100)
    names = [name for name in os.listdir(folder) if name != "events.json"]
    check(len(names) > 50, "too few files:", len(names))
    for name in names:
        check(2**20 - 16384 < os.stat(f"{folder}/{name}").st_size <= 2**20, name, "has another size")
    rotation = Logrotate(folder)
    equal(lines_equal(rotation.parts(), sent_lines(many())), 0, "lines that came twice")


@test("file: a disk that is full for a while tears no line and loses none")
def full_disk():
    folder = room()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], check=False).returncode:
        raise Skip("no tmpfs can be mounted")
    at_end(subprocess.run, ["umount", "-l", folder])
    file = f"{folder}/events.json"
    load = Load(recording("hostile"), 0, "--sink", f"file:{file}")
    load.done()
    with open(f"{folder}/ballast", "wb", 0) as ballast:
        try:
            while True:
                ballast.write(bytes(4096))
        except OSError:
            pass
    # Less than the channel holds: else the feed would wait as well.
    feed = Feed(many(1500), "--sink", f"file:{file}")
    feed.send()
    await_true("a file that is as long as it can be", lambda: os.stat(file).st_size % 4096 > 4096 - 2048 or
               os.statvfs(folder).f_bfree == 0)
    check(read(file).endswith(b"\n"), "the file ends with a line that is cut")
    subprocess.run(["mount", "-o", "remount,size=64m", folder], check=True)
    feed.done()
    equal(lines_equal([("events.json", read(file))], [*sent_lines(recording("hostile")), *sent_lines(many(1500))]), 0,
          "lines that came twice")


# ---- sockets ----


class Receiver:
    """One that reads lines, a connection at a time, in a process of its own that can be killed."""

    PROGRAM = """
import os, socket, sys
kind, where, folder = sys.argv[1:]
if kind == "tcp":
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", int(where)))
else:
    if os.path.exists(where):
        os.unlink(where)
    server = socket.socket(socket.AF_UNIX)
    server.bind(where)
server.listen(5)
while True:
    connection = server.accept()[0]
    with open(f"{folder}/{len(os.listdir(folder)):04}", "wb", 0) as out:
        while data := connection.recv(65536):
            out.write(data)
"""

    def __init__(self, kind, where):
        self.command = [sys.executable, "-c", self.PROGRAM, kind, where, room()]
        self.folder = self.command[-1]
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL)
        at_end(end, self.process)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def size(self):
        return sum(os.stat(f"{self.folder}/{name}").st_size for name in os.listdir(self.folder))

    def parts(self):
        return [(name + "~", read(f"{self.folder}/{name}")) for name in sorted(os.listdir(self.folder))]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def across_kills(receiver, spec):
    load = Load(many(), 2, "--sink", f"{spec},args=yes")
    for _ in range(2):
        size = receiver.size()
        receiver.start()
        await_true("some of it", lambda size=size: receiver.size() > size + 2**22)
        receiver.kill()
    receiver.start()
    load.done()
    check(len(receiver.parts()) >= 3, "connections:", len(receiver.parts()))
    lines_equal(receiver.parts(), sent_lines(many()))


@test("tcp: a receiver that is away at first, and killed twice, misses nothing")
def tcp_kills():
    port = free_port()
    across_kills(Receiver("tcp", port), f"tcp:127.0.0.1:{port}")


@test("unix: a receiver that is away at first, and killed twice, misses nothing")
def unix_kills():
    path = f"{room()}/socket"
    across_kills(Receiver("unix", path), f"unix:{path}")


@test("tcp: 100,000 events without trouble come once")
def tcp_quiet():
    port = free_port()
    receiver = Receiver("tcp", port)
    receiver.start()
    replay(many(), "--sink", f"tcp:127.0.0.1:{port},args=yes", seconds=100)
    equal(lines_equal(receiver.parts(), sent_lines(many())), 0, "lines that came twice")
    equal(len(receiver.parts()), 1, "connections")


# ---- syslog ----

WORD = rb"[!-~]"
# RFC 5424, section 6, as far as a message of ours may go; MSG-ANY in UTF-8, and no control characters.
MESSAGE = re.compile(rb"<(?:[0-9]|[1-9][0-9]|1[0-8][0-9]|19[01])>1 "
                     rb"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d"
                     rb"(?:\.\d{1,6})?Z "
                     rb"(?P<host>" + WORD + rb"{1,255}) " + rb"(?P<program>" + WORD + rb"{1,48}) " +
                     WORD + rb"{1,128} " + rb"(?P<id>" + WORD + rb"{1,32}) - (?P<text>[^\x00-\x1f\x7f]+)")


def messages_check(messages, sent):
    check(messages, "no message came")
    for message, line in zip(messages, sent):
        found = MESSAGE.fullmatch(message)
        check(found, "is not as RFC 5424 wants it:", message[:300])
        message.decode("utf-8")
        equal(found["program"], b"portsnoop", "APP-NAME")
        equal(found["text"], line, "MSG")
        check(b'"action":"%s"' % found["id"] in line, "MSGID is not the action:", found["id"])
    equal(len(messages), len(sent), "messages")


def counted(data):
    """RFC 6587, 3.4.1."""
    messages = []
    while data:
        found = re.match(rb"([1-9][0-9]*) ", data)
        check(found, "is no MSG-LEN:", data[:40])
        begin, length = found.end(), int(found[1])
        check(len(data) >= begin + length, "the last message is cut")
        messages.append(data[begin:begin + length])
        data = data[begin + length:]
    return messages


@test("syslog: by TCP each message is as long as it says, and as RFC 5424 wants it")
def syslog_tcp():
    for name in ("failures", "hostile"):
        port = free_port()
        receiver = Receiver("tcp", port)
        receiver.start()
        replay(recording(name), "--sink", f"syslog:tcp:127.0.0.1:{port},args=yes")
        messages_check(counted(b"".join(data for _, data in receiver.parts())), sent_lines(recording(name)))


class Datagrams(threading.Thread):
    """What comes to a socket, until done()."""

    def __init__(self, family, address):
        super().__init__(daemon=True)
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.messages = []
        self.start()

    def run(self):
        while message := self.socket.recv(1 << 20):
            self.messages.append(message)

    def done(self):
        with socket.socket(self.socket.family, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.socket.getsockname())
        self.join()
        self.socket.close()
        return self.messages


@test("syslog: by UDP and to a socket like /dev/log, a datagram each")
def syslog_datagrams():
    path = f"{room()}/log"
    for name in ("failures", "hostile"):
        udp = Datagrams(socket.AF_INET, ("127.0.0.1", 0))
        local = Datagrams(socket.AF_UNIX, path)
        replay(recording(name), "--sink", f"syslog:udp:127.0.0.1:{udp.socket.getsockname()[1]},args=yes",
               "--sink", f"syslog:unix:{path}")
        for server in (udp, local):
            messages_check(server.done(), sent_lines(recording(name)))
        os.unlink(path)


if __name__ == "__main__":
    sys.exit(suite_run("streams"))
