# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Filters: one recording, and for each filter what an evaluation of the unfiltered
JSON gives that knows nothing of portsnoop's code."""

import ipaddress
import os
import pwd
import subprocess

from behavior_tool import (Claimer, Skip, Tool, at_end, check, clean_up, equal, folder_kept, get, is_event, is_port,
                           parse_events, run, test)

NOBODY = 65534
CGROUPS = "/sys/fs/cgroup/unified", "/sys/fs/cgroup"


class Recorded:
    """What all tests here read; made when the first one asks, gone with this process."""

    def __init__(self):
        self.path = os.path.join(folder_kept(), "saved")
        self.cgroup = None
        self.own = {}
        try:
            self.make()
        finally:
            clean_up()
        self.events = [event for event in parse_events(self.replay("--release").lines())
                       if is_event(event)]

    def replay(self, *options):
        result = run("replay", "-o", "json", *options, self.path)
        equal(result.status, 0, f"exit status of replay {options}: {result.words()!r}")
        return result

    def cgroup_make(self):
        for mount in CGROUPS:
            if os.path.exists(os.path.join(mount, "cgroup.procs")):
                self.cgroup = f"/portsnoop-behavior-{os.getpid()}"
                path = mount + self.cgroup
                for folder in (path, path + "/sub"):
                    os.mkdir(folder)
                    at_end(os.rmdir, folder)
                return path
        return None

    def make(self):
        path = self.cgroup_make()
        plain, nobody = Claimer(), Claimer()
        inside = Claimer(prefix=("unshare", "-n"))
        subprocess.run(["nsenter", "-t", str(inside.pid), "-n", "ip", "link", "set", "lo", "up"],
                       check=True)
        nobody.ask("become", NOBODY)
        self.own = {"plain": plain.pid, "nobody": nobody.pid, "inside": inside.pid}
        self.netns = os.stat(f"/proc/{inside.pid}/ns/net").st_ino
        claimers = [plain, nobody, inside]
        for where in (path, path + "/sub") if path else ():
            claimers.append(Claimer())
            with open(where + "/cgroup.procs", "w", encoding="ascii") as procs:
                procs.write(str(claimers[-1].pid))
        tool = Tool("trace", "-o", "json", "--save", self.path)
        tool.started()
        by_file = Tool("trace", "-o", "json", "--netns", f"/proc/{inside.pid}/ns/net")
        by_file.started()
        for claimer in claimers:
            self.claims(claimer)
        plain.ask("thread", "work-er thread", "tcp4", "127.0.0.1", 0)
        plain.ask("rename", "other name")
        plain.ask("claim", "tcp4", "127.0.0.1", 0)
        for kind in ("udplite4", "mptcp4"):
            plain.ask("claim", kind, "127.0.0.1", 0)  # or an error, where a kernel has none
        port = inside.ask("claim", "tcp4", "127.0.0.1", 0)[1]
        self.by_file = {"live": by_file.reader.until(is_port(port, inside.pid), "a claim")}
        by_file.stop()
        tool.stop()
        # As long as it is there.
        self.by_file["replay"] = self.replay("--netns", f"/proc/{inside.pid}/ns/net").lines()
        for claimer in claimers:
            claimer.done()

    def claims(self, claimer):
        listener, self.port = claimer.ask("claim", "tcp4", "127.0.0.1", 0)
        claimer.ask("listen", listener)
        client = claimer.ask("open", "tcp4")
        claimer.ask("connect", client, "127.0.0.1", self.port)
        claimer.ask("claim", "tcp4", "127.0.0.1", self.port)  # in use
        claimer.ask("claim", "udp6", "::1", 0)
        sender = claimer.ask("open", "udp4")
        claimer.ask("send", sender, "127.0.0.1", 9)
        claimer.ask("close", sender)
        refused = claimer.ask("open", "tcp6")
        claimer.ask("connect", refused, "::1", 1)
        implicit = claimer.ask("open", "tcp6")
        claimer.ask("listen", implicit)
        claimer.ask("claim", "tcp4", "127.77.0.1", 8000)
        claimer.ask("claim", "tcp4", "127.77.0.1", 8010)
        claimer.ask("claim", "tcp4", "127.77.0.1", 8011)
        claimer.ask("claim", "tcp6", "::ffff:127.77.0.2", 8012)


