# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A ring that is too small for what happens while nobody reads it."""

import os
import re
import signal

from behavior_tool import (Claimer, Tool, action, await_true, check, equal, find, get, is_event,
                           parse_events, room, run, test)

STORM = 3000  # claims, of which the largest ring here keeps a few hundred
FIRST = 10000  # port


class Lossy:
    """What came of a storm while the tool was stopped."""

    def __init__(self, ring, *options):
        self.path = os.path.join(room(), "saved")
        self.old, self.stormer, self.new = Claimer(), Claimer(), Claimer("first", "seen", "in the storm")
        self.tool = Tool("trace", "-o", "json", "--ring", ring, "--release", "--save", self.path, *options)
        lines = [self.tool.started()]
        # The smallest ring may be full of somebody else's claim when ours comes.
        self.claim_until_known(self.old, lines)
        self.tool.pause()
        self.stormer.ask("storm", "udp4", "127.78.0.2", FIRST, STORM)
        self.new.ask("claim", "udp4", "127.78.0.3", 0)  # the ring is full
        self.tool.send(signal.SIGCONT)
        # Until the ring has been read there is no room for more, and then a process has
        # to be told of anew.
        self.after = {claimer.pid: self.claim_until_known(claimer, lines)
                      for claimer in (self.old, self.new, self.stormer)}
        lines += self.tool.stop()
        self.events = parse_events(lines)

    def claim_until_known(self, claimer, lines):
        """Port of a claim whose event describes the claimer."""
        ports = []

        def known():
            ports.append(claimer.ask("claim", "udp4", "127.78.0.4", 0)[1])
            more = self.tool.reader.available()
            lines.extend(more)
            return [get(event, "portsnoop.local.port") for event in parse_events(more)
                    if get(event, "process.pid") == claimer.pid and get(event, "process.args")
                    and get(event, "portsnoop.local.port") in ports]

        return await_true("a claim behind the loss, its process known", known)[-1]


def sums(events):
    end = events[-1]
    equal(action(end), "stream-end", "last record")
    lost = [event for event in events if action(event) == "lost-events"]
    return (sum(get(event, "portsnoop.lost.count") for event in lost),
            get(end, "portsnoop.totals.lost"), get(end, "portsnoop.totals.seen"))


def check_loss(ring, must_fit):
    one = Lossy(ring)
    events, tool = one.events, one.tool
    by_gaps, by_end, seen = sums(events)
    check(by_end > STORM / 2, "only", by_end, "lost of", STORM)
    equal(by_gaps, by_end, "sum of lost.count and the totals' lost")
    line = tool.totals()
    equal(line[3], by_end, "lost in the last line")
    equal(line[1], sum(map(is_event, events)), "delivered in the last line")
    check(line[0] <= seen, "seen in the last line:", line[0], "of", seen, "records")
    numbers = [get(event, "event.sequence") for event in events]
    equal(numbers, list(range(1, len(numbers) + 1)), "numbers")
    storm = [event for event in events if get(event, "process.pid") == one.stormer.pid
             and get(event, "portsnoop.local.ip") == "127.78.0.2"]
    claims = [event for event in storm if action(event) == "bound-socket"]
    ports = [get(event, "portsnoop.local.port") for event in claims]
    equal(ports, sorted(set(ports)), "ports of the storm, each once and in order")
    check(all(FIRST <= port < FIRST + STORM for port in ports), "ports that nobody asked for:", ports[:9])
    for event in claims:
        equal((get(event, "portsnoop.requested.port"), get(event, "portsnoop.origin"),
               get(event, "network.transport"), get(event, "event.outcome")),
              (get(event, "portsnoop.local.port"), "requested", "udp", "success"), "a claim of the storm")
    if must_fit:
        check(len(ports) > 10, "claims of the storm that came through:", len(ports))
    # Whoever is known only from behind the loss is known in full.
    for claimer in (one.old, one.new, one.stormer):
        event = find([event for event in events if get(event, "process.pid") == claimer.pid],
                     one.after[claimer.pid])
        args = get(event, "process.args")
        check(args and args[1].endswith("behavior_claimer.py"), "arguments:", event)
        check(get(event, "process.executable"), "no executable:", event)
        check(get(event, "portsnoop.process_unknown") is None, "unknown:", event)
        equal(get(event, "process.user.name"), "root", "user")
    again = run("replay", "-o", "json", "--release", one.path)
    equal(parse_events(again.lines()), events, "replay")
    table = run("replay", "--release", one.path)
    words = [line for line in table.lines() if line.startswith(b"!! ")]
    equal(len(words), sum(action(event) == "lost-events" for event in events), "lines of the table")
    counts = [int(re.match(rb"!! (\d+) records? lost ", word).group(1)) for word in words]
    equal(sum(counts), by_end, "lost by the table's lines")
    rows = run("replay", "-o", "csv", "-f", "event.action,portsnoop.lost.count", one.path).lines()
    equal(sum(int(row.split(b",")[1]) for row in rows if row.startswith(b"lost-events,")), by_end,
          "lost by the rows of CSV")


for _ring, _fits in (("4k", False), ("16k", True), ("64k", True)):
    test(f"loss: what a ring of {_ring} had no room for is counted, and told where it is missing")(
        lambda ring=_ring, fits=_fits: check_loss(ring, fits))


@test("loss: told although a filter lets nothing else through")
def filtered_loss():
    one = Claimer()
    tool = Tool("trace", "-o", "json", "--ring", "16k", "--port", "1")
    tool.started()
    tool.pause()
    one.ask("storm", "udp4", "127.78.1.1", 0, STORM)
    tool.send(signal.SIGCONT)
    tool.send(signal.SIGINT)
    events = parse_events(tool.reader.rest())
    equal(tool.status(), 0, "exit status")
    by_gaps, by_end, _ = sums(events)
    check(by_end > STORM / 2, "only", by_end, "lost")
    equal(by_gaps, by_end, "sum of lost.count and the totals' lost")
    equal(tool.totals()[3], by_end, "lost in the last line")


@test("loss: a large ring loses nothing of the same storm")
def large_ring():
    one = Claimer()
    tool = Tool("trace", "-o", "json", "--ring", "16M", "--pid", str(one.pid))
    tool.started()
    tool.pause()
    one.ask("storm", "udp4", "127.78.2.1", 0, STORM)
    tool.send(signal.SIGCONT)
    events = parse_events(tool.stop())
    equal(sum(map(is_event, events)), STORM, "events")
    equal(sums(events)[:2], (0, 0), "lost")
    equal(tool.totals()[1], STORM, "delivered")


@test("loss: an output that nobody reads for a while costs nothing, far beyond what the ring holds")
def unread_output():
    one = Claimer()
    tool = Tool("trace", "-o", "json", "--ring", "2M", "--pid", str(one.pid))
    tool.started()
    for _ in range(8):
        one.ask("storm", "udp4", "127.78.3.1", 0, STORM)
    events = parse_events(tool.stop())
    equal(sum(map(is_event, events)), 8 * STORM, "events")
    equal(sums(events)[:2], (0, 0), "lost")
    equal(tool.totals()[1], 8 * STORM, "delivered")
