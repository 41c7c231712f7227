#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Whether the ledger is what the kernel has, after a storm.

200 processes (ledger_storm.c, in a network namespace of their own) claim, listen, connect,
accept, hand on and close while portsnoop starts and watches, until they are told to be
calm. What they hold then, by `ss -tuanpe`, is held against

- the ledger that follows from the saved stream, kept here by a few lines of Python,
- the ledger of the running portsnoop, asked by its socket (user/service/protocol.h),
- what `portsnoop who` tells, which asks the kernel as well.

usage: ledger.py [--tier TIER] [--processes N] [--hand-over] [--keep DIR]
Environment: PORTSNOOP, TIER, LEDGER_STORM (program).
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections import Counter

import behavior_tool
import compare
import recording
import situations
import tracer
from behavior_tool import Failure, Reader, Skip, Tool, at_end, check, end, equal, room

TCP, UDP = 6, 17
STATES = ("bound", "connecting", "established", "listen", "time_wait")  # enum lease_state
KERNEL_STATES = {1: "established", 2: "connecting", 3: "connecting", 4: "established", 5: "established",
                 6: "time_wait", 7: "bound", 8: "established", 9: "established", 10: "listen", 11: "established"}
SS_STATES = {"ESTAB": 1, "SYN-SENT": 2, "SYN-RECV": 3, "FIN-WAIT-1": 4, "FIN-WAIT-2": 5, "TIME-WAIT": 6,
             "UNCONN": 7, "CLOSE-WAIT": 8, "LAST-ACK": 9, "LISTEN": 10, "CLOSING": 11}
CONNECT, LISTEN = 2, 3
ESTIMATED = 1 << 13


def key_of(protocol, state, local, local_port, remote, remote_port):
    """What two views of one socket have in common."""
    return (protocol, state, compare.same_ip(local), local_port,
            compare.same_ip(remote) if remote_port else None, remote_port)


# ---- the storm, and what the kernel says of it ----


class Storm:
    def __init__(self, *command):
        self.process = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *command],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        at_end(self.close)
        self.reader = Reader(self.process.stdout.fileno())
        self.answer("storming")
        self.netns = os.stat(f"/proc/{self.process.pid}/ns/net").st_ino

    def close(self):
        with contextlib.suppress(OSError, Failure):
            self.process.stdin.close()
            behavior_tool.await_exit(self.process)
        end(self.process)

    def answer(self, word):
        """Its lines before the one that has this word."""
        lines = []
        while True:
            line = self.reader.line(f"'{word}' of the storm")
            check(line is not None, "the storm has ended")
            line = json.loads(line)
            if word in line:
                return lines
            lines.append(line)

    def ask(self, word):
        self.process.stdin.write(word.encode() + b"\n")
        self.process.stdin.flush()

    def inside(self, *command):
        done = subprocess.run(["nsenter", "-n", "-t", str(self.process.pid), *command], capture_output=True,
                              timeout=behavior_tool.PATIENCE, check=False)
        return done.returncode, done.stdout, done.stderr.decode("utf-8", "backslashreplace")


def endpoint(text):
    ip, _, port = text.rpartition(":")
    ip = ip.partition("%")[0].strip("[]")
    return "::" if ip == "*" else ip, 0 if port == "*" else int(port)


def kernel_lists(storm):
    """[(key, inode)] by ss; inode 0: TIME_WAIT."""
    status, out, words = storm.inside("ss", "-tuanpeH")
    equal(status, 0, f"exit status of ss, it said {words!r}")
    found = []
    for line in out.decode().splitlines():
        name, state, _, _, local, remote, *more = line.split()
        inode = re.search(r" ino:(\d+)", " " + " ".join(more))
        key = key_of({"tcp": TCP, "udp": UDP}[name], KERNEL_STATES[SS_STATES[state]], *endpoint(local),
                     *endpoint(remote))
        found.append((key, int(inode[1]) if inode else 0))
    return found


class Truth:
    """What is held. ss does not list TCP sockets that are bound and nothing more: of
    these their owners tell, who have to agree with ss about all others."""

    def __init__(self, storm, reports):
        listed = kernel_lists(storm)
        self.sockets = []  # (key, report)
        for report in reports:
            key = key_of(report["protocol"], KERNEL_STATES[report["state"]], *report["local"], *report["remote"])
            self.sockets.append((key, report))
        inodes = Counter(report["inode"] for report in reports)
        equal(max(inodes.values()), 1, "reports of one socket")
        by_ss = {(key, inode) for key, inode in listed if inode}
        by_owner = {(key, report["inode"]) for key, report in self.sockets
                    if not (key[0] == TCP and key[1] == "bound")}
        check(by_ss == by_owner, "ss and the owners disagree: only ss:", sorted(by_ss - by_owner)[:5],
              "only the owners:", sorted(by_owner - by_ss)[:5])
        self.time_waits = Counter(key for key, inode in listed if not inode)
        equal({key[1] for key in self.time_waits}, {"time_wait"}, "states of sockets without a file")

    def all(self):
        return Counter(key for key, _ in self.sockets)

    def claims(self):
        return Counter(key for key, report in self.sockets if not report["accepted"])

    def shares(self):
        return Counter(key for key, report in self.sockets if report["accepted"])