_recorded = []


def recorded():
    if not _recorded:
        _recorded.append(None)  # tried once
        _recorded[0] = Recorded()
    check(_recorded[0], "there is no recording")
    return _recorded[0]


def ports(event):
    """The port that it has; of a bind that failed, the wanted one as well."""
    found = {get(event, "portsnoop.local.port")}
    if get(event, "event.action") == "bound-socket" and get(event, "event.outcome") == "failure":
        found.add(get(event, "portsnoop.requested.port"))
    return found - {None}


def family(event):
    """Of the socket: a v4-mapped address is one of IPv6."""
    for path in ("portsnoop.local.ip", "portsnoop.requested.ip", "destination.ip"):
        if get(event, path):
            return ipaddress.ip_address(get(event, path)).version
    return None


def transport(event):
    names = {get(event, "network.transport").replace("ipv6-icmp", "icmpv6")}
    return names | ({"mptcp"} if get(event, "portsnoop.mptcp") else set())


def names(event):
    return {get(event, "process.name"), get(event, "process.thread.name")}


def below(path, event):
    own = get(event, "portsnoop.cgroup")
    return own is not None and (own == path or own.startswith(path.rstrip("/") + "/"))


def uid(number):
    return lambda event: get(event, "process.user.id") == str(number)


def filters(one):
    """(options, what an event must be)."""
    nobody = pwd.getpwuid(NOBODY).pw_name
    pid = one.own["nobody"]
    yield ("--port", str(one.port)), lambda event: one.port in ports(event)
    yield ("--port", "8000-8010"), lambda event: any(8000 <= port <= 8010 for port in ports(event))
    yield ("-p", f"8011,{one.port},8000-8001"), lambda event: bool({8011, one.port, 8000, 8001}
                                                                  & ports(event))
    yield ("-p", "8011", "-p", "8000"), lambda event: bool({8011, 8000} & ports(event))
    yield ("--port", "1"), lambda event: 1 in ports(event)
    yield ("--pid", str(pid)), lambda event: get(event, "process.pid") == pid
    pair = set(list(one.own.values())[:2])
    yield ("-P", ",".join(map(str, pair))), lambda event: get(event, "process.pid") in pair
    yield ("--comm", "python3"), lambda event: "python3" in names(event)
    yield ("--comm", "other name"), lambda event: "other name" in names(event)
    yield ("--comm", "work-er thread"), lambda event: "work-er thread" in names(event)
    yield ("--comm", "nobody has this"), lambda event: False
    yield ("--uid", str(NOBODY)), uid(NOBODY)
    yield ("--uid", nobody), uid(NOBODY)
    yield ("-u", f"0,{nobody}"), lambda event: uid(0)(event) or uid(NOBODY)(event)
    for name in ("tcp", "udp", "udplite", "mptcp", "sctp", "TCP"):
        yield ("--proto", name), lambda event, name=name: name.lower() in transport(event)
    yield ("--proto", "udp,mptcp"), lambda event: bool({"udp", "mptcp"} & transport(event))
    yield ("--family", "4"), lambda event: family(event) == 4
    yield ("--family", "ipv6"), lambda event: family(event) == 6
    if one.cgroup:
        yield ("--cgroup", one.cgroup), lambda event: below(one.cgroup, event)
        yield ("--cgroup", one.cgroup + "/sub/"), lambda event: below(one.cgroup + "/sub", event)
        yield ("--cgroup", one.cgroup[:-1]), lambda event: below(one.cgroup[:-1], event)
    yield ("--cgroup", "/"), lambda event: get(event, "portsnoop.cgroup") is not None
    yield ("--netns", str(one.netns)), lambda event: get(event, "portsnoop.netns") == one.netns
    for name in ("bind", "connect", "listen", "send", "subflow"):
        yield ("--trigger", name), lambda event, name=name: get(event, "portsnoop.trigger") == name
    yield ("--trigger", "bind,send"), lambda event: get(event, "portsnoop.trigger") in ("bind", "send")
    yield ("--failed",), lambda event: get(event, "event.outcome") == "failure"
    yield ("--ephemeral",), lambda event: get(event, "portsnoop.origin") == "kernel"
    yield (("--failed", "--proto", "tcp", "--port", str(one.port)),
           lambda event: get(event, "event.outcome") == "failure" and "tcp" in transport(event)
           and one.port in ports(event))


