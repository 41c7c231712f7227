# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""--save, and replay of what it wrote."""

import os
import signal
import socket
import stat
import subprocess
import threading

from behavior_tool import (Claimer, Skip, Tool, action, at_end, await_exit, await_true, check, equal, find,
                           get, is_event, is_port, parse_events, room, run, test)


def workload(claimer):
    """A little of everything: claims, failures, outcomes, releases."""
    listener, port = claimer.ask("claim", "tcp4", "127.0.0.1", 0)
    claimer.ask("listen", listener)
    client = claimer.ask("open", "tcp4")
    claimer.ask("connect", client, "127.0.0.1", port)
    equal(claimer.ask("claim", "tcp4", "127.0.0.1", port), {"errno": 98}, "a second bind")
    claimer.ask("close", client)
    sender = claimer.ask("open", "udp6")
    claimer.ask("send", sender, "::1", 9)
    claimer.ask("close", sender)
    return claimer.ask("claim", "tcp4", "127.0.0.1", 0)[1]


def replay_equals(options, env=None):
    claimer = Claimer()
    path = os.path.join(room(), "saved")
    tool = Tool("trace", "--save", path, *options, env=env)
    lines = [tool.started()]
    last = workload(claimer)
    lines += tool.reader.until(lambda line: str(last).encode() in line, "the last claim")
    lines += tool.stop()
    again = run("replay", *options, path, env=env)
    equal(again.status, 0, f"exit status of replay, it said {again.words()!r}")
    equal(again.out, b"".join(line + b"\n" for line in lines), "output of replay")
    equal(again.totals(), tool.totals(), "totals of replay")
    piped = subprocess.run(["sh", "-c", 'cat "$1" | "$0" replay "$2" "$3" -', tool.process.args[0],
                            path, *(options[:2] or ("-o", "table"))], env=dict(os.environ, **(env or {})),
                           stdin=subprocess.DEVNULL, capture_output=True, check=True)
    if len(options) <= 2:
        equal(piped.stdout, again.out, "output of replay from a pipe")
    return path, lines


for _name, _options, _env in (
        ("json", ("-o", "json"), None),
        ("csv", ("-o", "csv"), None),
        ("table", (), None),
        ("table in another time zone", (), {"TZ": "Asia/Kolkata"}),
        ("table of some columns", ("--columns", "TIME,EVENT,PID,LOCAL,REMOTE,RESULT,ARGS"),
         {"TZ": "UTC"}),
        ("json with releases", ("-o", "json", "--release"), None),
        ("table with releases", ("-o", "table", "--release"), None),
        ("json of some fields, filtered", ("-o", "json", "-f", "message,process.pid", "--proto", "tcp"),
         None)):
    test(f"save: replay is what was shown, byte for byte: {_name}")(
        lambda options=_options, env=_env: replay_equals(options, env))


@test("save: the time zone changes the table and nothing else")
def time_zone():
    path, lines = replay_equals((), {"TZ": "UTC"})
    other = run("replay", path, env={"TZ": "Asia/Kolkata"}).lines()
    equal([line[12:] for line in other], [line[12:] for line in lines], "all but the time")
    hour = int(lines[1][:2])
    minute = int(lines[1][3:5])
    equal(int(other[1][:2]) * 60 + int(other[1][3:5]), (hour * 60 + minute + 330) % 1440, "minutes")
    utc = run("replay", "-o", "json", path, env={"TZ": "Asia/Kolkata"}).lines()
    equal(utc, run("replay", "-o", "json", path, env={"TZ": "UTC"}).lines(), "JSON")