def show(keys):
    return "; ".join(map(str, sorted(keys.elements(), key=str)[:5])) or "nothing"


# ---- three ledgers: [(key, pid of the claimant or None, estimated)] ----


def claims(event, port):
    return event.type == recording.CALL and event.flags & recording.CLAIMED and event.local_port == port


def ledger_of_stream(stream, netns):
    """The same rules as user/model/ledger.h, in short."""
    leases, lingering = {}, {}
    for event in stream.events:
        if event.netns != netns or not event.socket:
            continue
        lease = leases.get(event.socket)
        if event.type == recording.RELEASE:
            if event.flags & recording.TIME_WAIT_OVER:
                check(lingering.pop(event.socket, None), "the end of a TIME_WAIT that never began:", event)
                continue
            check(leases.pop(event.socket, None), "given back, but never held:", event)
            if event.flags & recording.TIME_WAIT:
                lingering[event.socket] = lease + [event]
            continue
        if event.type == recording.SEED:
            if lease and claims(lease[2], event.local_port):
                continue  # found between the place of the claim's record and its note (lease_open)
            check(not lease, "a seed of a socket that is known:", event)
            leases[event.socket] = ["", None, event]
            state = KERNEL_STATES[event.state]
        elif event.type == recording.CALL and event.flags & recording.CLAIMED and event.local_port:
            check(not lease or not lease[1], "claimed by a socket that has a port:", event)
            leases[event.socket] = ["", event.pid, event]
            state = "bound"
        elif not lease:
            # Connects between the moment that the hooks are on and the one that the seeds
            # are told: from before the stream, and without a seed.
            check(event.type == recording.CALL and event.trigger == CONNECT, "a socket that has no port:", event)
            leases[event.socket] = ["", None, event]
            state = "bound"
        else:
            state = lease[0]
        if event.type == recording.OUTCOME:
            state = "bound" if event.error else "established"
        elif event.type == recording.CALL and not event.error:
            if event.trigger == LISTEN:
                state = "listen"
            elif event.trigger == CONNECT and event.other_port:
                state = "connecting" if event.flags & recording.IN_PROGRESS else "established"
        leases[event.socket][0] = state
        leases[event.socket][2] = event
    ledger = [(wire_key(state, event), pid, False) for state, pid, event in leases.values()]
    ledger += [(wire_key("time_wait", event), pid, bool(last.flags & ESTIMATED))
               for _, pid, event, last in lingering.values()]
    return ledger


def wire_key(state, event):
    connected = state in ("connecting", "established", "time_wait")
    return key_of(event.protocol, state, recording.ip(event.family, event.local), event.local_port,
                  recording.ip(event.family, event.other), event.other_port if connected else 0)


HEADER = struct.Struct("=IHHII")
ASK = struct.Struct("=IHHII IHH 8192s")
MAGIC, VERSION = 0x4F4E5350, 1
HELLO, ASKED, RECORDS, LAST = 1, 2, 3, 4
RECORD = struct.Struct("=HHI")
PROCESS = struct.Struct("=8x3Q2I")
LEASE = struct.Struct("=8x4Q3q5I3H6B16s16s16s16s")
RECORD_PROCESS, RECORD_LEASE = 1, 2


