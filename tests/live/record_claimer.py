#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Makes claims and says of each what it was, once it is over.

usage: record_claimer.py
For each line of stdin, "ROUNDS", makes so many rounds of claims, writes one JSON object a
claim (as a row of the history would have it, and the time behind it), and then "done".
What it opened in a round is closed at the end of it.
"""

import contextlib
import errno
import json
import os
import socket
import sys
import time


def say(protocol, trigger, origin, outcome, local, remote=None, error=0):
    print(json.dumps({
        "pid": os.getpid(), "protocol": protocol, "trigger": trigger, "origin": origin,
        "outcome": outcome, "local_ip": local[0], "local_port": local[1],
        "remote_ip": remote[0] if remote else None, "remote_port": remote[1] if remote else None,
        "error": errno.errorcode[error] if error else None, "time": time.time_ns(),
    }))


def bound(family, kind, protocol, address):
    one = socket.socket(family, kind)
    one.bind(address)
    say(protocol, "bind", "requested" if address[1] else "kernel", "bound", one.getsockname())
    return one


def listening(family, address):
    one = socket.socket(family, socket.SOCK_STREAM)
    one.bind(address)
    one.listen()
    say("tcp", "bind", "kernel", "listening", one.getsockname())
    return one


def connected(family, address):
    one = socket.create_connection(address) if family == socket.AF_INET else socket.socket(family)
    if family != socket.AF_INET:
        one.connect(address)
    say("tcp", "connect", "kernel", "established", one.getsockname(), address)
    return one


def refused(family, address):
    """Its port is not to be had afterwards: whoever asks is told the address alone."""
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.bind((address[0], 0))
        own = one.getsockname()
        error = one.connect_ex(address)
    say("tcp", "bind", "kernel", "failed", own, address, error)


def blocked(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as one:
        try:
            one.bind(address)
        except OSError as failure:
            say("tcp", "bind", "requested", "failed", address, None, failure.errno)
            return
    raise SystemExit(f"{address} is free")


def datagram(family, address):
    one = socket.socket(family, socket.SOCK_DGRAM)
    one.connect(address)
    say("udp", "connect", "kernel", "established", one.getsockname(), address)
    return one


def closed_port(family, host):
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.bind((host, 0))
        own = one.getsockname()
        say("tcp", "bind", "kernel", "bound", own)
    return own


def round_make():
    with contextlib.ExitStack() as there:
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            one = there.enter_context(listening(family, (host, 0)))
            there.enter_context(bound(family, socket.SOCK_DGRAM, "udp", (host, 0)))
            blocked(family, one.getsockname()[:2])
            there.enter_context(connected(family, one.getsockname()[:2]))
            there.enter_context(one.accept()[0])
            there.enter_context(datagram(family, (host, 9)))
            refused(family, closed_port(family, host)[:2])


def main():
    for line in sys.stdin:
        for _ in range(int(line)):
            round_make()
        print("done", flush=True)


if __name__ == "__main__":
    main()
