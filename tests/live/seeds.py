#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a saved stream tells of the sockets that were there before it.

They are made by seeds_holder.py, in a network namespace of its own, and compared with
what ss lists there.

usage: seeds.py [PATTERN...]
Environment: PORTSNOOP, TIER.
"""

import fnmatch
import json
import os
import re
import subprocess
import sys
from collections import Counter

import behavior_tool
import compare
import recording
import tracer
from behavior_tool import Failure, Reader, Skip, Tool, at_end, check, end, equal, room, test

HERE = os.path.dirname(os.path.abspath(__file__))
STATES = {"ESTAB": 1, "SYN-SENT": 2, "SYN-RECV": 3, "FIN-WAIT-1": 4, "FIN-WAIT-2": 5, "UNCONN": 7,
          "CLOSE-WAIT": 8, "LAST-ACK": 9, "LISTEN": 10, "CLOSING": 11}
CLOSE = 7
TCP, UDP = 6, 17
MARK = 9  # the port by which the holder says where it is


class Holder:
    def __init__(self):
        self.process = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable,
             os.path.join(HERE, "seeds_holder.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        at_end(end, self.process)
        self.reader = Reader(self.process.stdout.fileno())

    def ask(self, word):
        self.process.stdin.write(word.encode() + b"\n")
        self.process.stdin.flush()
        line = self.reader.line(f"the holder's answer to {word}")
        check(line is not None, "the holder has ended")
        return json.loads(line)

    def netns(self):
        return os.stat(f"/proc/{self.process.pid}/ns/net").st_ino


# ---- what the kernel lists ----


def endpoint(text):
    """"[::1]:80" -> (family, ip, port)"""
    ip, _, port = text.rpartition(":")
    ip = ip.partition("%")[0].strip("[]")
    ip = {"*": "::"}.get(ip, ip)
    return 6 if ":" in ip else 4, compare.same_ip(ip), 0 if port == "*" else int(port)


def listed(pid):
    """Counter of (protocol, state, family, local, remote) of sockets that have a file."""
    words = subprocess.run(["nsenter", "-n", "-t", str(pid), "ss", "-tuanHe"], capture_output=True,
                           text=True, check=True).stdout
    found = Counter()
    for line in words.splitlines():
        name, state, _, _, local, remote, *more = line.split()
        if not re.search(r" ino:[1-9]", " " + " ".join(more)) or "mptcp" in line:
            continue
        family, *here = endpoint(local)
        _, *there = endpoint(remote)
        found[{"tcp": TCP, "udp": UDP}[name], STATES[state], family, *here, there[0] if there[1] else None,
              there[1]] += 1
    return found


# ---- what the stream says ----


def seed_key(seed):
    there = recording.ip(seed.family, seed.other) if seed.other_port else None
    return (seed.protocol, seed.state, seed.family, compare.same_ip(recording.ip(seed.family, seed.local)),
            seed.local_port, there and compare.same_ip(there), seed.other_port)


def seeds_of(stream, netns):
    """A record that turned out to be no seed has the number 0."""
    return [seed for seed in stream.of(recording.SEED) if seed.netns == netns and seed.socket]


def finished(tool, path):
    """The recording, of which nothing may be missing."""
    tool.stop()
    check("not as it should be" not in tool.words(), tool.words())
    stream = recording.Recording(path)
    equal(stream.end.lost, 0, "lost records")
    equal(stream.end.untracked, 0, "untracked sockets")
    equal(stream.end.seen, stream.received + stream.end.filtered, "records seen and received")
    return stream


def difference(have, want):
    return f"not told of: {list(want - have)}; nowhere listed: {list(have - want)}"


def started():
    """(tool, path of the recording). What it shows is the holder's mark only."""
    path = os.path.join(room(), "saved")
    tool = Tool("trace", "-o", "json", "--save", path, "--port", str(MARK), "--trigger", "bind")
    tool.started()
    return tool, path


def await_mark(tool, holder):
    """Until all is seen that the holder has done so far."""
    holder.ask("mark")
    tool.reader.until(behavior_tool.is_port(MARK, holder.process.pid), "the holder's mark")


# ---- tests ----


