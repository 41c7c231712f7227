#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The comparator and the reader of strace must fail where they should: without a
kernel, without root."""

import copy
import json
import os
import sys
import tempfile
import unittest

import compare
import strace_oracle

LINES = [
    {"situation": "one", "pid": 7, "call": "process"},
    {"situation": "one", "pid": 7, "tid": 7, "call": "bind", "transport": "tcp", "family": "ipv4",
     "claimed": True, "trigger": "bind", "origin": "kernel", "local": {"ip": "127.0.0.1", "port": 4000},
     "requested": {"ip": "127.0.0.1", "port": 0}, "error": None},
    {"situation": "one", "pid": 7, "tid": 8, "call": "connect", "transport": "tcp", "family": "ipv4",
     "claimed": True, "trigger": "connect", "origin": "kernel",
     "local": {"ip": "127.0.0.1", "port": 4001}, "remote": {"ip": "::ffff:127.0.0.1", "port": 4000},
     "error": None, "outcome": "refused"},
    {"situation": "one", "pid": 7, "call": "release", "transport": "tcp", "family": "ipv4",
     "local": {"port": 4001}, "error": None},
]


def event(action, number, outcome="success", **more):
    return {"event": {"action": action, "sequence": number, "outcome": outcome},
            "network": {"transport": "tcp", "type": "ipv4"}, "process": {"pid": 7}, **more}


EVENTS = [
    event("bound-socket", 1, portsnoop={
        "trigger": "bind", "origin": "kernel", "claimed": True,
        "local": {"ip": "127.0.0.1", "port": 4000}, "requested": {"ip": "127.0.0.1", "port": 0}}),
    event("connected-to", 2, "unknown", process={"pid": 7, "thread": {"id": 8}},
          destination={"ip": "127.0.0.1", "port": 4000}, portsnoop={
              "trigger": "connect", "origin": "kernel", "claimed": True,
              "local": {"ip": "127.0.0.1", "port": 4001}}),
    event("connection-failed", 3, "failure", error={"code": "ECONNREFUSED"},
          destination={"ip": "127.0.0.1", "port": 4000},
          portsnoop={"trigger": "connect", "local": {"ip": "127.0.0.1", "port": 4001}}),
    event("released-port", 4, portsnoop={"trigger": "connect", "local": {"ip": "127.0.0.1", "port": 4001}}),
    dict(event("bound-socket", 5, portsnoop={"trigger": "bind"}), process={"pid": 99}),
]


def judge(lines, events, uncovered=(), releases=True):
    report = compare.Report("one")
    report.lines = lines
    return compare.verdict(report, compare.seen_by_pid(events), set(uncovered), releases)


def changed(index, path, value):
    events = copy.deepcopy(EVENTS)
    *way, last = path.split(".")
    place = events[index]
    for step in way:
        place = place.setdefault(step, {})
    if value is None:
        place.pop(last, None)
    else:
        place[last] = value
    return events


class Comparison(unittest.TestCase):
    def test_equal(self):
        self.assertEqual(judge(LINES, EVENTS), ("ok", None))

    def test_order_does_not_matter(self):
        self.assertEqual(judge(LINES, EVENTS[::-1]), ("ok", None))

    def test_each_missing_event(self):
        for index in range(4):
            with self.subTest(index):
                state, why = judge(LINES, EVENTS[:index] + EVENTS[index + 1:])
                self.assertEqual(state, "not ok")
                self.assertIn("missing", why)

    def test_each_event_twice(self):
        for index in range(4):
            with self.subTest(index):
                state, why = judge(LINES, EVENTS + [EVENTS[index]])
                self.assertEqual(state, "not ok")
                self.assertIn("surplus", why)

    def test_each_field(self):
        for index, path, value in (
                (0, "process.pid", 99), (1, "process.thread.id", 9), (1, "process.thread.id", None),
                (0, "network.transport", "udp"), (0, "network.type", "ipv6"),
                (0, "portsnoop.origin", "requested"), (0, "portsnoop.origin", None),
                (0, "portsnoop.claimed", False), (0, "portsnoop.local.ip", "127.0.0.2"),
                (0, "portsnoop.local.port", 4002), (0, "portsnoop.local.port", None),
                (0, "portsnoop.requested.port", 1), (1, "destination.port", 4),
                (1, "destination.ip", "127.0.0.2"), (1, "destination", None),
                (2, "error.code", "ETIMEDOUT"), (2, "event.action", "connection-established"),
                (3, "portsnoop.local.port", 4002)):
            with self.subTest(f"{index} {path} {value}"):
                try:
                    self.assertEqual(judge(LINES, changed(index, path, value))[0], "not ok")
                except compare.Broken:
                    self.assertTrue(path.startswith("event.action"))

    def test_unexpected_error(self):
        events = changed(0, "error.code", "EADDRINUSE")
        events[0]["event"]["outcome"] = "failure"
        self.assertEqual(judge(LINES, events)[0], "not ok")

    def test_inconsistent_event(self):
        for path, value in (("event.outcome", "failure"), ("portsnoop.trigger", "listen")):
            with self.assertRaises(compare.Broken):
                judge(LINES, changed(0, path, value))

    def test_unknown_is_not_compared(self):
        lines = copy.deepcopy(LINES)
        del lines[1]["local"], lines[1]["origin"], lines[2]["tid"], lines[2]["error"]
        self.assertEqual(judge(lines, EVENTS), ("ok", None))

    def test_optional(self):
        lines = copy.deepcopy(LINES)
        lines[1]["optional"] = True
        self.assertEqual(judge(lines, EVENTS)[0], "ok")
        self.assertEqual(judge(lines, EVENTS[1:])[0], "ok")
        self.assertEqual(judge(lines, EVENTS + EVENTS[:1])[0], "not ok")

    def test_releases_left_out(self):
        self.assertEqual(judge(LINES, EVENTS[:3], releases=False), ("ok", None))

    def test_not_covered_is_a_skip(self):
        state, why = judge(LINES, [EVENTS[0], EVENTS[4]], {"tcp-connect"})
        self.assertEqual((state, "tcp-connect" in why), ("skip", True))

    def test_seen_although_not_covered(self):
        state, why = judge(LINES, EVENTS, {"tcp-connect"})
        self.assertEqual(state, "not ok")
        self.assertIn("although", why)

    def test_not_covered_hides_nothing_else(self):
        self.assertEqual(judge(LINES, [EVENTS[4]], {"tcp-connect"})[0], "not ok")

    def test_dotted_names(self):
        flat = {"event.action": "bound-socket", "process": {"thread.id": 3}}
        self.assertEqual(compare.get(flat, "event.action"), "bound-socket")
        self.assertEqual(compare.get(flat, "process.thread.id"), 3)
        self.assertIsNone(compare.get(flat, "process.pid"))

    def test_largest_assignment(self):
        """One expectation that fits both events must not take the other's only one."""
        loose = {"kind": "call", "optional": False, "known": {"pid": 1}, "nothing": set()}
        tight = {"kind": "call", "optional": False, "known": {"pid": 1, "tid": 2}, "nothing": set()}
        seen = [{"kind": "call", "pid": 1, "tid": 2}, {"kind": "call", "pid": 1, "tid": 3}]
        self.assertEqual(compare.compare_records([loose, tight], seen), [])
        self.assertEqual(compare.compare_records([tight, loose], seen), [])


