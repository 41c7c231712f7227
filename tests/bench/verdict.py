# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Judges sightings by what the callers know: call by call, then kind by kind.

A call is seen in full when one sighting states its process, its port and what
came of it, all of them right. It is seen in part when something of that is not
stated, or stated of somebody else. A sighting that contradicts a call is not
about it, and no sighting counts for two calls.
"""

import fnmatch
import ipaddress
from collections import Counter, namedtuple

import compare  # of the live suite

import sightings

# What is missing, as the table says it, in this order.
PROCESS, PORT, WRONG, ADDRESS, REMOTE, RESULT, REASON, PROTOCOL = MISSING = (
    "wrong process", "no port", "wrong port", "no address", "no destination", "no result", "no reason",
    "as plain TCP")

# The most special kind that fits a call is its kind; a call that fits none (a
# second connect on a connected socket, hostile names) is left out.
Kind = namedtuple("Kind", "name special situations calls transports fits")

PLAIN = "tcp udp"


def succeeded(line):
    return not line.get("error") and line.get("claimed")


def outcome(*names):
    return lambda line: line.get("outcome") in names


def error(*names):
    return lambda line: line.get("error") in names


def of_origin(origin):
    return lambda line: succeeded(line) and line.get("origin") == origin


def is_plain_success(line):
    """For kinds about the caller: what fails is a kind of its own."""
    return not line.get("error") and line.get("outcome") in (None, "established")


def is_own_call(line):
    """The calls that a situation is named after, not those that prepare it."""
    call = line["situation"].partition(":")[2] or line["situation"]
    return f"-{line['call']}/" in call


def anything(_line):
    return True


KINDS = [
    Kind("bind to a port", 0, "*", "bind", PLAIN, of_origin("requested")),
    Kind("bind to port 0, and the number given", 0, "*", "bind", PLAIN, of_origin("kernel")),
    Kind("bind fails: EADDRINUSE, and the address asked for", 0, "*", "bind", PLAIN, error("EADDRINUSE")),
    Kind("bind fails: EACCES, and the address asked for", 0, "*", "bind", PLAIN, error("EACCES")),
    Kind("bind fails: EADDRNOTAVAIL, EINVAL, EAFNOSUPPORT", 0, "*", "bind", PLAIN,
         error("EADDRNOTAVAIL", "EINVAL", "EAFNOSUPPORT")),
    Kind("IP_BIND_ADDRESS_NO_PORT: bind, and the port at connect", 2, "connect-no-port/*", "bind connect", PLAIN,
         lambda line: line["call"] == "connect" or not line.get("claimed")),
    Kind("TCP connect: established", 0, "*", "connect", "tcp", outcome("established")),
    Kind("TCP connect: refused", 0, "*", "connect", "tcp", outcome("refused")),
    Kind("TCP connect: timed out", 0, "*", "connect", "tcp", outcome("timeout")),
    Kind("TCP connect: unreachable", 0, "*", "connect", "tcp",
         lambda line: line.get("outcome") == "unreachable" or line.get("error") == "ENETUNREACH"),
    Kind("TCP connect: given up by the caller", 0, "*", "connect", "tcp", outcome("closed")),
    Kind("TCP Fast Open", 2, "fastopen-*", "send connect", "tcp", anything),
    Kind("UDP connect", 0, "*", "connect", "udp", anything),
    Kind("UDP send or write without bind", 0, "*", "send", "udp", anything),
    Kind("listen after bind", 0, "*", "listen", "tcp", lambda line: not line.get("claimed") and not line["error"]),
    Kind("listen without bind", 0, "*", "listen", "tcp", succeeded),
    Kind("listen fails: EADDRINUSE", 0, "*", "listen", "tcp", error("EADDRINUSE")),
    Kind("no free port: EADDRINUSE, EADDRNOTAVAIL, EAGAIN", 2, "*-exhausted/*", "bind connect listen send", PLAIN,
         error("EADDRINUSE", "EADDRNOTAVAIL", "EAGAIN")),
    Kind("IPv6, the same calls", 1, "*", "bind connect listen send", PLAIN,
         lambda line: line["family"] == "ipv6" and is_plain_success(line)),
    Kind("IPv4 through an IPv6 socket", 2, "bind-mapped/* connect-mapped/* connect-ipv4/udp6",
         "bind connect", PLAIN, lambda line: line["call"] == "connect" or line.get("origin") == "requested"),
    Kind("another network namespace", 2, "other-netns/*", "bind", PLAIN, anything),
    Kind("UDP-Lite", 2, "*", "bind connect send", "udplite", anything),
    Kind("ping sockets", 2, "*", "bind connect send", "icmp ipv6-icmp", anything),
    Kind("SCTP", 2, "*", "bind connect listen", "sctp", anything),
    Kind("MPTCP", 2, "*", "bind connect listen", "mptcp", anything),
    Kind("io_uring bind", 3, "uring-*", "bind", PLAIN, is_own_call),
    Kind("io_uring listen", 3, "uring-*", "listen", PLAIN, is_own_call),
    Kind("io_uring connect", 3, "uring-*", "connect", PLAIN, is_own_call),
    Kind("io_uring send", 3, "uring-*", "send", PLAIN, is_own_call),
    Kind("32-bit callers", 4, "32:* compat-* socketcall-*", "bind connect listen send", PLAIN,
         lambda line: (line["situation"].startswith("32:") or is_own_call(line)) and is_plain_success(line)),
    Kind("the kernel's own socket (VXLAN)", 4, "kernel-socket", "bind", PLAIN, anything),
    Kind("release of a TCP port", 4, "*", "release", "tcp", anything),
    Kind("release of another port", 4, "*", "release", "udp udplite icmp ipv6-icmp sctp mptcp", anything),
]
BY_RANK = sorted(KINDS, key=lambda kind: -kind.special)
LEFT_OUT = "hostile-* 32:hostile-*"


def fits(name, patterns):
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns.split())


def kind_of(line):
    if line["call"] == "process" or line.get("optional") or fits(line["situation"], LEFT_OUT):
        return None
    for kind in BY_RANK:
        if (fits(line["situation"], kind.situations) and line["call"] in kind.calls.split()
                and line.get("transport") in kind.transports.split() and kind.fits(line)):
            return kind.name
    return None


# ---- one call ----


class Call:
    """What a line of the factory's report knows, and what was found of it."""

    def __init__(self, line):
        self.line = line
        self.name = line["call"]
        self.transport = line["transport"].replace("ipv6-", "")
        side = line.get("requested" if line.get("error") and "requested" in line else "local", {})
        self.port = side.get("port") or None
        self.ip = compare.plain_ip(side.get("ip")) if self.name == "bind" else None
        # A send tells where to only at its own layer: no part of the claim.
        remote = line.get("remote", {}) if self.name == "connect" else {}
        self.remote_ip = compare.plain_ip(remote.get("ip"))
        # A ping socket speaks to no port.
        self.remote_port = remote.get("port") or None
        self.result = line.get("error") or line.get("outcome") or "ok"
        if line.get("outcome") == "unknown" or self.name == "release":
            self.result = None
        self.missing = None  # a set once there is a sighting

    def label(self):
        words = {"icmp": "ping", "udplite": "UDP-Lite"}
        transport = words.get(self.transport, self.transport.upper())
        if self.name == "release":
            return transport
        return self.name if self.name in ("bind", "listen") else f"{transport} {self.name}"

    def state(self):
        return "not seen" if self.missing is None else "in part" if self.missing else "in full"