def service_messages(pid, netns):
    path = f"/run/portsnoop/{pid}.sock"
    if not os.access("/run", os.W_OK):
        raise Skip("/run cannot be written to, so there is no service")
    check(os.path.exists(path), "it runs no service: there is no", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
        line.settimeout(behavior_tool.PATIENCE)
        line.connect(path)
        while True:
            message = line.recv(1 << 16)
            check(message, "the service hung up")
            magic, version, kind, size, _ = HEADER.unpack_from(message)
            equal((magic, version, size), (MAGIC, VERSION, len(message)), "header of a message")
            yield kind, message
            if kind == HELLO:
                line.send(ASK.pack(MAGIC, VERSION, ASKED, ASK.size, 0, netns, 0, 0, b"\xff" * 8192))
            elif kind != RECORDS:
                return


def ledger_of_service(pid, netns):
    ledger, pids, last = [], {}, None
    for kind, message in service_messages(pid, netns):
        at, last = HEADER.size, kind
        while kind == RECORDS and at < len(message):
            record, _, size = RECORD.unpack_from(message, at)
            if record == RECORD_PROCESS:
                _, _, _, number, process = PROCESS.unpack_from(message, at)
                pids[number] = process
            elif record == RECORD_LEASE:
                lease = LEASE.unpack_from(message, at)
                claimant, (flags,) = lease[10], lease[9:10]
                protocol, local_port, other_port, family, _, _, state = lease[12:19]
                local, other = lease[21:23]
                state = STATES[state]
                connected = state in ("connecting", "established", "time_wait")
                key = key_of(protocol, state, recording.ip(family, local), local_port,
                             recording.ip(family, other), other_port if connected else 0)
                ledger.append((key, pids[claimant] if claimant else None, bool(flags & ESTIMATED)))
            at += size
    equal(last, LAST, "the service's last message")
    return ledger


WHO_STATES = {"listen": "listen", "bound": "bound", "time_wait": "time_wait",
              "syn_sent": "connecting"}


def who_tells(storm):
    status, out, words = storm.inside(behavior_tool.program(), "who", "-o", "json", "--netns", str(storm.netns),
                                      "1-65535")
    equal(status, 0, f"exit status of who, it said {words!r}")
    return behavior_tool.parse_events(out.splitlines())


def holding_key(holding):
    own = holding["portsnoop"]
    remote = own.get("remote") or {"ip": None, "port": 0}
    protocol = {"tcp": TCP, "udp": UDP}[holding["network"]["transport"]]
    return key_of(protocol, WHO_STATES.get(own["state"], "established"), own["local"]["ip"], own["local"]["port"],
                  remote["ip"], remote["port"])


# ---- the comparisons ----


def check_ledger(ledger, truth, afterwards, window):
    """`afterwards`: the TIME_WAITs that were there after the ledger was read, too."""
    have = Counter(key for key, _, _ in ledger if key[1] != "time_wait")
    missing, extra = truth.claims() - have, have - truth.claims() - truth.shares()
    check(not missing and not extra,
          f"{missing.total()} missing: {show(missing)}; {extra.total()} nowhere: {show(extra)}")
    check_claimants(ledger, truth, window)
    have = Counter(key for key, _, _ in ledger if key[1] == "time_wait")
    seen = Counter(key for key, _, estimated in ledger if key[1] == "time_wait" and not estimated)
    missing, extra = (truth.time_waits & afterwards) - have, seen - truth.time_waits
    check(not missing and not extra,
          f"TIME_WAIT: {missing.total()} missing: {show(missing)}; {extra.total()} nowhere: {show(extra)}")


UNCLEAR = -1


def claimant_of(report, window):
    """A claim from before the start has none; while it starts, either is right."""
    if report["before"] <= window[1] and report["after"] >= window[0]:
        return UNCLEAR
    return report["claimant"] if report["before"] > window[1] else None


def check_claimants(ledger, truth, window):
    unclear = {key for key, report in truth.sockets
               if report["accepted"] or claimant_of(report, window) == UNCLEAR}
    want = Counter((key, claimant_of(report, window)) for key, report in truth.sockets if key not in unclear)
    have = Counter((key, pid) for key, pid, _ in ledger if key not in unclear and key[1] != "time_wait")
    check(have == want, f"claimants: missing: {show(want - have)}; wrong: {show(have - want)}")


def check_who(told, truth, afterwards):
    have = Counter(holding_key(one) for one in told if one["portsnoop"]["state"] != "time_wait")
    missing, extra = truth.all() - have, have - truth.all()
    check(not missing and not extra,
          f"{missing.total()} missing: {show(missing)}; {extra.total()} nowhere: {show(extra)}")
    lingering = Counter(holding_key(one) for one in told if one["portsnoop"]["state"] == "time_wait")
    missing, extra = (truth.time_waits & afterwards) - lingering, lingering - truth.time_waits
    check(not missing and not extra,
          f"TIME_WAIT: {missing.total()} missing: {show(missing)}; {extra.total()} nowhere: {show(extra)}")
    owners = {report["inode"]: report["pid"] for _, report in truth.sockets}
    for one in told:
        own = one["portsnoop"]
        if own["state"] != "time_wait":
            equal([holder["pid"] for holder in own["holders"]], [owners[own["inode"]]], f"holders of {one}")


def check_who_claimants(told, truth, window):
    """Of sockets with the same addresses (SO_REUSEPORT): nobody, or one of those who claimed one."""
    reports = {report["inode"]: (key, report) for key, report in truth.sockets}
    alike = {}
    for key, report in truth.sockets:
        alike.setdefault(key[:1] + key[2:], set()).add(claimant_of(report, window))
    wrong = []
    for one in told:
        own = one["portsnoop"]
        if own["state"] == "time_wait":
            continue
        key, report = reports[own["inode"]]
        want = alike[key[:1] + key[2:]]
        if report["accepted"] or UNCLEAR in want:
            continue
        have = (own["claimant"] or {}).get("pid")
        if have not in want and not (len(want) > 1 and have is None):
            wrong.append(f"{key}: {have}, expected {claimant_of(report, window)}")
    check(not wrong, len(wrong), "wrong:", "; ".join(wrong[:5]))


def check_whole(stream, truth, netns, window):
    equal(stream.end.lost, 0, "lost records")
    equal(stream.end.untracked, 0, "untracked sockets")
    equal(stream.end.seen, stream.received + stream.end.filtered, "records seen and received")
    old = sum(report["after"] < window[0] for _, report in truth.sockets if not report["accepted"])
    new = sum(report["before"] > window[1] for _, report in truth.sockets if not report["accepted"])
    check(old > 100 and new > 100, "of what is held,", old, "were claimed before the start,", new, "after it")
    kinds = Counter(event.type for event in stream.events if event.netns == netns)
    check(all(kinds[kind] > 100 for kind in (recording.CALL, recording.OUTCOME, recording.RELEASE)),
          "records of the storm, by type:", dict(kinds))


def judge(tally, name, function, *arguments):
    try:
        function(*arguments)
        tally.add("ok", name)
    except Skip as skip:
        tally.add("skip", name, str(skip))
    except (Failure, compare.Broken) as failure:
        tally.add("not ok", name, str(failure))


def storm_pass(tally, program, options):
    storm = Storm(program, str(options.processes), *(["hand-over"] if options.hand_over else []))
    folder = options.keep or room()
    path = os.path.join(folder, "saved")
    begin = time.monotonic_ns()
    # What is shown does not matter here, and would only cost time.
    tool = Tool("trace", "-o", "json", "--save", path, "--release", "--port", "1")
    tool.started()
    window = (begin, time.monotonic_ns())
    storm.ask("linger")
    storm.answer("lingered")
    storm.ask("calm")
    truth = Truth(storm, storm.answer("calm"))
    try:
        by_service, why_none = ledger_of_service(tool.pid, storm.netns), None
    except Skip as skip:
        by_service, why_none = [], skip
    told = who_tells(storm)
    tool.stop()
    afterwards = Counter(key for key, inode in kernel_lists(storm) if not inode)
    stream = recording.Recording(path)
    print(f"{len(truth.sockets)} sockets held, {truth.time_waits.total()} in TIME_WAIT, "
          f"{len(stream.events)} records", flush=True)

    judge(tally, "ledger: nothing was lost", check_whole, stream, truth, storm.netns, window)
    judge(tally, "ledger: by the saved stream, what ss lists",
          lambda: check_ledger(ledger_of_stream(stream, storm.netns), truth, afterwards, window))
    if why_none:
        tally.add("skip", "ledger: by the service, what ss lists", str(why_none))
        tally.add("skip", "ledger: by who, who claimed it", str(why_none))
    else:
        judge(tally, "ledger: by the service, what ss lists", check_ledger, by_service, truth, afterwards, window)
        judge(tally, "ledger: by who, who claimed it", check_who_claimants, told, truth, window)
    judge(tally, "ledger: by who, what ss lists", check_who, told, truth, afterwards)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tier", default=os.environ.get("TIER"))
    parser.add_argument("--processes", type=int, default=200)
    parser.add_argument("--keep", metavar="DIR", help="leave the recording there")
    parser.add_argument("--hand-over", action="store_true", help="hand sockets on while portsnoop starts, too: "
                        "it misses those that are on their way when it looks")
    options = parser.parse_args()
    if options.tier:
        os.environ["TIER"] = options.tier

    tracer.need_root("ledger")
    tracer.terminate_by_exception()
    tally = compare.Tally()
    program = situations.factory_build("ledger_storm", sources="ledger_storm*.c")
    if not program or not shutil.which("ss"):
        tally.add("skip", "ledger", "could not be built with this compiler" if not program else "there is no ss")
        return tally.finish()
    try:
        storm_pass(tally, program, options)
    except (Failure, compare.Broken) as failure:
        tally.add("not ok", "ledger", str(failure))
    finally:
        behavior_tool.clean_up()
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
