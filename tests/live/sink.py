#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Where the events of trace and record go, and the processes that bring them there.

usage: sink.py [PATTERN...]
Environment: PORTSNOOP (program), TIER. PATTERN: names of tests, as globs.
"""

import collections
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading

from behavior_tool import (HERE, Reader, Skip, Tool, action, at_end, await_true, check, end, equal, find, get,
                           is_event, parse_events, room, run, suite_run, test)
from record_tool import Recorder

CLAIM = """
import json, socket, sys
for line in sys.stdin:
    made = []
    for _ in range(int(line)):
        for kind, name in ((socket.SOCK_STREAM, "tcp"), (socket.SOCK_DGRAM, "udp")):
            one = socket.socket(socket.AF_INET, kind)
            one.bind(("127.0.0.1", 0))
            made.append((one, name))
    print(json.dumps([[name, *one.getsockname()] for one, name in made]), flush=True)
    for one, _ in made:
        one.close()
"""


class Claimer:
    def __init__(self):
        self.process = subprocess.Popen([sys.executable, "-c", CLAIM], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.reader = Reader(self.process.stdout.fileno())
        self.pid = self.process.pid
        self.claims = []
        at_end(end, self.process)

    def claim(self, pairs):
        """Binds and closes so many sockets of TCP, and of UDP; what it has claimed so far."""
        self.process.stdin.write(b"%d\n" % pairs)
        self.process.stdin.flush()
        self.claims += [tuple(claim) for claim in json.loads(self.reader.line("what was claimed"))]
        return collections.Counter(self.claims)


class Receiver:
    """Takes lines on a unix socket, from one connection after the other, once it is open."""

    def __init__(self, path):
        self.path = path
        self.lines = []
        self.listener = None

    def open(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        threading.Thread(target=self.run, daemon=True).start()
        at_end(self.close)
        return self

    def close(self):
        self.listener.close()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines:
                for line in lines:
                    if line.endswith(b"\n"):
                        self.lines.append(line[:-1])

    def events(self):
        return parse_events(list(self.lines))


def file_events(path):
    if not os.path.exists(path):
        return []
    with open(path, "rb") as file:
        return parse_events(file.read().split(b"\n")[:-1])


def claims_of(events, pid, wanted="bound-socket"):
    return collections.Counter(
        (get(event, "network.transport"), get(event, "portsnoop.local.ip"), get(event, "portsnoop.local.port"))
        for event in events if action(event) == wanted and get(event, "process.pid") == pid)


def await_claims(events, claimer, what):
    """Claims and releases, each once."""
    want = collections.Counter(claimer.claims)
    await_true(what, lambda: claims_of(events(), claimer.pid) == want
               and claims_of(events(), claimer.pid, "released-port") == want)


def numbers(events):
    return [get(event, "event.sequence") for event in events]


def check_whole(events, stream=1):
    """All of the stream, in order, each once."""
    equal(numbers(events), list(range(1, len(events) + 1)), "numbers of the events")
    equal(len({get(event, "event.id").partition("-")[0] for event in events}), stream, "streams")


def status_of(recorder):
    result = run("record", "--status", "-o", "json")
    for one in parse_events(result.lines()):
        if one["pid"] == recorder.pid:
            return one
    return None


def sinks_of(recorder):
    """By their names; {} as long as it gives no answer."""
    told = status_of(recorder)
    return {sink["name"]: sink for sink in told["sinks"]} if told else {}


def couriers(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def proc_status(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


@test("record: a file and a unix socket get what was claimed, all of it and in order")
def equal_sets():
    folder, claimer = room(), Claimer()
    receiver = Receiver(f"{folder}/socket").open()
    path = f"{folder}/events.json"
    recorder = Recorder(f"{folder}/h.db", "--sink", f"file:{path}", "--sink", f"unix:{receiver.path}").started()
    claimer.claim(200)
    await_claims(lambda: file_events(path), claimer, "claims in the file")
    await_claims(receiver.events, claimer, "claims at the socket")
    recorder.stop()
    await_true("the end of the stream", lambda: receiver.lines and b'"stream-end"' in receiver.lines[-1])
    events = file_events(path)
    check_whole(events)
    equal(receiver.events(), events, "events at the socket")
    equal((action(events[0]), action(events[-1])), ("stream-start", "stream-end"), "ends of the stream")
    check(f"sink file:{path}: {len(events)} events delivered\n" in recorder.words(), recorder.words())
    check(os.path.isdir(f"{folder}/h.db-spool"), "a spool")


@test("record: a file that was moved away is opened anew by SIGHUP, and nothing is missing or twice")
def reopened():
    folder, claimer = room(), Claimer()
    path = f"{folder}/events.json"
    recorder = Recorder(f"{folder}/h.db", "--sink", f"file:{path}").started()
    claimer.claim(50)
    await_claims(lambda: file_events(path), claimer, "claims in the file")
    os.rename(path, f"{path}.1")
    recorder.send(signal.SIGHUP)
    recorder.says("opened the database anew")
    claimer.claim(50)
    both = [f"{path}.1", path]
    await_claims(lambda: [event for one in both for event in file_events(one)], claimer, "claims in both files")
    check(file_events(path), "nothing in the new file")
    recorder.stop()
    check_whole([event for one in both for event in file_events(one)])


@test("record: killed, what was in a sink's queue arrives all the same")
def killed():
    folder, claimer = room(), Claimer()
    receiver = Receiver(f"{folder}/socket")
    name = f"unix:{receiver.path}"
    recorder = Recorder(f"{folder}/h.db", "--sink", f"{name},spool=0").started()
    claimer.claim(100)
    # Of other programs, too: more may come until it is killed.
    sink = await_true("what waits", lambda: sinks_of(recorder).get(name, {"waiting": 0})["waiting"] >= 400
                      and sinks_of(recorder)[name])
    check(sink["away_since"] and sink["why"], sink)
    delivered = await_true("its courier", lambda: couriers(recorder.pid))
    receiver.open()
    os.kill(recorder.pid, signal.SIGKILL)
    await_true("the courier's end", lambda: not os.path.exists(f"/proc/{delivered[0]}"))
    await_claims(receiver.events, claimer, "claims at the socket")
    check_whole(receiver.events())


@test("record: what waited for a destination in its spool comes first when another recorder has begun")
def spooled():
    folder, claimer = room(), Claimer()
    receiver = Receiver(f"{folder}/socket")
    name = f"unix:{receiver.path}"
    recorder = Recorder(f"{folder}/h.db", "--sink", name).started()
    claimer.claim(100)
    await_true("what waits", lambda: sum(sinks_of(recorder).get(name, {"waiting": 0, "spooled": 0})[one]
                                         for one in ("waiting", "spooled")) >= 400)
    recorder.stop()
    check("kept for the next time" in recorder.words(), recorder.words())
    receiver.open()
    other = Recorder(f"{folder}/h.db", "--sink", name).started()
    claimer.claim(100)
    await_claims(receiver.events, claimer, "claims at the socket")
    other.stop()
    events = receiver.events()
    second = [at for at, event in enumerate(events) if action(event) == "stream-start"][1]
    check_whole(events[:second])
    check_whole(events[second:])


@test("record: its couriers have no capabilities, and no system calls that they do not need")
def guarded():
    folder = room()
    recorder = Recorder(f"{folder}/h.db", "--sink", f"file:{folder}/events.json", "--sink",
                        "tcp:127.0.0.1:1,spool=0", "--sink", "journald").started()
    found = couriers(recorder.pid)
    equal(len(found), 3, "couriers")
    for pid in found:
        words = proc_status(pid)
        equal(words["Name"], "portsnoop-sink", "name")
        equal({words[one] for one in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}, {"0" * 16},
              "capabilities")
        equal((words["NoNewPrivs"], words["Seccomp"]), ("1", "2"), "no_new_privs, and seccomp")
        held = {os.readlink(f"/proc/{pid}/fd/{one}") for one in os.listdir(f"/proc/{pid}/fd")}
        check(not any("bpf" in one or "h.db" in one and "spool" not in one for one in held), "it holds", held)
    recorder.stop()
    await_true("their end", lambda: not any(os.path.exists(f"/proc/{pid}") for pid in found))


@test("record: sinks of its configuration file; SIGHUP says of others that they come with the next start")
def configured():
    folder, claimer = room(), Claimer()
    config, paths = f"{folder}/portsnoop.conf", [f"{folder}/a.json", f"{folder}/b.csv"]
    with open(config, "w", encoding="utf-8") as file:
        file.write(f"sink = file:{paths[0]}\nsink = file:{paths[1]},format=csv\n")
    recorder = Recorder(f"{folder}/h.db", "--config", config).started()
    claimer.claim(5)
    await_claims(lambda: file_events(paths[0]), claimer, "claims in the first file")
    with open(config, "a", encoding="utf-8") as file:
        file.write(f"sink = file:{folder}/c.json\n")
    recorder.send(signal.SIGHUP)
    recorder.says("sink, format and spool take effect with the next start")
    with open(config, "w", encoding="utf-8") as file:
        file.write("sink = clickhouse:http://me:secret@/\n")
    recorder.send(signal.SIGHUP)
    recorder.says("nothing has changed")
    check("secret" not in recorder.words(), recorder.words())
    recorder.stop()
    check(not os.path.exists(f"{folder}/c.json"), "a third file")
    with open(paths[1], encoding="utf-8") as file:
        rows = [line for line in file if f",{claimer.pid}," in line]
    equal(len(rows), 20, "rows of the claimer")


@test("record: --status tells of its sinks; others than root learn their kinds alone")
def status():
    folder = room()
    path = f"{folder}/events.json"
    recorder = Recorder(f"{folder}/h.db", "--sink", f"file:{path}", "--sink", f"unix:{folder}/none").started()
    Claimer().claim(5)
    told = await_true("a delivery", lambda: sinks_of(recorder).get(f"file:{path}", {"delivered": 0})["delivered"] > 20
                      and sinks_of(recorder).get(f"unix:{folder}/none", {"why": None})["why"]
                      and status_of(recorder))
    sinks = {sink["name"]: sink for sink in told["sinks"]}
    away = sinks[f"unix:{folder}/none"]
    check(away["delivered"] == 0 and away["waiting"] + away["spooled"] > 20 and away["away_since"], away)
    check(any(f"unix:{folder}/none is away: " in one for one in told["problems"]), told["problems"])
    setpriv = shutil.which("setpriv")
    if setpriv:
        result = run("record", "--status", "-o", "json",
                     prefix=(setpriv, "--reuid=65534", "--regid=65534", "--clear-groups"))
        mine = [one for one in parse_events(result.lines()) if one["pid"] == recorder.pid]
        check(mine, "no answer for nobody:", result.words())
        equal([(sink["name"], sink["why"]) for sink in mine[0]["sinks"]], [("file", None), ("unix", None)],
              "what nobody is told")
    recorder.stop()


@test("trace: with a sink standard output gets nothing, and filters hold")
def traced():
    folder, claimer = room(), Claimer()
    path = f"{folder}/events.json"
    tool = Tool("trace", "--sink", f"file:{path}", "--pid", str(claimer.pid), "--release", "--proto", "udp")
    await_true("the start", lambda: file_events(path))
    claimer.claim(20)
    claimer.claims = [claim for claim in claimer.claims if claim[0] == "udp"]
    await_claims(lambda: file_events(path), claimer, "claims in the file")
    equal(tool.stop(), [], "what standard output got")
    events = [event for event in file_events(path) if is_event(event)]
    equal({(get(event, "process.pid"), get(event, "network.transport")) for event in events},
          {(claimer.pid, "udp")}, "whose events they are")
    equal(tool.totals()[1], len(events), "delivered")


@test("trace: --sink stdout is standard output, with what COMMAND claims")
def traced_command():
    port = 47123
    command = ("import socket\none = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
               f"one.bind(('127.0.0.1', {port}))\n")
    result = run("trace", "--sink", "stdout", "--", sys.executable, "-c", command)
    equal(result.status, 0, f"exit status, it said {result.words()!r}")
    find(parse_events(result.lines()), port)


@test("trace: it ends when all of its sinks have")
def sinkless():
    folder = room()
    path = f"{folder}/events.json"
    tool = Tool("trace", "--sink", f"file:{path}", "--sink", f"unix:{folder}/none")
    await_true("the start", lambda: file_events(path))
    found = couriers(tool.pid)
    equal(len(found), 2, "couriers")
    for pid in found:
        check(tool.process.poll() is None, "it has ended with", pid, "alive")
        os.kill(pid, signal.SIGKILL)
    equal(tool.status(), 1, f"exit status, it said {tool.words()!r}")
    equal(tool.words().count("was killed by signal 9"), 2, f"deaths told: {tool.words()!r}")


@test("trace: a sink that cannot be had is refused before anything is watched")
def refused():
    folder = room()
    result = run("trace", "--sink", f"file:{folder}/none/events.json", "--", "true")
    equal(result.status, 1, "exit status")
    check(f"sink file:{folder}/none/events.json: " in result.words(), result.words())
    result = run("trace", "--sink", "stdout", "-o", "json")
    equal((result.status, result.out), (2, b""), "exit status, and output")


@test("trace: a heartbeat comes to sinks while nothing happens, and is in the recording")
def heartbeat():
    folder = room()
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if not compiler:
        raise Skip("no compiler for what makes the minute shorter")
    hurry = f"{folder}/hurry.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", hurry, os.path.join(HERE, "sink_hurry.c")], check=True)
    path = f"{folder}/events.json"
    tool = Tool("trace", "--sink", f"file:{path}", "--save", f"{folder}/saved", env={"LD_PRELOAD": hurry})

    def beats():
        return [event for event in file_events(path) if action(event) == "heartbeat"]

    await_true("heartbeats", lambda: len(beats()) >= 3)
    seen = [get(event, "portsnoop.totals.seen") for event in beats()]
    check(seen == sorted(seen), "seen:", seen)
    equal({get(event, "event.kind") for event in beats()}, {"metric"}, "kind")
    tool.stop()
    result = run("replay", "-o", "json", f"{folder}/saved")
    equal(result.status, 0, "exit status of the replay")
    equal(parse_events(result.lines()), [event for event in file_events(path)
                                         if action(event) != "released-port"], "the replay")


if __name__ == "__main__":
    sys.exit(suite_run("sink"))
