#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Compares what callers know of their claims with what portsnoop saw of them.

Both are multisets of records, and they must be equal: a record that is missing
and one that is too much are failures alike. Only the processes of the report
count, but everything that they did. What the caller does not know (a field that
its line lacks) is not compared; what it knows must be in the event, equal.

usage: compare.py [--releases] REPORT.ndjson TRACE.ndjson
"""

import argparse
import fnmatch
import ipaddress
import json
import sys
from collections import Counter

CALL, OUTCOME, RELEASE = "call", "outcome", "release"

ACTIONS = {
    "bound-socket": CALL,
    "connected-to": CALL,
    "listen-for-connections": CALL,
    "autobound-socket": CALL,
    "connection-established": OUTCOME,
    "connection-failed": OUTCOME,
    "released-port": RELEASE,
}

# The event's action follows from the trigger, so it is checked along with it.
TRIGGER_ACTIONS = {
    "bind": ("bound-socket",),
    "connect": ("connected-to",),
    "listen": ("listen-for-connections",),
    "send": ("autobound-socket", "connected-to"),  # the second: Fast Open
    "subflow": ("connected-to",),
}

OUTCOMES = {
    "ECONNREFUSED": "refused",
    "ETIMEDOUT": "timeout",
    "EHOSTUNREACH": "unreachable",
    "ENETUNREACH": "unreachable",
}

# The one table of what a tier may say that it does not see. A row: situations (a
# glob), calls, transports ("*": all), whether it is about failures and binds without a port alone, and the
# name in portsnoop.stream.not_covered. Every row that fits counts. "32:" stands
# before the situations of the 32-bit factory.
COVERAGE = [
    ("*", "bind", "*", False, "bind"),
    ("*", "listen", "*", False, "listen"),
    ("*", "connect", "tcp mptcp", False, "tcp-connect"),
    ("*", "connect", "udp udplite", False, "udp-connect"),
    ("*", "send", "udp udplite", False, "udp-send"),
    ("*write/*", "send", "udp", False, "udp-write"),
    ("*fastopen-*", "send connect", "tcp", False, "tcp-fast-open"),
    ("*", "*", "udplite", False, "udplite"),
    ("*", "*", "icmp ipv6-icmp", False, "ping"),
    ("*", "*", "sctp", False, "sctp"),
    ("*", "*", "mptcp", False, "mptcp"),
    ("*", "bind connect listen send", "*", True, "failure"),
    ("*uring-*bind/*", "bind", "*", False, "io_uring-bind"),
    ("*uring-*bind/*", "bind", "*", True, "io_uring-failure"),
    ("*uring-*listen/*", "bind", "*", False, "io_uring-bind"),
    ("*uring-*listen/*", "listen", "*", False, "io_uring-listen"),
    ("*uring-*connect/*", "connect", "tcp", False, "io_uring-tcp-connect"),
    ("*uring-*connect/*", "connect", "udp", False, "io_uring-udp-connect"),
    ("*uring-*send/*", "send", "udp", False, "io_uring-udp-send"),
    ("kernel-socket", "bind", "*", False, "kernel-bind"),
] + [
    (situations, call, transports, failed, name)
    for prefix in ("socketcall-", "compat-", "32:")
    for situations, call, transports, failed, name in (
        (prefix + ("*" if prefix == "32:" else "bind/*"), "bind", "*", False, "32bit-bind"),
        (prefix + ("*" if prefix == "32:" else "listen/*"), "listen", "*", False, "32bit-listen"),
        (prefix + ("*" if prefix == "32:" else "connect/*"), "connect", "tcp mptcp", False,
         "32bit-tcp-connect"),
        (prefix + ("*" if prefix == "32:" else "connect/*"), "connect", "udp udplite icmp ipv6-icmp",
         False, "32bit-udp-connect"),
        (prefix + ("*" if prefix == "32:" else "send/*"), "send", "udp udplite icmp ipv6-icmp", False,
         "32bit-udp-send"),
        (prefix + ("*" if prefix == "32:" else "*/*"), "bind connect send", "icmp ipv6-icmp", False, "32bit-ping"),
        (prefix + "*", "bind connect listen send", "*", True, "32bit-failure"),
    )
]


class Broken(Exception):
    """The input is not what it should be: a failure, with the reason as text."""


def read_lines(path):
    """Every line must be JSON, in valid UTF-8, and the last one must be whole."""
    with open(path, "rb") as file:
        data = file.read()
    if data and not data.endswith(b"\n"):
        raise Broken(f"{path}: the last line is cut off")
    lines = []
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        try:
            value = json.loads(line.decode("utf-8"))
        except ValueError as error:
            raise Broken(f"{path}:{number}: {error}: {line[:200]!r}") from None
        if not isinstance(value, dict):
            raise Broken(f"{path}:{number}: not an object: {line[:200]!r}")
        if any(byte < 0x20 or byte == 0x7F for byte in line):
            raise Broken(f"{path}:{number}: a control character: {line[:200]!r}")
        lines.append(value)
    return lines


def get(event, path):
    """A member by its dotted name, whether the objects are nested or not."""
    if path in event:
        return event[path]
    head, _, rest = path.partition(".")
    while True:
        if isinstance(event.get(head), dict):
            found = get(event[head], rest)
            if found is not None:
                return found
        more, _, after = rest.partition(".")
        if not after:
            return None
        head, rest = f"{head}.{more}", after


def same_ip(text):
    return str(ipaddress.ip_address(text)) if text else None


def drop_unknown(record):
    return {key: value for key, value in record.items() if value is not None}


# ---- what portsnoop saw ----


def seen_from(event):
    """The comparable part of an event; None for those of the stream itself."""
    action = get(event, "event.action")
    kind = ACTIONS.get(action)
    if kind is None:
        return None
    record = {
        "kind": kind,
        "pid": get(event, "process.pid"),
        # A leader's thread id is its process id, and not repeated.
        "tid": get(event, "process.thread.id") or get(event, "process.pid"),
        "transport": "mptcp" if get(event, "portsnoop.mptcp") else get(event, "network.transport"),
        "family": get(event, "network.type"),
        "trigger": get(event, "portsnoop.trigger"),
        "origin": get(event, "portsnoop.origin"),
        "claimed": get(event, "portsnoop.claimed"),
        "local.ip": same_ip(get(event, "portsnoop.local.ip")),
        "local.port": get(event, "portsnoop.local.port"),
        "requested.ip": same_ip(get(event, "portsnoop.requested.ip")),
        "requested.port": get(event, "portsnoop.requested.port"),
        "remote.ip": same_ip(get(event, "destination.ip")),
        "remote.port": get(event, "destination.port"),
        "error": get(event, "error.code"),
        "name": get(event, "process.name"),
    }
    if kind == OUTCOME:
        established = action == "connection-established"
        record["outcome"] = "established" if established else OUTCOMES.get(record["error"], "closed")
        if established and record["error"]:
            raise Broken(f"established with an error: {json.dumps(event)}")
    elif kind == CALL:
        if action not in TRIGGER_ACTIONS.get(record["trigger"], ()):
            raise Broken(f"trigger {record['trigger']} and action {action}: {json.dumps(event)}")
        outcome = get(event, "event.outcome")
        if (outcome == "failure") != (record["error"] is not None):
            raise Broken(f"outcome {outcome} and error {record['error']}: {json.dumps(event)}")
        record["progress"] = "under way" if outcome == "unknown" else "over"
    return drop_unknown(record)


def not_covered(events):
    for event in events:
        if get(event, "event.action") == "stream-start":
            return set(get(event, "portsnoop.stream.not_covered") or [])
    return set()


# ---- what the callers know ----


def idle(line):
    """A bind that puts the choice off: to a tier like a failure, it takes no port."""
    return line["call"] == "bind" and not line.get("claimed")


def coverage_of(situation, line):
    """The kinds of claim that a line of a report is one of."""
    return {name for situations, calls, transports, failed, name in COVERAGE
            if fnmatch.fnmatchcase(situation, situations)
            and (calls == "*" or line["call"] in calls.split())
            and (transports == "*" or line.get("transport") in transports.split())
            and (not failed or line.get("error") or idle(line))}


def plain_ip(text):
    """As in packets: an IPv4 address that a socket of IPv6 speaks to is one."""
    if not text:
        return None
    address = ipaddress.ip_address(text)
    return str(getattr(address, "ipv4_mapped", None) or address)


def expected_from(line):
    """The records that one line of a report asks for. `error` is always compared
    where the line has it: null is the knowledge that there was none."""
    call = line["call"]
    if call == "process":
        return []
    base = {"pid": line["pid"], "transport": line.get("transport"), "family": line.get("family")}
    for side in ("local", "requested", "remote"):
        if side in line:
            base[f"{side}.ip"] = (plain_ip if side == "remote" else same_ip)(line[side].get("ip"))
            base[f"{side}.port"] = line[side].get("port")
    if not base.get("remote.port"):
        base["remote.port"] = None  # a ping socket speaks to no port
    if call == "release":
        return [{"kind": RELEASE, "optional": line.get("optional", False),
                 "known": drop_unknown(base), "nothing": set()}]
    record = dict(base, tid=line.get("tid"), trigger=line.get("trigger"), origin=line.get("origin"),
                  claimed=line.get("claimed"), error=line.get("error"), name=line.get("name"))
    nothing = set()
    if "error" in line and line["error"] is None:
        nothing.add("error")
    expected = [{"kind": CALL, "optional": line.get("optional", False),
                 "known": drop_unknown(record), "nothing": nothing}]
    if line.get("outcome"):
        outcome = line["outcome"]
        # At the outcome the local address may be gone; the port is told all the same.
        known = dict(base, outcome=None if outcome == "unknown" else outcome)
        known.pop("local.ip", None)
        known.pop("requested.ip", None)
        known.pop("requested.port", None)
        expected.append({"kind": OUTCOME, "optional": outcome == "unknown",
                         "known": drop_unknown(known), "nothing": set()})
    for record in expected:
        record["call"] = call
    return expected


# ---- the comparison ----


def seen_may_lack(expected):
    """Where a send goes has no part in the claim that it makes on its way."""
    return ("remote.ip", "remote.port") if expected["known"].get("trigger") == "send" else ()


def differences(expected, seen):
    """Field, what was expected, what came. Empty: they match."""
    if expected["kind"] != seen["kind"]:
        return [("kind", expected["kind"], seen["kind"])]
    found = [(key, value, seen.get(key)) for key, value in expected["known"].items()
             if seen.get(key) != value and not (key in seen_may_lack(expected) and key not in seen)]
    found += [(key, None, seen[key]) for key in sorted(expected["nothing"]) if key in seen]
    return found


def match(expected, seen):
    """A largest assignment of expected to seen records, those that are not
    optional first. Returns {index of seen: index of expected}."""
    fits = [[j for j, record in enumerate(seen) if not differences(one, record)]
            for one in expected]
    owner = {}

    def assign(i, tried):
        for j in fits[i]:
            if j in tried:
                continue
            tried.add(j)
            if j not in owner or assign(owner[j], tried):
                owner[j] = i
                return True
        return False

    for i in sorted(range(len(expected)), key=lambda i: expected[i]["optional"]):
        assign(i, set())
    return owner


def show(record):
    return " ".join(f"{key}={value}" for key, value in record.items())


def compare_records(expected, seen):
    """Texts of what does not agree: none is agreement."""
    owner = match(expected, seen)
    matched = set(owner.values())
    missing = [one for i, one in enumerate(expected) if i not in matched and not one["optional"]]
    surplus = [record for j, record in enumerate(seen) if j not in owner]
    problems = []
    for one in missing:
        near = [(len(differences(one, record)), j) for j, record in enumerate(surplus)
                if record["kind"] == one["kind"]]
        if near and min(near)[0] <= 3:
            record = surplus.pop(min(near)[1])
            what = ", ".join(f"{key} should be {want} and is {have}"
                             for key, want, have in differences(one, record))
            problems.append(f"differs: {what}: {show(record)}")
        else:
            problems.append(f"missing: kind={one['kind']} {show(one['known'])}")
    problems += [f"surplus: {show(record)}" for record in surplus]
    return problems


class Report:
    """What one situation said: its lines, its processes, its end."""

    def __init__(self, situation):
        self.situation = situation
        self.lines = []
        self.result = "ok"
        self.reason = None

    def pids(self):
        return {line["pid"] for line in self.lines}


def reports_from(lines):
    """Splits the output of `factory all` by situation."""
    reports, reason = {}, None
    for line in lines:
        if "skip" in line:
            reason = line["skip"]
            continue
        report = reports.setdefault(line["situation"], Report(line["situation"]))
        if "result" in line:
            report.result, report.reason = line["result"], reason
            reason = None
        else:
            report.lines.append(line)
    return list(reports.values())


def seen_by_pid(events):
    by_pid = {}
    for event in events:
        record = seen_from(event)
        if record is not None:
            by_pid.setdefault(record.get("pid"), []).append(record)
    return by_pid


def verdict(report, by_pid, uncovered, releases):
    """("ok" | "not ok" | "skip", reason) of one situation."""
    if report.result == "failed":
        return "not ok", report.reason or "the situation itself failed"
    seen = [record for pid in sorted(report.pids()) for record in by_pid.get(pid, [])
            if releases or record["kind"] != RELEASE]
    if report.result == "skipped":
        return "skip", report.reason or "no reason given"
    expected, hidden, names = [], [], set()
    for line in report.lines:
        blind = coverage_of(report.situation, line) & uncovered
        names |= blind
        for one in expected_from(line):
            if one["kind"] == OUTCOME and "tcp-outcome" in uncovered:
                names.add("tcp-outcome")
                one["optional"] = True
            (hidden if blind else expected).append(one)
    releases &= "release" not in uncovered
    for one in hidden + (expected if names else []):
        # Who saw no claim may know nothing of what became of it, or may.
        if one["kind"] == RELEASE or (one["kind"] == OUTCOME and one in hidden):
            one["optional"] = True
    expected += [one for one in hidden if one["kind"] != CALL]
    expected = [one for one in expected if releases or one["kind"] != RELEASE]
    seen = [record for record in seen if releases or record["kind"] != RELEASE]
    problems = compare_records(expected, seen)
    if names and not problems:
        return "skip", f"not covered: {', '.join(sorted(names))}"
    if names and match([one for one in hidden if one["kind"] == CALL], seen):
        problems.insert(0, f"seen although not covered: {', '.join(sorted(names))}")
    return ("not ok", "\n    ".join(problems)) if problems else ("ok", None)


def check_stream(events, releases=True, whole=True):
    """What must hold for every stream, whoever wrote it: texts of what does not."""
    problems = []
    actions = [get(event, "event.action") for event in events]
    if not actions or actions[0] != "stream-start":
        problems.append("the first record is not stream-start")
    if whole and (not actions or actions[-1] != "stream-end"):
        problems.append("the last record is not stream-end")
    counts = Counter(actions)
    for action in ("stream-start", "stream-end"):
        if counts[action] > 1:
            problems.append(f"{counts[action]} records {action}")
    last = None
    for number, event in enumerate(events, 1):
        sequence = get(event, "event.sequence")
        if not isinstance(sequence, int):
            problems.append(f"record {number} has no sequence number")
            break
        step = 1 if last is None else sequence - last
        # What is held back leaves gaps; going back or standing still is never right.
        if step < 1 or (releases and step != 1):
            problems.append(f"record {number}: sequence {sequence} after {last}")
            break
        last = sequence
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--releases", action="store_true", help="the trace has released-port events")
    parser.add_argument("report")
    parser.add_argument("trace")
    options = parser.parse_args()
    try:
        events = read_lines(options.trace)
        reports = reports_from(read_lines(options.report))
        by_pid, uncovered = seen_by_pid(events), not_covered(events)
    except (Broken, OSError) as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 2
    tally = Tally()
    for problem in check_stream(events, options.releases):
        tally.add("not ok", "stream", problem)
    for report in reports:
        tally.add(*insert_name(report.situation, verdict(report, by_pid, uncovered, options.releases)))
    return tally.finish()


def insert_name(name, result):
    return result[0], name, result[1]


class Tally:
    """One line a situation, and the sum."""

    def __init__(self):
        self.counts = Counter()

    def add(self, state, name, reason=None):
        self.counts[state] += 1
        print(f"{state} {name} - {reason}" if reason else f"{state} {name}", flush=True)

    def finish(self):
        print(f"{self.counts['ok']} passed, {self.counts['not ok']} failed, "
              f"{self.counts['skip']} skipped", flush=True)
        return 1 if self.counts["not ok"] else 0


if __name__ == "__main__":
    sys.exit(main())