def is_unset(ip):
    return ip is None or ipaddress.ip_address(ip).is_unspecified


def differs(missing, word, known, stated):
    """Whether the sighting contradicts; notes what it does not state."""
    if known is None or known == stated:
        return False
    if stated is None:
        missing.add(word)
        return False
    return True


def ip_differs(missing, word, known, stated):
    if is_unset(known) or known == stated:
        return False
    if is_unset(stated):
        missing.add(word)
        return False
    return True


def port_differs(missing, call, seen):
    if (call.remote_port and (call.line["pid"], call.remote_ip, call.remote_port) ==
            (seen.pid, seen.remote_ip, seen.remote_port) and seen.port and call.port not in (None, seen.port)):
        missing.add(WRONG)  # everything else says that it is this call
        return False
    return differs(missing, PORT, call.port, seen.port)


def result_differs(missing, known, stated):
    if stated == sightings.FAILED and known in ("refused", "timeout", "unreachable", "closed"):
        # Who gives up himself needs no reason.
        missing |= {REASON} if known != "closed" else set()
        return False
    return differs(missing, RESULT, known, stated)


def look(call, seen, strangers):
    """What a sighting lacks of a call, as a set; None if it is not about it."""
    missing = set()
    if call.name not in seen.calls:
        return None
    if seen.transport and seen.transport.replace("ipv6-", "") != call.transport:
        if (call.transport, seen.transport) != ("mptcp", "tcp"):
            return None
        missing.add(PROTOCOL)
    if (port_differs(missing, call, seen) or ip_differs(missing, ADDRESS, call.ip, seen.ip)
            or differs(missing, REMOTE, call.remote_port, seen.remote_port)
            or ip_differs(missing, REMOTE, call.remote_ip, seen.remote_ip)
            or result_differs(missing, call.result, seen.result)):
        return None
    if seen.pid != call.line["pid"]:
        # Somebody else's name under a call that is known by its port; never another situation's call.
        if call.port is None or seen.port is None or REMOTE in missing or seen.pid in strangers:
            return None
        missing.add(PROCESS)
    return missing