class Stream(unittest.TestCase):
    START = {"event": {"action": "stream-start", "sequence": 1}}
    END = {"event": {"action": "stream-end", "sequence": 3}}
    LATER = {"event": {"action": "stream-end", "sequence": 4}}

    def test_whole(self):
        self.assertEqual(compare.check_stream([self.START, event("bound-socket", 2), self.END]), [])

    def test_broken(self):
        for events in ([], [self.START], [event("bound-socket", 1), self.END],
                       [self.START, event("bound-socket", 3), self.LATER],
                       [self.START, event("bound-socket", 1), self.END],
                       [self.START, self.START, self.END]):
            self.assertTrue(compare.check_stream(events))

    def test_gaps_of_a_filter(self):
        events = [self.START, event("bound-socket", 3), self.LATER]
        self.assertEqual(compare.check_stream(events, releases=False), [])

    def test_lines(self):
        for text, good in ((b'{"a":1}\n{"b":2}\n', True), (b'{"a":1}\n{"b":2}', False),
                           (b'{"a":1}{"b":2}\n', False), (b"[]\n", False), (b'{"a":"\xff"}\n', False),
                           (b'{"a":"\x1b"}\n', False), (b'{"a":"\x7f"}\n', False), (b"\n", False)):
            with tempfile.NamedTemporaryFile() as file, self.subTest(text):
                file.write(text)
                file.flush()
                if good:
                    compare.read_lines(file.name)
                else:
                    with self.assertRaises(compare.Broken):
                        compare.read_lines(file.name)


