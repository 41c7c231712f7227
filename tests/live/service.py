#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What `portsnoop who` says while another portsnoop watches.

usage: service.py [PATTERN...]
Environment: PORTSNOOP (program). PATTERN: names of tests, as globs.
"""

import os
import signal
import socket
import sys

from behavior_tool import (Claimer, Tool, await_true, check, end, equal, get, is_port, parse_events, run,
                           suite_run, test)
from who_situation import Child, free_port, listener, made, send_socket, take_socket, time_wait

FOLDER = "/run/portsnoop"


class Watcher(Tool):
    """A trace that `who` can ask, and that has told of what it knows. It shows little:
    what is not read here would fill the pipe, and then it waits."""

    def __init__(self, *filters):
        super().__init__("trace", "-o", "json", *(filters or ("--port", "10000-29999")))
        self.started()
        await_true("the service's socket", lambda: os.path.exists(f"{FOLDER}/{self.pid}.sock"))

    def knows(self, port, wanted="bound-socket"):
        """Until the trace has told of a claim, and so the ledger knows it."""
        self.reader.until(is_port(port, wanted=wanted), f"{wanted} of port {port}")


def holdings(*words, status=0, prefix=()):
    result = run("who", *words, "-o", "json", prefix=prefix)
    equal(result.status, status, f"exit status of who {' '.join(words)}, it said {result.words()!r}")
    return parse_events(result.lines()), result.words()


def only(*words):
    there, _ = holdings(*words)
    equal(len(there), 1, f"holdings: {there}")
    return there[0]


@test("service: nobody watches, and who says that it does not know the claimant")
def nobody():
    port = free_port()
    one = listener(port)
    own = only(str(port))
    equal((get(own, "portsnoop.claimant"), get(own, "portsnoop.claimant_unknown")),
          (None, "nobody_watches"), "claimant")
    one.close()


@test("service: who made the claim, by what, and since when it listens")
def claimant():
    port, watcher, claimer = free_port(), Watcher(), Claimer("the", "claimer")
    handle, _ = claimer.ask("claim", "tcp4", "127.0.0.1", port)
    watcher.knows(port)
    before = only(str(port))
    claimer.ask("listen", handle)
    watcher.knows(port, "listen-for-connections")
    after = only(str(port))
    for holding in (before, after):
        equal(get(holding, "portsnoop.claimant.pid"), claimer.pid, "claimant")
        equal(get(holding, "portsnoop.claimant.args")[-2:], ["the", "claimer"], "its arguments")
        equal(get(holding, "portsnoop.trigger"), "bind", "trigger")
        equal(get(holding, "portsnoop.watcher.pid"), watcher.pid, "watcher")
    equal(get(before, "portsnoop.claimed"), get(after, "portsnoop.claimed"), "time of the claim")
    equal((get(before, "portsnoop.state"), get(after, "portsnoop.state")), ("bound", "listen"), "states")
    check(get(after, "portsnoop.since") > get(after, "portsnoop.claimed"), "since:", after)
    text = run("who", str(port)).out.decode()
    check(f" by {claimer.process.args[0].rpartition('/')[2]}[{claimer.pid}], with bind; listen since " in text,
          "text:", text)


@test("service: of several sockets of one process the claimant is told, but not which claim it was")
def several():
    port, watcher = free_port(), Watcher()
    servers = []
    for _ in range(2):
        one = made()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind(("127.0.0.1", port))
        one.listen(64)
        watcher.knows(port, "listen-for-connections")
        servers.append(one)
    there, _ = holdings(str(port))
    equal([(get(one, "portsnoop.claimant.pid"), get(one, "portsnoop.claimed"), get(one, "portsnoop.claimed_unknown"),
            get(one, "portsnoop.trigger"), get(one, "portsnoop.since")) for one in there],
          [(os.getpid(), None, "one_of_several", None, None)] * 2, "claimant, and what differs")
    text = run("who", str(port)).out.decode()
    equal(text.count(f"[{os.getpid()}]\n"), 2, f"claimants in {text}")
    servers.pop().close()
    check(get(only(str(port)), "portsnoop.claimed"), "time of the one claim that is left")


@test("service: the claimant handed the socket on and is gone")
def handed_on():
    port, watcher = free_port(), Watcher()

    def give(channel):
        one = listener(port)
        send_socket(channel, one)
        one.close()

    giver = Child(give)
    taken = take_socket(giver.socket)
    giver.ready()
    claimed_by = giver.pid
    giver.close()
    watcher.knows(port)
    holding = only(str(port))
    equal([holder["pid"] for holder in get(holding, "portsnoop.holders")], [os.getpid()], "holders")
    equal(get(holding, "portsnoop.claimant.pid"), claimed_by, "claimant")
    os.close(taken)


@test("service: TIME_WAIT belongs to its claimant")
def time_wait_of():
    port, claimer = free_port(), Claimer()
    server, watcher = listener(port), Watcher("--pid", str(claimer.pid))
    client = claimer.ask("open", "tcp4")
    own = claimer.ask("connect", client, "127.0.0.1", port)
    accepted, _ = server.accept()
    watcher.knows(own, "connection-established")
    claimer.ask("close", client)
    equal(accepted.recv(1), b"", "what comes after the close")
    accepted.close()
    server.close()
    end(claimer.process)
    holding = only(str(own))
    equal((get(holding, "portsnoop.state"), get(holding, "portsnoop.holders")), ("time_wait", []), "state, holders")
    equal(get(holding, "portsnoop.claimant.pid"), claimer.pid, "claimant")
    equal(get(holding, "portsnoop.trigger"), "connect", "trigger")
    check(0 < get(holding, "portsnoop.expires_ms") <= 60000, "expires:", holding)


@test("service: an accepted connection is a share of the listener's claim")
def share():
    port, watcher, claimer = free_port(), Watcher(), Claimer()
    server = listener(port)
    watcher.knows(port, "listen-for-connections")
    client = claimer.ask("open", "tcp4")
    claimer.ask("connect", client, "127.0.0.1", port)
    accepted, _ = server.accept()
    there, _ = holdings(str(port))
    equal([(get(one, "portsnoop.state"), get(one, "portsnoop.share"), get(one, "portsnoop.claimant.pid"))
           for one in there], [("listen", None, os.getpid()), ("established", True, os.getpid())],
          "state, share, claimant")
    accepted.close()
    server.close()


@test("service: the connections of the server before are not the new one's")
def server_before():
    port = free_port()
    time_wait(port)
    # The timers of the kernel tell its age to 200 ms: a server that is younger could be its own.
    while get(holdings(str(port))[0][0], "portsnoop.expires_ms") > 59700:
        pass
    watcher = Watcher()
    server = listener(port)
    watcher.knows(port, "listen-for-connections")
    there, _ = holdings(str(port))
    equal([(get(one, "portsnoop.state"), get(one, "portsnoop.claimant.pid"),
            get(one, "portsnoop.claimant_unknown")) for one in there],
          [("listen", os.getpid(), None), ("time_wait", None, "not_known")], "state, claimant, why not")
    server.close()


@test("service: what was claimed before it began has no claimant")
def predates():
    port = free_port()
    one = listener(port)
    watcher = Watcher()
    holding = only(str(port))
    equal((get(holding, "portsnoop.claimant"), get(holding, "portsnoop.claimant_unknown")), (None, "predates"),
          "claimant")
    equal([holder["pid"] for holder in get(holding, "portsnoop.holders")], [os.getpid()], "holders")
    equal(get(holding, "portsnoop.watcher.pid"), watcher.pid, "watcher")
    one.close()


@test("service: others are told of their own claims only")
def foreign():
    port, watcher = free_port(), Watcher()
    one = listener(port)
    watcher.knows(port, "listen-for-connections")
    there, words = holdings(str(port), prefix=("setpriv", "--reuid", "1234", "--clear-groups"))
    equal([get(holding, "portsnoop.claimant") for holding in there], [None], "claimants")
    check(f"not told by portsnoop[{watcher.pid}]: claims of other users (1)" in words, "words:", words)
    one.close()


@test("service: gone without a trace, also after SIGKILL")
def gone():
    port, watcher = free_port(), Watcher()
    one = listener(port)
    watcher.stop()
    equal(os.listdir(FOLDER), [], "what it leaves behind")
    killed = Watcher()
    killed.send(signal.SIGKILL)
    killed.status()
    equal(get(only(str(port)), "portsnoop.claimant_unknown"), "nobody_watches", "claimant")
    equal(os.listdir(FOLDER), [], "what who leaves behind")
    one.close()


@test("service: one that does not answer keeps nobody waiting for long")
def paused():
    port, watcher = free_port(), Watcher()
    one = listener(port)
    watcher.pause()
    there, words = holdings(str(port))
    equal(len(there), 1, "holdings")
    check(f"portsnoop[{watcher.pid}]" in words, "words:", words)
    watcher.send(signal.SIGCONT)
    watcher.stop()
    one.close()


@test("service: a trace of one command is not asked")
def command_only():
    tool = Tool("trace", "-o", "json", "--", "sleep", "60")
    tool.started()
    equal(os.listdir(FOLDER), [], "sockets")
    tool.send(signal.SIGTERM)
    tool.reader.rest()
    tool.status()


if __name__ == "__main__":
    sys.exit(suite_run("service"))