def judge(reports, seen):
    """{kind: [Call]}; each call with what was found of it."""
    kinds, pairs = {}, []
    everybody = set().union(*(report.pids() for report in reports))
    by_pid, by_port = {}, {}
    for index, one in enumerate(seen):
        by_pid.setdefault(one.pid, set()).add(index)
        by_port.setdefault(one.port, set()).add(index)
    calls = []
    for report in reports:
        if report.result == "skipped":
            continue
        strangers = everybody - report.pids()
        for line in report.lines:
            if line["call"] == "process":
                continue
            call = Call(dict(line, situation=report.situation))
            calls.append(call)
            near = by_pid.get(line["pid"], set()) | (by_port.get(call.port, set()) if call.port else set())
            for index in near:
                missing = look(call, seen[index], strangers)
                if missing is not None:
                    pairs.append((PROCESS in missing, len(missing), len(calls) - 1, index, missing))
    taken = set()
    # The best first; then in the order of the calls and of the output.
    for _, _, number, index, missing in sorted(pairs, key=lambda pair: pair[:4]):
        if calls[number].missing is None and index not in taken:
            calls[number].missing = missing
            taken.add(index)
    for call in calls:
        kind = kind_of(call.line)
        if kind:
            kinds.setdefault(kind, []).append(call)
    return kinds


# ---- one kind ----


def cell(calls):
    states = Counter(call.state() for call in calls)
    if not calls:
        return "not run"
    if len(states) == 1 and "in part" not in states:
        return "yes" if "in full" in states else "–"
    words = []
    labels = {}
    for call in calls:
        labels.setdefault(call.label(), []).append(call)
    blind = [name for name, group in labels.items() if all(call.missing is None for call in group)]
    if blind:
        words.append("only " + ", ".join(name for name in labels if name not in blind))
    rest = [call for name, group in labels.items() if name not in blind for call in group]
    seen = [call for call in rest if call.missing is not None]
    if len(seen) < len(rest):
        words.append(f"{len(seen)} of {len(rest)}")
    lacking = Counter(word for call in seen for word in call.missing)
    for word in MISSING:
        if lacking[word]:
            words.append(word if lacking[word] == len(seen) else f"{word} ({lacking[word]} of {len(seen)})")
    return "part: " + "; ".join(words)


def total(kinds):
    states = Counter(call.state() for calls in kinds.values() for call in calls)
    return [states["in full"], states["in part"], states["not seen"]]


def holes(kinds):
    """Texts: each call that was not seen in full, and each kind that was not run."""
    found = [f"{kind.name}: not run" for kind in KINDS if not kinds.get(kind.name)]
    return found + [describe(name, call) for name, calls in kinds.items() for call in calls if call.missing != set()]


def describe(name, call):
    what = ", ".join(sorted(call.missing)) if call.missing else call.state()
    return f"{name}: {what}: {compare.show(call.line)}"


def explain(judged):
    for watcher, kinds in judged.items():
        for name, calls in kinds.items():
            for call in calls:
                if call.missing != set():
                    print(f"# {watcher}: {describe(name, call)}")
