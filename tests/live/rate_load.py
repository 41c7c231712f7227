#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Claims ports as it is told, and counts what came of it.

usage: rate_load.py UID WORK...
Becomes user UID, says its pid, does each WORK, NAME:COUNT[:ADDRESS], once a line comes on
stdin, writes its counts as one object of JSON, and keeps what it holds until stdin ends.
"""

import contextlib
import errno
import json
import os
import socket
import sys
from collections import Counter

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
V4, V6 = socket.AF_INET, socket.AF_INET6
NOT_OURS = "203.0.113.1", 5
FIRST_USER = 1000000000  # nobody else's


class Load:
    def __init__(self):
        self.counts = Counter()
        self.errors = Counter()  # of claims
        self.connect_errors = Counter()
        self.destinations = Counter()  # ip:port of claims that succeeded
        self.destination_failures = Counter()
        self.kept = []

    @contextlib.contextmanager
    def failing(self, where=None):
        try:
            yield
        except OSError as error:
            self.counts["failures"] += 1
            self.errors[errno.errorcode[error.errno]] += 1
            if where:
                self.destination_failures["%s:%d" % where] += 1

    def close(self, one):
        one.close()
        self.counts["released"] += 1

    def bind(self, kind, address, kept=False):
        one = socket.socket(V4, kind)
        origin = "requested" if address[1] else "kernel"
        with one if not kept else contextlib.nullcontext(), self.failing():
            one.bind(address)
            self.counts[origin] += 1
            self.counts["released"] += not kept
            if kept:
                self.kept.append(one)

    def connect(self, where, family=V4):
        """None: it failed."""
        one = socket.socket(family, TCP)
        with self.failing(where):
            one.connect(("::ffff:" + where[0], where[1]) if family == V6 else where)
            self.counts["kernel"] += 1
            self.destinations["%s:%d" % where] += 1
            return one
        one.close()
        return None

    def listen(self, address):
        listener = socket.socket(V4, TCP)
        self.kept.append(listener)
        listener.bind((address, 0))
        listener.listen(100)
        self.counts["kernel"] += 1
        return listener

    # ---- the works ----

    def binds(self, count, address):
        for _ in range(count):
            self.bind(TCP, (address, 0))

    def kept_binds(self, count, address):
        for _ in range(count):
            self.bind(TCP, (address, 0), True)

    def datagram_binds(self, count, address):
        for _ in range(count):
            self.bind(UDP, (address, 0), True)

    def requested(self, count, address):
        for port in range(8020, 8020 + count):
            self.bind(TCP, (address, port))

    def reserved(self, count, address):
        """Of a port in ip_local_reserved_ports."""
        for _ in range(count):
            self.bind(TCP, (address, 45678))

    def in_use(self, count, address):
        taken = self.listen(address)
        for _ in range(count):
            self.bind(TCP, taken.getsockname())

    def in_use_on(self, _count, address):
        """Until it is killed; says a line when the first one has failed."""
        taken = self.listen(address)
        self.bind(TCP, taken.getsockname())
        print(flush=True)
        while True:
            self.bind(TCP, taken.getsockname())

    def users(self, count, address):
        """Each claims one."""
        for uid in range(FIRST_USER, FIRST_USER + count):
            os.setresuid(uid, -1, -1)
            self.bind(UDP, (address, 0))

    def not_ours(self, count, _address):
        for _ in range(count):
            self.bind(TCP, NOT_OURS)

    def connects(self, count, address):
        """Closed on this side first: this port lives on in TIME_WAIT."""
        listener = self.listen(address)
        for i in range(count):
            one = self.connect(listener.getsockname(), V6 if i % 2 else V4)
            there, _ = listener.accept()
            self.close(one)
            there.recv(1)  # its end has come
            there.close()
            self.counts["time_waits"] += 1

    def kept_connects(self, count, address):
        listener = self.listen(address)
        for _ in range(count):
            one = self.connect(listener.getsockname())
            if one:
                self.kept += [one, listener.accept()[0]]

    def refused(self, count, address):
        with socket.socket(V4, TCP) as closed:
            closed.bind((address, 0))
            where = closed.getsockname()
        self.counts["kernel"] += 1
        self.counts["released"] += 1
        for _ in range(count):
            with socket.socket(V4, TCP) as one:
                try:
                    one.connect(where)
                except ConnectionRefusedError:
                    self.connect_errors["ECONNREFUSED"] += 1
            # It had a port, and lost it.
            self.counts["kernel"] += 1
            self.counts["released"] += 1
            self.counts["connect_failures"] += 1
            self.destinations["%s:%d" % where] += 1

    def sends(self, count, address):
        for _ in range(count):
            one = socket.socket(V4, UDP)
            self.kept.append(one)
            with self.failing():
                one.sendto(b"x", (address, 9))
                self.counts["kernel"] += 1


def main():
    load = Load()
    os.setresuid(*[int(sys.argv[1])] * 3)
    print(os.getpid(), flush=True)
    sys.stdin.readline()
    for work in sys.argv[2:]:
        name, count, *address = work.split(":")
        getattr(load, name)(int(count), address[0] if address else "127.0.0.1")
    print(json.dumps({key: value for key, value in vars(load).items() if key != "kept"}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
