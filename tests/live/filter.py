#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Each filter twice around the same claims: in user space, behind the ledger, and with
--no-ledger in the kernel. Both must show the same events, and the kernel must have held
back something itself.

usage: filter.py [KIND...]     KIND: the name of a filter's option, without dashes
Environment: PORTSNOOP (program), TIER.
"""

import json
import os
import subprocess
import sys
from collections import Counter

import behavior_tool
import compare
import tracer
from behavior_tool import Claimer, Tool, at_end, check, clean_up, equal, get, parse_events

NOBODY = 65534
PORTS = 8020, 8021, 8022  # nothing else of the tests is there
CGROUPS = "/sys/fs/cgroup/unified", "/sys/fs/cgroup"
# Tracers at once: each is attached to all hooks.
AT_ONCE = 4

KINDS = ("port", "port of the pool", "pid", "uid", "comm", "comm of the process", "proto", "family", "netns",
         "trigger", "failed", "ephemeral", "cgroup", "cgroup below", "several")

# What a reader is told of an event, except when it came and what only the ledger knows.
TOLD = ("event.action", "event.outcome", "error.code", "network", "source", "destination", "server", "process",
        "portsnoop.trigger", "portsnoop.origin", "portsnoop.claimed", "portsnoop.local", "portsnoop.requested",
        "portsnoop.class", "portsnoop.mptcp", "portsnoop.cgroup", "portsnoop.netns")


class Cast:
    """Processes that differ in all that a filter asks for. `mark` is among their
    arguments."""

    def __init__(self, number):
        self.mark = f"portsnoop-filter-{os.getpid()}-{number}"
        self.cgroup = self.below = None
        cgroup = self.cgroup_make()
        self.plain, self.other, self.nobody = (Claimer(self.mark) for _ in range(3))
        # Its parent is there before any tracer, and so is it.
        self.child = Claimer(self.mark, prefix=("sh", "-c", '"$@"; exit', "sh"))
        self.parent = self.child.process.pid
        self.inside = Claimer(self.mark, prefix=("unshare", "-n"))
        self.netns = os.stat(f"/proc/{self.inside.pid}/ns/net").st_ino
        subprocess.run(["nsenter", "-t", str(self.inside.pid), "-n", "ip", "link", "set", "lo", "up"],
                       check=True)
        self.nobody.ask("become", NOBODY)
        self.refused = Claimer(self.mark)  # does nothing else
        self.claimers = [self.plain, self.other, self.nobody, self.child, self.inside]
        for path in (cgroup, cgroup + "/sub-with-a-name-that-is-longer-than-the-kernel-looks") if cgroup else ():
            os.mkdir(path)
            at_end(os.rmdir, path)
            self.claimers.append(Claimer(self.mark))
            with open(path + "/cgroup.procs", "w", encoding="ascii") as procs:
                procs.write(str(self.claimers[-1].pid))
            self.below = self.cgroup + path.removeprefix(cgroup)

    def cgroup_make(self):
        for mount in CGROUPS:
            if os.path.exists(os.path.join(mount, "cgroup.procs")):
                self.cgroup = "/" + self.mark
                return mount + self.cgroup
        return None

    def play(self):
        for claimer in self.claimers:
            self.claims(claimer)
        self.plain.ask("thread", "work-er thread", "udp4", "127.0.0.1", 0)
        self.other.ask("rename", "a longer name")
        self.other.ask("rename", "name")  # the kernel leaves the rest of the old one
        self.other.ask("claim", "tcp4", "127.0.0.1", 0)
        self.other.ask("thread", "", "tcp4", "127.0.0.1", 0)
        self.family = {self.plain.pid, self.child.pid}
        for claimer in (self.plain, self.child):
            self.family.add(claimer.ask("detach", "tcp6", "::1", 0)[0])
        for kind in ("udplite4", "mptcp4"):
            self.plain.ask("claim", kind, "127.0.0.1", 0)  # or an error, where a kernel has none
        self.refused.ask("connect", self.refused.ask("open", "tcp4"), "127.0.0.1", 1)
        for claimer in (self.refused, *self.claimers):
            claimer.done()

    def claims(self, claimer):
        listener, port = claimer.ask("claim", "tcp4", "127.0.0.1", 0)
        claimer.ask("listen", listener)
        client = claimer.ask("open", "tcp4")
        claimer.ask("connect", client, "127.0.0.1", port)
        claimer.ask("claim", "tcp4", "127.0.0.1", port)  # in use
        claimer.ask("claim", "udp6", "::1", 0)
        sender = claimer.ask("open", "udp4")
        claimer.ask("send", sender, "127.0.0.1", 9)
        claimer.ask("close", sender)
        refused = claimer.ask("open", "tcp6")
        claimer.ask("connect", refused, "::1", 1)
        bound, _ = claimer.ask("claim", "tcp4", "127.0.0.1", 0)
        claimer.ask("connect", bound, "127.0.0.1", 1)
        claimer.ask("listen", claimer.ask("open", "tcp6"))
        for port in PORTS:
            handle = claimer.ask("claim", "tcp4", "127.78.0.1", port)
            if isinstance(handle, list):
                claimer.ask("close", handle[0])
        claimer.ask("claim", "tcp4", "203.0.113.1", PORTS[0])  # not an address of ours
        claimer.ask("claim", "tcp6", "::ffff:127.78.0.2", PORTS[1])


def filters(cast):
    """(kind, options). A kind is shown to hold back and to let through."""
    yield "port", ("--port", f"{PORTS[0]},{PORTS[2]}-{PORTS[2] + 900}")
    # Of a connect that failed nothing is left but what was noted.
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as pool:
        yield "port of the pool", ("--port", "-".join(pool.read().split()))
    yield "pid", ("--pid", f"{cast.plain.pid},{cast.parent}")
    yield "uid", ("--uid", str(NOBODY))
    yield "comm", ("--comm", "work-er thread", "--comm", "name")
    with open(f"/proc/{cast.plain.pid}/comm", encoding="utf-8") as name:
        yield "comm of the process", ("--comm", name.read().rstrip("\n"))
    yield "proto", ("--proto", "udp,udplite,mptcp")
    yield "family", ("--family", "6")
    yield "netns", ("--netns", str(cast.netns))
    yield "trigger", ("--trigger", "connect,send")
    yield "failed", ("--failed",)
    yield "ephemeral", ("--ephemeral",)
    if cast.cgroup:
        yield "cgroup", ("--cgroup", cast.cgroup)
        yield "cgroup below", ("--cgroup", cast.below, "--cgroup", "/nobody/is/here")
    yield "several", ("--proto", "tcp", "--family", "4", "--trigger", "bind", "--uid", "0", "--ephemeral")


def told(event):
    return json.dumps({path: get(event, path) for path in TOLD}, sort_keys=True)


class Traced:
    def __init__(self, options):
        self.tool = Tool("trace", "-o", "json", "--release", *options)

    def stop(self, cast):
        events = parse_events(self.tool.stop())
        self.totals = self.tool.totals()
        self.kernel = get(events[-1], "portsnoop.totals")
        equal(self.kernel["lost"], 0, "lost")
        equal(self.kernel["untracked"], 0, "untracked")
        own = [event for event in events if cast.mark in (get(event, "process.args") or ())]
        self.pids = {get(event, "process.pid") for event in own}
        return Counter(map(told, own))


def filter_judge(kind, user, kernel, cast):
    have, want = kernel.stop(cast), user.stop(cast)
    surplus, missing = have - want, want - have
    check(not surplus, "the kernel lets through", surplus.total(), "more:", next(iter(surplus), None))
    check(not missing, "the kernel lets through", missing.total(), "less:", next(iter(missing), None))
    check(have.total(), "no event passes")
    if kind == "pid":
        equal(kernel.pids, cast.family, "the processes and their descendants")
    equal(user.kernel["filtered"], 0, "held back in the kernel, with a ledger")
    check(user.totals[2], "nothing was held back")
    check(kernel.kernel["filtered"], "nothing was held back in the kernel")
    # Sent only to be dropped is what the kernel cannot judge; here it can.
    equal(kernel.totals[2], kernel.kernel["filtered"], "filtered, by all and by the kernel")


def batch_run(tally, number, kinds):
    cast = Cast(number)
    pairs = []
    for kind, options in filters(cast):
        if kind in kinds:
            pairs.append((kind, Traced(options), Traced(("--no-ledger", *options))))
    for _, *both in pairs:
        for one in both:
            one.tool.started()
    cast.play()
    for kind, user, kernel in pairs:
        try:
            filter_judge(kind, user, kernel, cast)
            tally.add("ok", f"filter in the kernel: {kind}")
        except (behavior_tool.Failure, compare.Broken) as failure:
            tally.add("not ok", f"filter in the kernel: {kind}", str(failure))


def main():
    tracer.terminate_by_exception()
    tracer.need_root("filter")
    tally = compare.Tally()
    kinds = [kind for kind in KINDS if kind in (sys.argv[1:] or KINDS)]
    if not any(os.path.exists(os.path.join(mount, "cgroup.procs")) for mount in CGROUPS):
        for kind in [kind for kind in kinds if kind.startswith("cgroup")]:
            tally.add("skip", f"filter in the kernel: {kind}", "no cgroup v2 is mounted")
            kinds.remove(kind)
    for start in range(0, len(kinds), AT_ONCE):
        batch = kinds[start:start + AT_ONCE]
        try:
            batch_run(tally, start, batch)
        except (behavior_tool.Failure, compare.Broken) as failure:
            tally.add("not ok", f"filter in the kernel: {', '.join(batch)}", str(failure))
        finally:
            clean_up()
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