@test("save: the file keeps everything, whatever is shown")
def unfiltered():
    claimer = Claimer()
    path = os.path.join(room(), "saved")
    tool = Tool("trace", "-o", "json", "--save", path, "--port", "1")
    tool.started()
    port = workload(claimer)
    lines = tool.stop()
    equal([action(event) for event in parse_events(lines)], ["stream-end"], "shown")
    events = parse_events(run("replay", "-o", "json", "--release", path).lines())
    own = [event for event in events if get(event, "process.pid") == claimer.pid]
    kept = [action(event) for event in own if action(event) != "released-port"]
    equal(kept, ["bound-socket", "listen-for-connections", "connected-to", "connection-established",
                 "bound-socket", "autobound-socket", "bound-socket"], "claims kept")
    check(len(own) > len(kept), "no release was kept")
    find(own, port)
    equal(tool.totals()[0], sum(map(is_event, events)), "seen")


@test("save: only its owner can read the file")
def private():
    path = os.path.join(room(), "saved")
    old = os.umask(0)
    try:
        equal(run("trace", "--save", path, "--", "true").status, 0, "exit status")
    finally:
        os.umask(old)
    equal(stat.S_IMODE(os.stat(path).st_mode), 0o600, "mode")


def refused(path, words):
    # Its command must not run either.
    result = run("trace", "--save", path, "--", "sh", "-c", "echo ran >&2")
    equal(result.status, 1, "exit status")
    equal(result.out, b"", "output")
    equal(result.words(), f"portsnoop: {path}: {words}\n", "words")


@test("save: symbolic links, folders, pipes and what cannot be written are refused")
def no_file():
    folder = room()
    target = os.path.join(folder, "target")
    with open(target, "w", encoding="ascii") as file:
        file.write("precious")
    link = os.path.join(folder, "link")
    os.symlink(target, link)
    refused(link, "is a symbolic link; expected a regular file or a new name")
    with open(target, encoding="ascii") as file:
        equal(file.read(), "precious", "what the link leads to")
    refused(folder, "is not a regular file")
    pipe = os.path.join(folder, "pipe")
    os.mkfifo(pipe)
    refused(pipe, "is not a regular file")
    here = os.open(pipe, os.O_RDWR)  # also with somebody at its other end
    at_end(os.close, here)
    refused(pipe, "is not a regular file")
    refused("/dev/null", "is not a regular file")
    bound = os.path.join(folder, "socket")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(bound)
        refused(bound, "is not a regular file")
    refused(os.path.join(folder, "none", "saved"), "No such file or directory")
    refused("/proc/portsnoop-behavior", "No such file or directory")


@test("save: two recorders do not destroy each other's file")
def twice():
    path = os.path.join(room(), "saved")
    tool = Tool("trace", "-o", "json", "--save", path)
    tool.started()
    refused(path, "is being recorded to by another portsnoop")
    tool.stop()
    equal(run("replay", path).status, 0, "exit status of replay")


@test("save: a new recording replaces an older one")
def replaces():
    path = os.path.join(room(), "saved")
    with open(path, "wb") as file:
        file.write(b"x" * 1000000)
    equal(run("trace", "--save", path, "--", "true").status, 0, "exit status")
    equal(run("replay", path).status, 0, "exit status of replay")


@test("save: nothing happens to an older file when nothing can be traced")
def untouched():
    path = os.path.join(room(), "saved")
    with open(path, "wb") as file:
        file.write(b"precious")
    result = run("trace", "--save", path, prefix=("setpriv", "--bounding-set", "-all"))
    equal(result.status, 1, "exit status")
    with open(path, "rb") as file:
        equal(file.read(), b"precious", "the file")