STRACE = """\
10 socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP) = 3<socket:[100]>
10 bind(3<socket:[100]>, {sa_family=AF_INET, sin_port=htons(8000), sin_addr=inet_addr("0.0.0.0")}, 16) = 0
10 listen(3<socket:[100]>, 5)           = 0
10 clone3({flags=CLONE_VM|CLONE_THREAD, exit_signal=0}, 88) = 11
11 socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP) = 4<socket:[101]>
11 connect(4<socket:[101]>, {sa_family=AF_INET6, sin6_port=htons(8000), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::ffff:127.0.0.1", &sin6_addr), sin6_scope_id=0}, 28 <unfinished ...>
10 accept4(3<socket:[100]>, NULL, NULL, 0) = 5<socket:[102]>
11 <... connect resumed>) = 0
10 bind(5<socket:[102]>, {sa_family=AF_INET, sin_port=htons(1), sin_addr=inet_addr("0.0.0.0")}, 16) = -1 EINVAL (Invalid argument)
10 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD) = 12
12 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 6<socket:[103]>
12 sendmmsg(6<socket:[103]>, NULL, 0, 0) = 0
12 sendto(6<socket:[103]>, "bind(3<socket:[100]>"..., 20, 0, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("127.0.0.1")}, 16) = 20
12 sendto(6<socket:[103]>, "x", 1, 0, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("127.0.0.1")}, 16) = 1
12 getsockname(6<socket:[103]>, {sa_family=AF_INET, sin_port=htons(40000), sin_addr=inet_addr("0.0.0.0")}, [16]) = 0
12 socket(AF_UNIX, SOCK_STREAM, 0)      = 7<socket:[104]>
12 listen(7<socket:[104]>, 5)           = 0
12 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 8<socket:[105]>
12 connect(8<socket:[105]>, {sa_family=AF_INET, sin_port=htons(9), sin_addr=inet_addr("127.0.0.1")}, 16) = -1 ECONNREFUSED (Connection refused)
12 connect(8<socket:[105]>, {sa_family=AF_INET, sin_port=htons(9), sin_addr=inet_addr("127.0.0.1")}, 16) = -1 ECONNREFUSED (Connection refused)
12 connect(8<socket:[105]>, {sa_family=AF_INET, sin_port=htons(9), sin_addr=inet_addr("192.0.2.1")}, 16) = -1 ENETUNREACH (Network is unreachable)
12 +++ exited with 0 +++
"""


class Strace(unittest.TestCase):
    def setUp(self):
        lines = strace_oracle.claims("s", STRACE)
        self.processes = {line["pid"] for line in lines if line["call"] == "process"}
        self.calls = [line for line in lines if line["call"] != "process"]

    def test_calls(self):
        self.assertEqual(
            [(one["pid"], one["tid"], one["call"], one["claimed"], one["error"], one["family"])
             for one in self.calls],
            [(10, 10, "bind", True, None, "ipv4"), (10, 10, "listen", False, None, "ipv4"),
             (10, 11, "connect", True, None, "ipv4"), (12, 12, "send", True, None, "ipv4"),
             (12, 12, "connect", True, None, "ipv4"), (12, 12, "connect", True, None, "ipv4"),
             (12, 12, "connect", False, "ENETUNREACH", "ipv4")])

    def test_processes(self):
        self.assertEqual(self.processes, {10, 12})

    def test_what_was_learned(self):
        self.assertEqual(self.calls[0]["local"], {"port": 8000})
        self.assertEqual(self.calls[0]["origin"], "requested")
        self.assertEqual(self.calls[2]["outcome"], "established")
        self.assertEqual(self.calls[2]["remote"], {"ip": "::ffff:127.0.0.1", "port": 8000})
        self.assertEqual(self.calls[3]["local"], {"port": 40000})
        self.assertEqual(self.calls[3]["remote"], {"ip": "127.0.0.1", "port": 53})
        self.assertEqual(self.calls[4]["outcome"], "refused")

    def test_lines_are_json(self):
        json.dumps(self.calls)


def main():
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    with open(os.devnull, "w", encoding="utf-8") as silence:
        result = unittest.TextTestRunner(stream=silence, verbosity=0).run(suite)
    for test, why in result.failures + result.errors:
        print(f"not ok {test} - {why.strip().splitlines()[-1]}")
    failed = len(result.failures) + len(result.errors)
    print(f"{max(result.testsRun - failed, 0)} passed, {failed} failed, {len(result.skipped)} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
