# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Reads what each watcher wrote, into sightings of one shape.

A sighting is what the output states of one call, and no more: None is "it does
not say". Port 0 and an unset address are how the peers do not say it.
"""

import errno
import re
from dataclasses import dataclass

import compare  # of the live suite

PROTOCOLS = {6: "tcp", 17: "udp", 136: "udplite", 132: "sctp", 262: "mptcp", 1: "icmp", 58: "icmp"}
FAILURES = {"ECONNREFUSED": "refused", "ETIMEDOUT": "timeout", "EHOSTUNREACH": "unreachable",
            "ENETUNREACH": "unreachable", "0": "closed"}
FAILED = "failed"  # and no reason
EVERY_CLAIM = ("bind", "connect", "listen", "send")
CONNECT = ("connect", "send")  # a Fast Open send is one, too


@dataclass
class Sighting:
    calls: tuple  # which calls of a caller it may be about
    pid: int
    transport: str = None
    ip: str = None
    port: int = None
    remote_ip: str = None
    remote_port: int = None
    result: str = None  # ok, an errno's name, what became of a connect, or FAILED

    def __post_init__(self):
        self.port, self.remote_port = self.port or None, self.remote_port or None
        self.ip, self.remote_ip = (ip_read(one) for one in (self.ip, self.remote_ip))


def ip_read(text):
    return compare.plain_ip(text) if text not in (None, "", "-") else None


def result_read(number):
    number = abs(int(number))
    return errno.errorcode.get(number, str(number)) if number else "ok"


def rows(path, pattern):
    """The lines that fit, and only they: names in them are hostile, headings are no rows."""
    with open(path, encoding="utf-8", errors="replace", newline="\n") as file:
        for line in file:
            found = re.fullmatch(pattern, line.rstrip("\n"))
            if found:
                yield found.groupdict()


COMM = r"(?P<pid>\d+) +.*? +"


def bindsnoop(path):
    for row in rows(path, COMM + r"(?P<ret>-?\d+) +(?P<proto>TCP|UDP|UNK) +[F.][T.][N.][R.][r.] +\d+ +"
                    r"(?P<port>\d+) +(?P<ip>[0-9a-f:.]+) *"):
        transport = row["proto"].lower() if row["proto"] != "UNK" else None
        yield Sighting(("bind",), int(row["pid"]), transport, row["ip"], int(row["port"]),
                       result=result_read(row["ret"]))


def tcpconnect(path):
    for row in rows(path, COMM + r"[46] +(?P<ip>\S+) +(?P<to>\S+) +(?P<port>\d+) +(?P<to_port>\d+) *"):
        yield Sighting(CONNECT, int(row["pid"]), None, row["ip"], int(row["port"]), row["to"], int(row["to_port"]))


def tcptracer(path):
    for row in rows(path, r"(?P<what>[CX]) +" + COMM + r"[46] +(?P<ip>\S+) +(?P<to>\S+) +(?P<port>\d+) +"
                    r"(?P<to_port>\d+) *"):
        if row["what"] == "C":  # written when the connection is there, and only then
            yield Sighting(CONNECT, int(row["pid"]), None, row["ip"], int(row["port"]), row["to"],
                           int(row["to_port"]), "established")
        else:
            yield Sighting(("release",), int(row["pid"]), None, row["ip"], int(row["port"]))


def solisten(path):
    for row in rows(path, COMM + r"(?P<ret>-?\d+) +-?\d+ +(?P<proto>\w+) +(?P<port>\d+) +(?P<ip>\S+) *"):
        yield Sighting(("listen",), int(row["pid"]), None, row["ip"], int(row["port"]),
                       result=result_read(row["ret"]))


def tcpstates(path):
    """Its lines about one socket together tell of a connect; none alone does."""
    under_way, early, found = {}, {}, []

    def outcome(sighting, row):
        sighting.result = "established" if row["new"] == "ESTABLISHED" else FAILED
        sighting.port = int(row["port"]) or sighting.port  # before, it may be the last connect's

    for row in rows(path, r"(?P<sock>[0-9a-f]+) +" + COMM + r"[46] +(?P<ip>\S+) +(?P<port>\d+) +(?P<to>\S+) +"
                    r"(?P<to_port>\d+) +(?P<old>\w+) +-> (?P<new>\w+) +[\d.]+"):
        sock, change = row["sock"], (row["old"], row["new"])
        pid, port = int(row["pid"]), int(row["port"])
        if change == ("CLOSE", "SYN_SENT"):
            one = Sighting(CONNECT, pid, None, row["ip"], port, row["to"], int(row["to_port"]))
            found.append(one)
            # Lines of two CPUs may come in the other order.
            if sock in early:
                outcome(one, early.pop(sock))
            else:
                under_way[sock] = one
        elif row["old"] in ("SYN_SENT", "SYN_RECV") and row["new"] in ("ESTABLISHED", "CLOSE"):
            # Who connects to himself goes through SYN_RECV, as accepted sockets do.
            if sock in under_way:
                outcome(under_way.pop(sock), row)
            elif row["old"] == "SYN_SENT":
                early[sock] = row
        elif change == ("CLOSE", "LISTEN"):
            found.append(Sighting(("listen",), pid, None, row["ip"], port, result="ok"))
        if row["new"] == "CLOSE":
            found.append(Sighting(("release",), pid, None, row["ip"], port))
    return found


def outcomes_join(connects, outcomes):
    """Gives each connect its outcome: both are lists of (key, ...) in the order of the output."""
    waiting = {}
    for key, sighting in connects:
        waiting.setdefault(key, []).append(sighting)
    for key, result in outcomes:
        if waiting.get(key):
            waiting[key].pop(0).result = result


def bpftrace(path):
    found, connects, outcomes = [], [], []
    for row in rows(path, r"(?P<what>\w+) (?P<pid>\d+) (?P<proto>\d+) (?P<ip>\S+) (?P<port>\d+) (?P<to>\S+) "
                    r"(?P<to_port>\d+) (?P<result>-?\d+|\d+:\d+)"):
        what, pid, port = row["what"], int(row["pid"]), int(row["port"])
        transport = PROTOCOLS.get(int(row["proto"]))
        key = (pid, port, int(row["to_port"]))
        if what == "outcome":
            state, _, error = row["result"].partition(":")
            result = "established" if state == "1" else \
                FAILURES.get(result_read(error) if error != "0" else "0", "closed")
            outcomes.append((key, result))
            continue
        calls = {"bind": ("bind",), "connect": CONNECT, "listen": ("listen",), "autobind": EVERY_CLAIM,
                 "release": ("release",)}[what]
        one = Sighting(calls, pid, transport, row["ip"], port, row["to"], int(row["to_port"]),
                       result_read(row["result"]))
        if what == "connect" and transport == "tcp" and one.result == "ok":
            one.result = None  # under way; the state changes tell
            connects.append((key, one))
        found.append(one)
    outcomes_join(connects, outcomes)
    return found


def portsnoop(path):
    found, connects, outcomes = [], [], []
    for event in compare.read_lines(path):
        record = compare.seen_from(event)
        if record is None:
            continue
        key = (record.get("pid"), record.get("local.port"), record.get("remote.port"))
        if record["kind"] == compare.OUTCOME:
            outcomes.append((key, record["outcome"]))
            continue
        release = record["kind"] == compare.RELEASE
        failed = record.get("error")
        side = "requested" if failed and "requested.ip" in record else "local"
        one = Sighting(("release",) if release else (record["trigger"],), record.get("pid"),
                       record.get("transport"), record.get(f"{side}.ip"),
                       record.get(f"{side}.port") or record.get("local.port"), record.get("remote.ip"),
                       record.get("remote.port"), failed or "ok")
        if not release and record["progress"] == "under way":
            one.result = None
            connects.append((key, one))
        found.append(one)
    outcomes_join(connects, outcomes)
    return found


READERS = {reader.__name__: reader for reader in
           (portsnoop, bindsnoop, tcpconnect, tcptracer, solisten, tcpstates, bpftrace)}


def read(name, path):
    try:
        return list(READERS[name](path))
    except OSError as error:
        raise compare.Broken(f"{path}: {error.strerror}") from None