def identities(events):
    return [get(event, "event.id") for event in events]


def check_filter(one, options, matches):
    for release in (("--release",), ()):
        result = one.replay(*options, *release)
        have = [event for event in parse_events(result.lines()) if is_event(event)]
        want = [event for event in one.events
                if (release or get(event, "event.action") != "released-port") and matches(event)]
        what = " ".join(options + release)
        surplus = [event for event in have if event not in want]
        missing = [event for event in want if event not in have]
        check(not surplus, what, "shows", len(surplus), "too many:", surplus[:1])
        check(not missing, what, "does not show", len(missing), ":", missing[:1])
        equal(identities(have), identities(want), f"order with {what}")
        seen, delivered, _, _, _ = result.totals()
        equal((seen, delivered), (len(one.events), len(want)), f"seen and delivered with {what}")


KINDS = ("--port", "--pid", "--comm", "--uid", "--proto", "--family", "--cgroup", "--netns",
         "--trigger", "--failed", "--ephemeral")
SHORT = {"-p": "--port", "-P": "--pid", "-u": "--uid"}


def check_kind(kind):
    one = recorded()
    count = some = 0
    for options, matches in filters(one):
        if SHORT.get(options[0], options[0]) == kind:
            check_filter(one, options, matches)
            count += 1
            some += any(map(matches, one.events))
    check(count and some, "no event passes any filter of", kind)


for _kind in KINDS:
    test(f"filter: {_kind} shows exactly what it says")(lambda kind=_kind: check_kind(kind))


@test("filter: --netns by file means the namespace behind it")
def netns_file():
    one = recorded()
    for what, lines in one.by_file.items():
        found = [event for event in parse_events(lines) if is_event(event)]
        check(found, "nothing", what)
        equal({get(event, "portsnoop.netns") for event in found}, {one.netns}, f"namespaces, {what}")


@test("filter: --netns by name means the file in /run/netns")
def netns_name():
    name = f"portsnoop-behavior-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        raise Skip(f"cannot make a named network namespace: {made.stderr.strip()}")
    try:
        claimer = Claimer(prefix=("ip", "netns", "exec", name))
        tool = Tool("trace", "-o", "json", "--netns", name)
        tool.started()
        port = claimer.ask("claim", "udp4", "0.0.0.0", 0)[1]
        lines = tool.reader.until(is_port(port, claimer.pid), "the claim")
        equal(len([event for event in parse_events(lines + tool.stop()) if is_event(event)]), 1, "events")
        claimer.done()
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def live(options, passing, held_back):
    """Each with its own Claimer: [method, argument...] that passes and that does not."""
    claimer = Claimer()
    tool = Tool("trace", "-o", "json", "--pid", str(claimer.pid), *options)
    tool.started()
    for words in held_back + passing:
        claimer.ask(*words)
    lines = tool.stop()
    events = [event for event in parse_events(lines) if is_event(event)]
    equal(len(events), len(passing), f"events with {options}")
    totals = tool.totals()
    check(totals[2] >= len(held_back), "filtered:", totals)
    equal((totals[1], totals[3]), (len(passing), 0), "delivered and lost")
    claimer.done()


@test("filter: --port, --proto, --failed and --ephemeral, live")
def live_filters():
    live(("--port", "8000-8010"), [["claim", "tcp4", "127.77.1.1", 8005]],
         [["claim", "tcp4", "127.77.1.1", 8011]])
    live(("--proto", "udp"), [["claim", "udp4", "127.0.0.1", 0]], [["claim", "tcp4", "127.0.0.1", 0]])
    live(("--failed",), [["claim", "tcp4", "203.0.113.1", 8005]], [["claim", "tcp4", "127.77.1.1", 8005]])
    live(("--ephemeral",), [["claim", "tcp4", "127.0.0.1", 0]], [["claim", "tcp4", "127.77.1.1", 8005]])
