# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Compares what the factory's callers know with what a reading of the tally counted.

Counts must be equal; of what a caller does not know for sure (optional, or not covered by
the tier) there is a least and a most.
"""

from collections import Counter

import compare

TRANSPORTS = {1: "icmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp", 132: "sctp", 136: "udplite", 262: "mptcp"}
TRIGGERS = {1: "bind", 2: "connect", 3: "listen", 4: "send", 5: "subflow"}
ORIGINS = {0: "none", 1: "requested", 2: "kernel"}
CLAIM_RESTS, PLACE_RESTS, ERROR_RESTS = range(3)


class Bounds:
    """What must have been counted, and what may."""

    def __init__(self):
        self.least, self.most = Counter(), Counter()

    def add(self, key, sure):
        self.most[key] += 1
        self.least[key] += sure

    def problems(self, seen):
        for key in sorted(set(self.most) | set(seen), key=repr):
            if not self.least[key] <= seen[key] <= self.most[key]:
                most = f" to {self.most[key]}" if self.most[key] != self.least[key] else ""
                yield f"{' '.join(map(str, key))}: {seen[key]}, should be {self.least[key]}{most}"


def is_vague(report):
    """Whether a port was asked for in a way that leaves it open who was to choose it."""
    return any(line.get("claimed") and "origin" not in line for line in report.lines)


def call_expect(bounds, line, known, vague, sure):
    """A call, by what its caller knows of it."""
    error = line.get("error")
    key = (line["pid"], line["transport"], line["trigger"])
    if not line["claimed"]:
        if error:
            bounds.add(("error", *key, "any" if vague else "none", error, 0), sure)
        return
    key = (*key, "any" if vague else line["origin"])
    if error and not known.get("local.port"):
        bounds.add(("failures", *key), sure)
        bounds.add(("error", *key, error, 0), sure)
        return
    bounds.add(("claims", *key), sure)
    if error:  # a datagram's connect, behind its port
        bounds.add(("error", *key, error, 1), sure)
        bounds.add(("connect_failures", *key[:3]), sure)


def bounds_of(report, uncovered):
    """(bounds, names of what the tier does not see)"""
    bounds, names = Bounds(), set()
    hidden = {id(line): compare.coverage_of(report.situation, line) & uncovered for line in report.lines}
    names = set().union(*hidden.values())
    for line in report.lines:
        for one in compare.expected_from(line):
            sure = not (one["optional"] or hidden[id(line)])
            if one["kind"] == compare.CALL:
                # What a caller does not know the end of may have failed, or not.
                call_expect(bounds, line, one["known"], is_vague(report), sure and "error" in line)
            elif one["kind"] == compare.RELEASE:
                # Of what was not seen to be claimed nothing is counted.
                bounds.add(("closed", line["pid"]), sure and not names)
            elif one["known"].get("outcome") != "established":
                bounds.add(("connect_failures", line["pid"], line["transport"], line["trigger"]),
                           sure and "tcp-outcome" not in uncovered)
    return bounds, names


def counted(reading, report):
    """A Counter with the keys of the bounds."""
    pids = report.pids()
    origins = dict.fromkeys(ORIGINS, "any") if is_vague(report) else ORIGINS
    seen = Counter()
    for row in reading["rows"]:
        if row["pid"] not in pids:
            continue
        key = (row["pid"], TRANSPORTS.get(row["protocol"], row["protocol"]), TRIGGERS[row["trigger"]])
        origin = origins[row["origin"]]
        seen["claims", *key, origin] += row["claims"]
        seen["failures", *key, origin] += row["failures"]
        seen["connect_failures", *key] += row["connect_failures"]
        seen["closed", row["pid"]] += row["closed"]
    for row in reading["errors"]:
        # Of connections the caller knows the outcome, and a name for it: those are counted above.
        datagram = row["protocol"] not in (6, 132, 262)
        if row["pid"] in pids and (not row["outcome"] or datagram):
            seen["error", row["pid"], TRANSPORTS.get(row["protocol"], row["protocol"]), TRIGGERS[row["trigger"]],
                 origins[row["origin"]], row["error"], row["outcome"]] += row["count"]
    return +seen


def verdict(report, reading, uncovered):
    """("ok" | "not ok" | "skip", reason) of one situation."""
    if report.result != "ok":
        return "skip", report.reason or f"the situation {report.result}"
    bounds, names = bounds_of(report, uncovered)
    problems = list(bounds.problems(counted(reading, report)))
    if problems:
        return "not ok", "\n    ".join(problems)
    if names:
        return "skip", f"not covered: {', '.join(sorted(names))}"
    return "ok", None


def is_exhaustion(error):
    """Of a row of errors: that the kernel found no port."""
    return ORIGINS[error["origin"]] == "kernel" and not error["outcome"] and (
        error["error"] in ("EADDRINUSE", "EAGAIN")
        or (error["error"] == "EADDRNOTAVAIL" and TRIGGERS[error["trigger"]] != "bind"))


def total(rows, member):
    return sum(row[member] for row in rows)


def sums_check(reading):
    """What holds for every reading: texts of what does not. Nothing may be claiming meanwhile."""
    rows, places, errors, rest = (reading[name] for name in ("rows", "places", "errors", "rest"))
    chosen = [row for row in rows if ORIGINS[row["origin"]] == "kernel"]
    sums = [("failures of places and errors for want of a port",
             total(places, "failures") + rest[PLACE_RESTS]["failures"],
             total([row for row in errors if is_exhaustion(row)], "count"))]
    if not any(rest[CLAIM_RESTS].values()):  # whose origin nobody knows any more
        sums += [(f"{member} of rows and of places", total(chosen, member),
                  total(places, member) + rest[PLACE_RESTS][member])
                 for member in ("claims", "closed", "time_waits", "time_waits_over")]
    claims = [row for row in errors if not row["outcome"] and row["origin"]]
    connects = [row for row in errors if row["outcome"]]
    for member, having in (("failures", claims), ("connect_failures", connects)):
        sums.append((f"{member} and errors", total(rows, member) + rest[CLAIM_RESTS][member],
                     total(having, "count") + rest[ERROR_RESTS][member]))
    return [f"{what}: {left} and {right}" for what, left, right in sums if left != right]
