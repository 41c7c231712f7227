# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the tests against real back ends share: the other program, what is sent, and whether it arrived.

    recording("hostile")              a recording of tests/golden/stream
    recording_of(1000)                a long one
    replayed(file)                    its events, as the tests compare them
    replay(file, "--sink", SPEC)      feeds a sink with it
    Feed("--sink", SPEC)              feeds a sink by and by
    BackEnd("rsyslogd", ..., packages="rsyslog")   the program that takes them
    arrived_equal(arrived, sent)      equal, in order; twice only what has the same event.id
    slow(why)                         skips unless `make e2e-all` runs this
"""

import json
import math
import os
import signal
import socket
import struct
import subprocess
import sys
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TREE, "tests", "live"))

from behavior_tool import (PATIENCE, Failure, Skip, Tool, at_end, await_exit, await_true, check, end,  # noqa: E402
                           equal, get, parse_events, program, room, run, suite_run, test)
from who_situation import free_port  # noqa: E402
import packages as debian  # noqa: E402

__all__ = ("PATIENCE", "TREE", "Failure", "Skip", "Tool", "at_end", "await_exit", "await_true", "check", "end", "equal",
           "free_port", "get", "parse_events", "program", "room", "run", "suite_run", "test",
           "BackEnd", "Feed", "arrived_equal", "lines_of", "listening", "packages", "prefix_of", "recording",
           "recording_of", "replay", "replayed", "shipper", "slow", "without")


def slow(why):
    """For what does not fit into the 3 minutes of all these scripts together."""
    if os.environ.get("E2E") != "all":
        raise Skip(f"{why}: `make e2e-all` runs it")


# ---- the other program ----


def packages(name):
    """The folder of a set of packages.tsv."""
    try:
        return debian.get(name)
    except debian.fetch.Failed as error:
        raise Skip(f"cannot fetch {name}: {error}") from None


# What is unpacked is laid over /usr, for this process and its children alone.
OVERLAY = ('mount -t overlay overlay -o "lowerdir=$1/usr:/usr" /usr || { echo "no overlay" >&2; exit 125; }; '
           'shift; exec "$@"')


def prefix_of(name):
    """Words to put before a command that needs these packages."""
    return ["unshare", "-m", "sh", "-c", OVERLAY, "sh", packages(name)]


def shipper(name, **replaced):
    """A configuration of tools/shippers/, in which some words are those of the test."""
    with open(os.path.join(TREE, "tools", "shippers", name), encoding="utf-8") as file:
        text = file.read()
    for words, own in replaced.items():
        check(words in text, f"{name} does not have", words)
        text = text.replace(words, str(own))
    return text


def listening(port):
    """Whether somebody takes TCP connections on that port of this machine."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


class BackEnd:
    """A program that can be stopped and started again. `ready`: is it there, as seen from outside."""

    def __init__(self, *command, packages=None, ready=None, env=None, cwd=None):
        self.command = [*(prefix_of(packages) if packages else ()), *command]
        self.ready, self.env, self.cwd = ready, env, cwd
        self.log = os.path.join(room(), "back-end.log")
        self.process = None
        at_end(self.kill)

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=dict(os.environ, **(self.env or {})), cwd=self.cwd,
                                            start_new_session=True)

        def ready():
            check(self.process.poll() is None, f"{self.command[-1]} ended:", self.words())
            return not self.ready or self.ready()

        await_true(f"the start of {' '.join(self.command[-3:])}", ready)
        return self

    def words(self):
        with open(self.log, encoding="utf-8", errors="backslashreplace") as log:
            return log.read()[-3000:]

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        await_exit(self.process)

    def restart(self, number=signal.SIGTERM):
        self.stop(number)
        self.start()

    def kill(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            end(self.process)


# ---- what is sent ----


def recording(name):
    return os.path.join(TREE, "tests", "golden", "stream", f"{name}.rec")


def replayed(file, *words):
    """Events of a recording, all of them."""
    return parse_events(run("replay", "--release", "-o", "json", *words, file).lines())


def replay(file, *words, seconds=PATIENCE):
    """Feeds sinks from a recording; the program has to be content."""
    done = run("replay", "--release", *words, file, seconds=seconds)
    equal(done.status, 0, f"exit status, it said {done.words()!r}")
    return done


def recording_of(claims, seconds=60):
    """A recording of about three events a claim, made up by tests/bench/stream.c."""
    folder = room()
    program_of_it, path = f"{folder}/stream", f"{folder}/stream.rec"
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-Iinclude", "-Iuser", "-o",
                    program_of_it, "tests/bench/stream.c", "-lz"], cwd=TREE, check=True)
    with open(path, "wb") as file:
        subprocess.run([program_of_it, str(claims), str(seconds)], stdout=file, check=True)
    return path