@test("save: a full disk is told at once, and the tracing goes on")
def disk_full():
    folder = room()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder],
                             capture_output=True, text=True, check=False)
    if mounted.returncode:
        raise Skip(f"cannot mount a tmpfs: {mounted.stderr.strip()}")
    at_end(lambda: subprocess.run(["umount", folder], check=True))
    path = os.path.join(folder, "saved")
    claimer = Claimer()
    tool = Tool("trace", "-o", "json", "--save", path)
    tool.started()
    for _ in range(20):  # what was shown is in the file
        port = claimer.ask("claim", "udp4", "127.0.0.1", 0)[1]
        tool.reader.until(is_port(port, claimer.pid), "a claim")
    rest = []
    reader = threading.Thread(target=lambda: rest.extend(tool.reader.rest()))
    reader.start()

    def filled():
        claimer.ask("storm", "udp4", "127.0.0.1", 0, 500)
        return tool.words()

    # Room for what others claim meanwhile, too: a whole frame of it must not be the first.
    await_true("a message", filled)
    equal(tool.words(), f"portsnoop: {path}: the recording ends here: No space left on device\n", "words")
    _, port = claimer.ask("claim", "udp4", "127.0.0.1", 0)
    tool.send(signal.SIGTERM)
    equal(tool.status(), 1, "exit status")
    reader.join()
    check(any(map(is_port(port), rest)), "the last claim was not shown")
    tool.totals()
    again = run("replay", "-o", "json", path)
    equal(again.status, 1, "exit status of replay")
    check("ends without its last record" in again.words(), "words of replay:", again.words())
    events = parse_events(again.lines())
    check(sum(map(is_event, events)) >= 20, "events in the file:", len(events))


@test("save: SIGKILL costs the last moment at most")
def killed():
    claimer = Claimer()
    path = os.path.join(room(), "saved")
    tool = Tool("trace", "-o", "json", "--save", path)
    tool.started()
    ports = []
    for _ in range(20):  # what is shown has been recorded before
        ports.append(claimer.ask("claim", "tcp4", "127.0.0.1", 0)[1])
        tool.reader.until(is_port(ports[-1]), "the claim")
    tool.send(signal.SIGKILL)
    await_exit(tool.process)
    again = run("replay", "-o", "json", path)
    equal(again.status, 1, "exit status of replay")
    equal(again.words().split("\n")[0],
          f"portsnoop: {path}: ends without its last record (the recorder was killed?)", "words")
    events = parse_events(again.lines())
    own = [get(event, "portsnoop.local.port") for event in events
           if get(event, "process.pid") == claimer.pid]
    equal(own, ports, "ports")
    with open(path, "r+b") as file:  # in the middle of a frame
        file.truncate(os.path.getsize(path) - 5)
    again = run("replay", "-o", "json", path)
    equal(again.status, 1, "exit status of replay of the cut file")
    check("the file ends within frame" in again.words(), "words:", again.words())
    own = [event for event in parse_events(again.lines()) if get(event, "process.pid") == claimer.pid]
    check(0 < len(own) < 20, "events of the cut file:", len(own))


def output_ends(make_end, status):
    """The output is over; the recording is whole all the same."""
    claimer = Claimer()
    path = os.path.join(room(), "saved")
    tool = make_end(path)
    ports = [claimer.ask("claim", "tcp4", "127.0.0.1", 0)[1]]
    equal(tool.status(), status, "exit status")
    again = run("replay", "-o", "json", path)
    equal(again.status, 0, f"exit status of replay, it said {again.words()!r}")
    events = parse_events(again.lines())
    equal(action(events[-1]), "stream-end", "last record")
    return ports


@test("save: whole also when the reader of the output has gone")
def reader_gone():
    def make(path):
        tool = Tool("trace", "--save", path)
        tool.started()
        tool.process.stdout.close()
        tool.process.stdout = None
        return tool

    output_ends(make, 0)


@test("save: whole also when the output has no room")
def output_full():
    def make(path):
        with open("/dev/full", "wb") as full:
            return Tool("trace", "--save", path, stdout=full)

    output_ends(make, 1)


@test("replay: what is no recording")
def no_recording():
    folder = room()
    empty, text = os.path.join(folder, "empty"), os.path.join(folder, "text")
    with open(empty, "wb"), open(text, "wb") as file:
        file.write(b"Port,Protocol\n" * 10)
    for path, words in ((empty, "is empty"), (text, "is not a recording of portsnoop"),
                        (os.path.join(folder, "none"), "No such file or directory"),
                        (folder, "Is a directory")):
        result = run("replay", path)
        equal(result.status, 1, f"exit status of {path}")
        equal(result.out, b"", "output")
        equal(result.words(), f"portsnoop: {path}: {words}\n", "words")
