# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""`trace -- COMMAND`: its tree and nothing else, and its exit status."""

import json
import os
import signal
import subprocess
import sys

from behavior_tool import (HERE, Claimer, Reader, Tool, action, at_end, await_true, check, end, equal, get,
                           is_event, parse_events, room, run, test)

CLAIMER = os.path.join(HERE, "behavior_claimer.py")


def pid_of_child(tool):
    def child():
        with open(f"/proc/{tool.pid}/task/{tool.pid}/children", encoding="ascii") as children:
            return children.read().split()

    return int(await_true("a child", child)[0])


class Traced(Tool):
    """A claimer under the tool, which writes to a file: stdout is the claimer's."""

    def __init__(self, *options):
        self.path = os.path.join(room(), "trace.ndjson")
        self.there, child_out = os.pipe()
        at_end(os.close, self.there)
        command = ["sh", "-c", f'exec "$0" "$@" >&{child_out}', sys.executable, CLAIMER]
        with open(self.path, "wb") as output:
            super().__init__("trace", "-o", "json", *options, "--", *command, stdout=output,
                             stdin=subprocess.PIPE, pass_fds=(child_out,))
        os.close(child_out)
        self.answers = Reader(self.there)

    def ask(self, *words):
        self.process.stdin.write(json.dumps(words).encode() + b"\n")
        self.process.stdin.flush()
        line = self.answers.line("the command's answer")
        check(line is not None, "the command has ended:", self.words())
        return json.loads(line)

    def events(self):
        self.process.stdin.close()
        equal(self.status(), 0, f"exit status, it said {self.words()!r}")
        with open(self.path, "rb") as output:
            return parse_events(output.read().split(b"\n")[:-1])


@test("command: it, its threads and a grandchild in a session of its own, and nobody else")
def tree_only():
    other = Claimer()
    tool = Traced()
    pid = tool.ask("pid")
    busy = subprocess.Popen([sys.executable, CLAIMER], stdin=subprocess.PIPE,
                            stdout=subprocess.DEVNULL)
    at_end(end, busy)
    busy.stdin.write(b'["storm", "udp4", "127.0.0.1", 0, 20000]\n')
    busy.stdin.flush()
    _, first = tool.ask("claim", "tcp4", "127.0.0.1", 0)
    _, threaded, tid = tool.ask("thread", "worker", "tcp4", "127.0.0.1", 0)
    grandchild, detached = tool.ask("detach", "udp4", "127.0.0.1", 0)
    other.ask("storm", "tcp4", "127.0.0.1", 0, 50)
    _, last = tool.ask("claim", "udp4", "127.0.0.1", 0)
    events = [event for event in tool.events() if is_event(event)]
    seen = [(get(event, "process.pid"), get(event, "process.thread.id"),
             get(event, "portsnoop.local.port")) for event in events]
    equal(seen, [(pid, None, first), (pid, tid, threaded), (grandchild, None, detached),
                 (pid, None, last)], "claims")
    equal(get(events[1], "process.thread.name"), "worker", "name of the thread")
    seen, delivered, filtered, lost, _ = tool.totals()
    equal((delivered, lost), (4, 0), "delivered and lost")
    check(filtered >= 50, "of", seen, "only", filtered, "were filtered")


@test("command: from its first instruction")
def first_instruction():
    # The interpreter is found and started by the shell: fork and exec before the
    # first claim.
    result = run("trace", "-o", "json", "--", "sh", "-c",
                 f'"{sys.executable}" -S -E -c "import socket; socket.socket().bind((\'127.0.0.1\', 0))";'
                 " exit 0")
    events = [event for event in parse_events(result.lines()) if is_event(event)]
    equal(len(events), 1, "events")
    equal(get(events[0], "process.args")[1:3], ["-S", "-E"], "arguments")
    equal(get(events[0], "process.parent.name"), "sh", "parent")


def status_of(words, status):
    result = run("trace", "-o", "json", "--", *words)
    equal(result.status, status, "exit status")
    result.totals()
    equal(action(parse_events(result.lines())[-1]), "stream-end", "last record")


for _name, _words, _status in (
        ("0", ["true"], 0), ("7", ["sh", "-c", "exit 7"], 7),
        ("128 and the signal", ["sh", "-c", "kill -KILL $$"], 137)):
    test(f"command: exit status {_name} is passed on")(
        lambda words=_words, status=_status: status_of(words, status))


