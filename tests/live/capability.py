#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What portsnoop can do as another user than root, with as few capabilities as a tier takes.

usage: capability.py [PATTERN...]
Environment: PORTSNOOP (program), TIER. PATTERN: names of tests, as globs.
"""

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys

from behavior_tool import (Claimer, Skip, Tool, action, at_end, await_true, check, end, equal, get,
                           parse_events, program, room, run, suite_run, test)
from who_situation import free_port

NOBODY = 65534
TRACING = "/sys/kernel/tracing"
SERVICE = "/run/portsnoop"
PARANOID = "/proc/sys/kernel/perf_event_paranoid"
LEAST = {"fentry": ("bpf", "perfmon"),
         "kprobe": ("bpf", "perfmon"),
         "tracepoint": ("bpf", "perfmon", "net_admin", "dac_read_search")}


def kernel():
    return tuple(int(number) for number in os.uname().release.split("-")[0].split(".")[:2])


def paranoid():
    with open(PARANOID, encoding="ascii") as file:
        return int(file.read())


def least(tier):
    """Of this machine."""
    more = ()
    if kernel() < (5, 11):
        more += ("sys_resource",)
    if tier != "fentry" and paranoid() > 2:
        more += ("sys_admin",)
    return LEAST[tier] + more


def as_nobody(capabilities, *more):
    words = ",".join(["-all", *(f"+{one}" for one in capabilities)])
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", f"--inh-caps={words}",
            f"--ambient-caps={words}", f"--bounding-set={words}", "--no-new-privs", *more]


def reachable():
    """A folder with the program in it, where everybody may run it."""
    folder = room()
    os.environ["PORTSNOOP"] = shutil.copy(program(), folder)
    return folder


def rights(pid):
    """[{name: value}] of the threads."""
    found = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status", encoding="utf-8", errors="replace") as file:
            found.append(dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line))
    return found


BUILT = program()


def tiers():
    told = json.loads(run("doctor", "-o", "json").out)
    wanted = os.environ.get("TIER")
    found = [tier["name"] for tier in told["tiers"] if tier["usable"] and wanted in (None, tier["name"])]
    if not found:
        raise Skip("no tier here")
    return found


def tracefs_mount():
    """As systemd does; some machines have it nowhere."""
    if not os.path.exists(f"{TRACING}/events"):
        subprocess.run(["mount", "-t", "tracefs", "tracefs", TRACING], check=True)
        at_end(subprocess.run, ["umount", TRACING])
    if os.stat(TRACING).st_mode & 0o077:
        raise Skip(f"{TRACING} is open to others")


def prepare():
    os.environ["PORTSNOOP"] = BUILT
    found = tiers()
    tracefs_mount()
    reachable()
    return found


@test("capability: the least of each tier is enough, for claims of other users too")
def enough():
    for tier in prepare():
        port = free_port()
        tool = Tool("trace", "-o", "json", "--tier", tier, prefix=as_nobody(least(tier)))
        tool.started()
        claimer = Claimer("the", "claimer")
        claimer.ask("listen", claimer.ask("claim", "tcp4", "127.0.0.1", port)[0])
        late = Claimer()
        equal(late.ask("claim", "tcp4", "127.0.0.1", port), {"errno": errno.EADDRINUSE}, "second claim")
        lines = tool.reader.until(lambda line: get(json.loads(line), "process.pid") == late.pid, "the second claim")
        events = parse_events(lines)
        bound = next(event for event in events if get(event, "portsnoop.local.port") == port)
        failed = events[-1]
        equal(get(bound, "process.pid"), claimer.pid, f"{tier}: claimant")
        equal(get(bound, "process.args")[-2:], ["the", "claimer"], f"{tier}: its arguments")
        equal(get(bound, "process.user.id"), "0", f"{tier}: its user")
        equal(get(failed, "error.code"), "EADDRINUSE", f"{tier}: error")
        equal([one["pid"] for one in get(failed, "portsnoop.blocked_by")], [claimer.pid], f"{tier}: what blocked")
        tool.stop()
        equal(tool.totals()[3], 0, "lost")


@test("capability: with the least the coverage is root's, but for SCTP")
def coverage():
    for tier in prepare():
        covered = []
        for prefix in ((), as_nobody(least(tier))):
            tool = Tool("trace", "-o", "json", "--tier", tier, prefix=prefix)
            start = json.loads(tool.started())
            equal(action(start), "stream-start", "the first record")
            covered.append(set(get(start, "portsnoop.stream.not_covered")))
            tool.stop()
        check(covered[1] - covered[0] <= {"sctp"}, f"{tier}: not covered:", covered[1] - covered[0])


@test("capability: any one less, and it names the one that is missing")
def missing():
    for tier in prepare():
        for capability in least(tier):
            rest = [one for one in least(tier) if one != capability]
            result = run("trace", "-o", "json", "--tier", tier, prefix=as_nobody(rest))
            equal((result.status, result.out), (1, b""), f"{tier} without {capability}: status and output")
            check(f"CAP_{capability.upper()} " in result.words() and "missing capability" in result.words(),
                  f"{tier} without {capability}: it said", repr(result.words()))


@test("capability: all that are missing are named at once")
def all_missing():
    prepare()
    result = run("trace", prefix=as_nobody(()))
    equal(result.status, 1, "exit status")
    check("CAP_BPF (to load programs) and CAP_PERFMON (to trace)" in result.words(), "it said",
          repr(result.words()))


@test("capability: without a tracefs it says how to mount it, or mounts it for itself")
def without_tracefs():
    if "tracepoint" not in prepare():
        raise Skip("no tracepoint tier here")
    for folder in (TRACING, "/sys/kernel/debug"):
        subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
        at_end(subprocess.run, ["umount", folder])
    words = ("trace", "-o", "json", "--tier", "tracepoint")
    result = run(*words, prefix=as_nobody(least("tracepoint")))
    equal(result.status, 1, "exit status")
    check("mount -t tracefs tracefs /sys/kernel/tracing; or missing capability CAP_SYS_ADMIN" in result.words(),
          "it said", repr(result.words()))
    most = (*least("tracepoint"), "sys_admin")
    result = run(*words, prefix=as_nobody([one for one in most if one != "dac_read_search"]))
    check("missing capability CAP_DAC_READ_SEARCH" in result.words(), "it said", repr(result.words()))
    tool = Tool(*words, prefix=as_nobody(most))
    tool.started()
    tool.stop()


@test("capability: doctor names what is missing, by tier")
def doctor():
    prepare()
    for capabilities, words in (((), ["without CAP_BPF (to load programs) and CAP_PERFMON (to trace)"]),
                                (("bpf", "perfmon"), ["CAP_NET_ADMIN (to attach to cgroups)"]),
                                (("bpf", "perfmon", "net_admin"), ["CAP_DAC_READ_SEARCH"])):
        text = run("doctor", prefix=as_nobody(capabilities)).out.decode()
        for word in words:
            check(word in text, f"with {capabilities}: no {word!r} in", text[:1500])


@test("capability: the thread that reads the ring has none, not even root's")
def reader():
    prepare()
    tool = Tool("trace", "-o", "json")
    tool.started()
    seen = [(int(one["Pid"]) == tool.pid, *(int(one[f"Cap{kind}"], 16) for kind in ("Prm", "Eff", "Bnd")))
            for one in rights(tool.pid)]
    others = [one for one in seen if not one[0]]
    check(others and not any(any(one[1:]) for one in others), "threads:", seen)
    tool.stop()


class Recorder(Tool):
    def __init__(self, database, prefix=()):
        super().__init__("record", "--db", database, stdout=subprocess.DEVNULL, prefix=prefix)
        self.database = database
        await_true("the recording", lambda: "recording to" in self.words() or self.process.poll() is not None)
        check(self.process.poll() is None, "it ended:", self.words())

    def failure(self, claimer):
        """The failure of a process, once it is written."""

        def written():
            lines = run("history", "--db", self.database, "--failed", "-o", "json").lines()
            return next((event for event in parse_events(lines) if get(event, "process.pid") == claimer.pid), None)

        return await_true("the failure in the history", written)


def nothing_left(recorder):
    for status in rights(recorder.pid):
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            equal(int(status[name], 16), 0, f"{name} of a thread")
        equal((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"), "no_new_privs and seccomp of a thread")
    check(len(rights(recorder.pid)) > 1, "it has one thread only")


def late_claim(port):
    """A process that failed to get the port."""
    late = Claimer()
    equal(late.ask("claim", "tcp4", "127.0.0.1", port), {"errno": errno.EADDRINUSE}, "second claim")
    return late


class Share:
    """An accepted connection makes no record, and who listened did so before the recorder
    began: that it blocks something is known to the kernel alone."""

    def __init__(self):
        self.port = free_port()
        self.server = socket.create_server(("127.0.0.1", self.port))

    def found_by(self, recorder):
        client = socket.create_connection(("127.0.0.1", self.port))
        accepted, _ = self.server.accept()
        self.server.close()
        heir = subprocess.Popen(["sleep", "1000"], pass_fds=[accepted.fileno()])
        at_end(end, heir)
        accepted.close()
        # Whose it is could be told by a walk over all open files alone, which is in others' way.
        self.blocks(recorder, None, "established")
        end(heir)
        client.close()
        self.blocks(recorder, None, "time_wait")

    def blocks(self, recorder, pid, state):
        blockers = get(recorder.failure(late_claim(self.port)), "portsnoop.blocked_by") or []
        equal([(one["pid"], one["state"]) for one in blockers], [(pid, state)], "what blocked")


@test("capability: a recorder of root's gives up everything, and still finds what blocks")
def recorder_of_root():
    prepare()
    share = Share()
    recorder = Recorder(os.path.join(room(), "history.db"))
    nothing_left(recorder)
    for status in rights(recorder.pid):
        equal(int(status["CapBnd"], 16), 0, "CapBnd of a thread")
    share.found_by(recorder)
    recorder.send(signal.SIGTERM)
    equal(recorder.status(), 0, f"exit status, it said {recorder.words()!r}")


@test("capability: a recorder with a user of its own serves in its own folder, root and that user see all")
def recorder_of_user():
    tier = prepare()[0]
    folder = room()
    for path in (folder, SERVICE):
        os.chown(path, NOBODY, NOBODY)
    at_end(os.chown, SERVICE, 0, 0)
    share = Share()
    recorder = Recorder(os.path.join(folder, "history.db"), as_nobody(least(tier)))
    nothing_left(recorder)
    share.found_by(recorder)
    port = free_port()
    server = socket.create_server(("127.0.0.1", port))
    for prefix in ((), as_nobody(())):
        result = run("record", "--status", prefix=prefix)
        equal((result.status, result.words()), (0, ""), f"status of --status with {prefix}")

        def claimant():
            found = parse_events(run("who", str(port), "-o", "json", prefix=prefix).lines())
            return found and get(found[0], "portsnoop.claimant")

        equal(await_true("the claimant", claimant)["pid"], os.getpid(), f"claimant, asked by {prefix}")
    server.close()
    recorder.send(signal.SIGTERM)
    equal(recorder.status(), 0, f"exit status, it said {recorder.words()!r}")
    equal(os.listdir(SERVICE), [], "what it left behind")


if __name__ == "__main__":
    sys.exit(suite_run("capability"))