# user/stream/recording.h
HEADER = 32
FRAME = struct.Struct("=IIII")
FRAME_MAGIC = 0x4D415246
PAYLOAD_MOST = 1 << 20


def records_of(path):
    """(header, [record]) of a recording."""
    with open(path, "rb") as file:
        header, frames = file.read(HEADER), file.read()
    records, place = [], 0
    while place < len(frames):
        magic, length, _, _ = FRAME.unpack_from(frames, place)
        equal(magic, FRAME_MAGIC, "magic of a frame")
        place += FRAME.size
        end = place + length
        while place < end:
            size = struct.unpack_from("=H", frames, place + 2)[0]
            records.append(frames[place:place + size])
            place += size
    return header, records


class Feed:
    """A replay of a recording that comes by and by, as a live stream does."""

    def __init__(self, file, *words):
        header, self.records = records_of(file)
        self.frames = 0
        self.tool = Tool("replay", "--release", *words, "-", stdin=subprocess.PIPE)
        self.pipe = self.tool.process.stdin
        self.pipe.write(header)

    def send(self, part=1.0):
        """That much of what is left of it."""
        count = math.ceil(len(self.records) * part)
        while count:
            payload = b""
            while count and len(payload) + len(self.records[0]) <= PAYLOAD_MOST:
                payload += self.records.pop(0)
                count -= 1
            self.pipe.write(FRAME.pack(FRAME_MAGIC, len(payload), zlib.crc32(payload), self.frames) + payload)
            self.frames += 1
        self.pipe.flush()

    def done(self, status=0):
        """Sends the rest and waits for the end."""
        self.send()
        self.pipe.close()
        equal(self.tool.status(), status, f"exit status, it said {self.tool.words()!r}")


# ---- what arrived ----


def lines_of(path):
    """Whole lines of a file that is still written to."""
    try:
        with open(path, "rb") as file:
            return file.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return []


def without(event, *paths):
    """A copy that lacks these members, and objects that are empty then."""
    event = json.loads(json.dumps(event))
    for path in paths:
        *above, last = path.split(".")
        objects = [event]
        for name in above:
            objects.append(objects[-1].get(name, {}))
        objects[-1].pop(last, None)
        for place in range(len(above), 0, -1):
            if not objects[place]:
                objects[place - 1].pop(above[place - 1], None)
    return event


def _difference(one, other, path=""):
    if isinstance(one, dict) and isinstance(other, dict):
        for name in [*one, *(name for name in other if name not in one)]:
            if one.get(name) != other.get(name):
                return _difference(one.get(name), other.get(name), f"{path}.{name}" if path else name)
    return f"{path}: {one!r}, expected {other!r}"


def arrived_equal(arrived, sent):
    """Equal, and in the order of what was sent. What is there twice must be the same event.
    Returns how many were there once more."""
    first = {}
    for event in arrived:
        key = get(event, "event.id")
        check(key, "an event without event.id:", str(event)[:300])
        known = first.setdefault(key, event)
        check(known == event, f"{key} arrived twice, and differs:", _difference(event, known))
    have = list(first.values())
    missing = [get(event, "event.id") for event in sent if get(event, "event.id") not in first]
    check(not missing, f"{len(missing)} of {len(sent)} did not arrive:", missing[:8])
    known = {get(event, "event.id") for event in sent}
    strange = [key for key in first if key not in known]
    check(not strange, f"{len(strange)} arrived that were not sent:", strange[:8])
    for one, other in zip(have, sent):
        equal(get(one, "event.id"), get(other, "event.id"), "the order")
        check(one == other, f"{get(one, 'event.id')} differs:", _difference(one, other))
    check(have, "nothing was sent")
    return len(arrived) - len(have)