@test("seeds: each socket once, as ss lists it")
def as_listed():
    holder = Holder()
    told = holder.ask("open")
    want = listed(holder.process.pid)
    for ip, port in told["bound"]:
        want[TCP, CLOSE, 6 if ":" in ip else 4, ip, port, None, 0] += 1
    tool, path = started()
    await_mark(tool, holder)
    stream = finished(tool, path)
    seeds = seeds_of(stream, holder.netns())
    have = Counter(map(seed_key, seeds))
    check(have == want, difference(have, want))
    equal({(protocol, state) for protocol, state, *_ in have},
          {(TCP, 1), (TCP, 2), (TCP, 5), (TCP, 7), (TCP, 8), (TCP, 10), (UDP, 1), (UDP, 7)},
          "kinds that the holder has")
    numbers = Counter(seed.socket for seed in stream.of(recording.SEED) if seed.socket)
    equal(max(numbers.values()), 1, "seeds with one number")
    for seed in seeds:
        check(seed.pid in told["pids"] and seed.tid == seed.pid, "held by", seed)
        with open(f"/proc/{seed.pid}/comm", encoding="utf-8") as comm:
            equal(seed.comm, comm.read().rstrip("\n"), f"name of the holder: {seed}")
        with open(f"/proc/{seed.pid}/stat", encoding="utf-8") as stat:
            ticks = int(stat.read().rpartition(")")[2].split()[19])
        equal(seed.start * os.sysconf("SC_CLK_TCK") // 10**9, ticks, f"start of the holder: {seed}")
        equal((seed.uid, seed.error, seed.trigger, seed.origin, seed.duration, seed.flags & recording.NO_CLAIMANT),
              (0, 0, 0, 0, 0, 0), str(seed))
        equal(bool(seed.flags & recording.REUSEADDR), (seed.protocol, seed.state) == (TCP, CLOSE),
              f"SO_REUSEADDR: {seed}")
    equal(Counter(seed.state for seed in seeds if seed.flags & recording.V6ONLY and seed.protocol == UDP),
          {CLOSE: 1}, "states of UDP sockets with IPV6_V6ONLY")


@test("seeds: MPTCP by its subflows")
def mptcp():
    holder = Holder()
    if not holder.ask("open_mptcp"):
        raise Skip("this kernel has no MPTCP")
    tool, path = started()
    await_mark(tool, holder)
    stream = finished(tool, path)
    seeds = seeds_of(stream, holder.netns())
    equal(sorted((seed.protocol, seed.state, bool(seed.flags & recording.MPTCP)) for seed in seeds),
          [(TCP, 1, True), (TCP, 1, True), (TCP, 10, True)], "seeds")
    equal(len({port for seed in seeds for port in (seed.local_port, seed.other_port)} - {0}), 2, "ports")


@test("seeds: what they give back has no claimant")
def releases():
    holder = Holder()
    holder.ask("open")
    tool, path = started()
    await_mark(tool, holder)
    holder.ask("close")
    await_mark(tool, holder)
    stream = finished(tool, path)
    seeds = {seed.socket: seed for seed in seeds_of(stream, holder.netns())}
    check(len(seeds) > 20, len(seeds), "seeds")
    later = [event for event in stream.events if event.socket in seeds and event.type != recording.SEED]
    equal({event.type for event in later}, {recording.RELEASE}, "what happened to them")
    over = Counter(event.socket for event in later if not event.flags & recording.TIME_WAIT_OVER)
    missing = [seeds[number] for number in seeds if over[number] != 1]
    check(not missing, "not given back once:", missing)
    for event in later:
        seed = seeds[event.socket]
        equal((event.protocol, event.local_port, event.pid, event.uid, event.comm, event.trigger, event.duration,
               event.flags & recording.NO_CLAIMANT),
              (seed.protocol, seed.local_port, 0, 0, "", 0, 0, recording.NO_CLAIMANT), f"{event} after {seed}")
    lingering = {seeds[event.socket].state for event in later if event.flags & recording.TIME_WAIT}
    equal(lingering, {1, 5}, "states from which a socket went into TIME_WAIT")


@test("seeds: none for a command, nor what becomes of them")
def of_a_command():
    holder = Holder()
    holder.ask("open")
    read, write = os.pipe()
    path = os.path.join(room(), "saved")
    tool = Tool("trace", "-o", "json", "--save", path, "--release", "--", "sh", "-c",
                "cat; exec python3 -c 'import socket; socket.socket().bind((\"127.0.0.1\", 0))'", stdin=read)
    os.close(read)
    tool.started()
    holder.ask("close")
    os.close(write)
    equal(tool.status(), 0, f"exit status, it said {tool.words()!r}")
    stream = recording.Recording(path)
    equal([(event.type, bool(event.flags & recording.NO_CLAIMANT)) for event in stream.events],
          [(recording.CALL, False), (recording.RELEASE, False)], "records")
    equal(stream.end.lost, 0, "lost records")


@test("seeds: nothing is missing while others claim and close")
def storm():
    holder = Holder()
    holder.ask("storm")
    tool, path = started()
    await_mark(tool, holder)
    want = Counter(map(tuple, holder.ask("calm")))
    await_mark(tool, holder)
    stream = finished(tool, path)
    held, unknown = {}, []
    for event in stream.events:
        if event.netns != holder.netns():
            continue
        opens = event.type == recording.SEED or (
            event.type == recording.CALL and event.flags & recording.CLAIMED and not event.error)
        if opens and event.socket and event.local_port:
            held[event.socket] = (event.protocol, event.local_port)
        elif event.type == recording.RELEASE and not event.flags & recording.TIME_WAIT_OVER:
            if not held.pop(event.socket, None):
                unknown.append(event)
    check(not unknown, "given back, but never held:", unknown[:3])
    have = Counter(held.values())
    check(have == want, difference(have, want))
    check(any(seed.netns == holder.netns() for seed in stream.of(recording.SEED)), "there is no seed")


def run(tally, name, function):
    try:
        function()
        tally.add("ok", name)
    except Skip as skip:
        tally.add("skip", name, str(skip))
    except (Failure, compare.Broken) as failure:
        tally.add("not ok", name, str(failure))
    finally:
        behavior_tool.clean_up()


def main():
    tracer.terminate_by_exception()
    tracer.need_root("seeds")
    tally = compare.Tally()
    for name, function in behavior_tool.TESTS:
        if not sys.argv[1:] or any(fnmatch.fnmatchcase(name, one) for one in sys.argv[1:]):
            run(tally, name, function)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