@test("command: one that is not found is 127, one that cannot run is 126")
def not_there():
    folder = room()
    plain = os.path.join(folder, "plain")
    with open(plain, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\n")
    for command, status, words in (
            ("/nonexistent/command", 127, "No such file or directory"),
            ("no-such-command-anywhere", 127, "No such file or directory"),
            (plain, 126, "Permission denied"), (folder, 126, "Permission denied")):
        result = run("trace", "--", command)
        equal(result.status, status, f"exit status of {command}")
        equal(result.out, b"", "output")
        equal(result.words(), f"portsnoop: {command}: {words}\n", "words")


@test("command: Ctrl-C goes to the group, and the command decides")
def control_c():
    # One that dies of it, and one that takes it.
    for script, status in (("echo >&2 ready; exec sleep 1000", 130),
                           ("trap 'kill $p; exit 5' INT; sleep 1000 >&2 & p=$!; echo >&2 ready; wait", 5)):
        tool = Tool("trace", "-o", "json", "--", "sh", "-c", script)
        await_true("the command", lambda: "ready" in tool.words())
        group = os.getpgid(tool.pid)
        os.killpg(group, signal.SIGINT)
        lines = tool.reader.rest()
        equal(tool.status(), status, "exit status")
        equal(action(parse_events(lines)[-1]), "stream-end", "last record")
        tool.totals()


@test("command: killed before it began, it is not run")
def killed_early():
    tool = Tool("trace", "--", "sh", "-c", "echo ran >&2; exit 9")
    child = pid_of_child(tool)
    os.kill(child, signal.SIGKILL)
    equal(tool.status(), 137, "exit status")
    check("ran" not in tool.words(), "words:", tool.words())


@test("command: SIGTERM to portsnoop ends the command as well")
def terminated():
    tool = Tool("trace", "-o", "json", "--", "sh", "-c", "echo >&2 ready; exec sleep 1000")
    await_true("the command", lambda: "ready" in tool.words())
    tool.send(signal.SIGTERM)
    lines = tool.reader.rest()
    equal(tool.status(), 143, "exit status")
    equal(action(parse_events(lines)[-1]), "stream-end", "last record")
    tool.totals()


@test("command: one that does not listen cannot hold portsnoop up")
def deaf():
    tool = Tool("trace", "--", "sh", "-c", "trap '' TERM; echo >&2 ready; exec sleep 1000")
    child = pid_of_child(tool)
    at_end(os.kill, child, signal.SIGKILL)
    await_true("the command", lambda: "ready" in tool.words())
    tool.send(signal.SIGTERM)
    await_true("the totals", lambda: "seen = " in tool.words())
    tool.send(signal.SIGTERM)
    equal(tool.status(), 1, "exit status")
    check(f"the command goes on, as process {child}" in tool.words(), "words:", tool.words())
    os.kill(child, 0)


@test("command: children that outlive it do not hold portsnoop up")
def outlived():
    here, there = os.pipe()  # its other end is what the child waits for
    at_end(os.close, there)
    path = os.path.join(room(), "trace.ndjson")
    with open(path, "wb") as output:
        tool = Tool("trace", "-o", "json", "--", "sh", "-c", "cat >/dev/null & echo $! >&2; exit 3",
                    stdout=output, stdin=here)
    os.close(here)
    equal(tool.status(), 3, "exit status")
    os.kill(int(tool.words().split()[0]), 0)
    with open(path, "rb") as output:
        equal(action(parse_events(output.read().split(b"\n")[:-1])[-1]), "stream-end", "last record")


@test("command: goes on behind --count, and its status still counts")
def behind_count():
    result = run("trace", "-o", "json", "--count", "1", "--", sys.executable, "-c",
                 "import socket, sys\nfor i in range(20): socket.socket().bind(('127.0.0.1', 0))\n"
                 "sys.exit(4)")
    equal(result.status, 4, "exit status")
    equal(sum(map(is_event, parse_events(result.lines()))), 1, "events")


@test("command: its options are its own, and its output passes through")
def own_options():
    result = run("trace", "-o", "json", "--", "sh", "-c", 'echo "$0 $*" >&2', "-x", "--port", "80")
    equal(result.status, 0, "exit status")
    check(result.words().startswith("-x --port 80\n"), "words:", result.words())


@test("command: what it does not inherit")
def inherits():
    result = run("trace", "-o", "json", "--", "sh", "-c",
                 "ls /proc/self/fd >&2; grep -E 'Sig(Ign|Blk)' /proc/self/status >&2")
    words = result.words().split("\n")
    equal([word for word in words if word.isdigit()], ["0", "1", "2", "3"],
          "descriptors: its own three, and that of ls")
    # What whoever runs this test ignores, the command ignores as well; we add nothing.
    alone = run("-c", "grep -E 'Sig(Ign|Blk)' /proc/self/status >&2", command="sh").words().split("\n")
    for name in ("SigBlk:", "SigIgn:"):
        equal(*([word for word in some if word.startswith(name)] for some in (words, alone)), name)


@test("command: ignores what it is to ignore, as without portsnoop")
def ignores():
    prefix = ("env", "--ignore-signal=HUP", "--ignore-signal=INT")
    words = ("sh", "-c", "grep SigIgn /proc/self/status >&2")
    alone = run(*words[1:], command=words[0], prefix=prefix).words()
    check(int(alone.split()[1], 16) & 3 == 3, "signals ignored without portsnoop:", alone)
    equal(run("trace", "-o", "json", "--", *words, prefix=prefix).words().split("\n")[0] + "\n", alone,
          "signals ignored")
