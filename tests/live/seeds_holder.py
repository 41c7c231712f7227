# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A process that holds ports in every state, when it is told to.

Reads words, a line each, and answers each with a line of JSON. Ends with its input.
"""

import contextlib
import itertools
import json
import os
import select
import signal
import socket
import sys

MPTCP = 262
LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
WORKERS, HELD_MOST = 4, 24
MARK = 9


def stream(family=socket.AF_INET, protocol=0, address=("127.0.0.1", 0), backlog=8):
    one = socket.socket(family, socket.SOCK_STREAM, protocol)
    if family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    one.bind(address)
    one.listen(backlog)
    return one


def client_of(listener, family=None, ip=None, protocol=0):
    one = socket.socket(family or listener.family, socket.SOCK_STREAM, protocol)
    one.connect((ip or listener.getsockname()[0], listener.getsockname()[1]))
    return one


def pair(listener, **how):
    client = client_of(listener, **how)
    return [client, listener.accept()[0]]


def datagram(family=socket.AF_INET, port=0, only6=None):
    one = socket.socket(family, socket.SOCK_DGRAM)
    if only6 is not None:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only6)
    if port is not None:
        one.bind(("", port))
    return one


class Holder:
    def __init__(self):
        self.held = []  # the ends that close first stand in front
        self.child = self.parent = self.finish = None
        self.workers = []

    def open(self):
        """{"pids", "bound": local ends of TCP sockets that only have a port}"""
        listeners, servers, clients, others = [], [], [], []
        for family, ip in LOOPBACK.items():
            listener = stream(family, address=(ip, 0))
            listeners.append(listener)
            for half in (False, False, True):
                client, server = pair(listener)
                if half:
                    client.shutdown(socket.SHUT_WR)
                clients.append(client)
                servers.append(server)
        dual = stream(socket.AF_INET6, address=("::", 0))
        client, server = pair(dual, family=socket.AF_INET, ip="127.0.0.1")
        # What nobody accepts: connections without a file, and one that gets no answer.
        full = stream(backlog=0)
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(full.getsockname())
            clients.append(client)
        bound = []
        for family, ip in LOOPBACK.items():
            one = socket.socket(family)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((ip, 0))
            bound.append(one)
        others += [datagram(), datagram(socket.AF_INET6, only6=0), datagram(socket.AF_INET6, only6=1)]
        connected, sent = datagram(port=None), datagram(port=None)
        connected.connect(("127.0.0.1", others[0].getsockname()[1]))
        sent.sendto(b"x", ("127.0.0.1", others[0].getsockname()[1]))
        socketless = [socket.socket(), datagram(port=None)]
        clients.append(client_of(dual, ip="::1"))
        servers += [server, dual.accept()[0]]
        self.held = [*clients, *servers, *listeners, dual, full, *bound, *others, connected, sent, *socketless]
        wait, self.parent = os.pipe()
        self.child = os.fork()
        if not self.child:
            os.close(self.parent)
            os.read(wait, 1)  # until the parent has ended
            os._exit(0)
        return {"pids": [os.getpid(), self.child], "bound": [one.getsockname()[:2] for one in bound]}

    def open_mptcp(self):
        """Whether this kernel has it."""
        try:
            listener = stream(protocol=MPTCP)
        except OSError:
            return False
        self.held += [*pair(listener, protocol=MPTCP), listener]
        return True

    def close(self):
        if self.child:
            os.kill(self.child, signal.SIGKILL)
            os.waitpid(self.child, 0)
        for one in self.held:
            one.close()
        return True

    def mark(self):
        """A claim by which a reader of the trace knows that it has seen all before."""
        datagram(port=MARK).close()
        return True

    # ---- a storm of claims, until it is told to end ----

    def storm(self):
        stop, self.finish = os.pipe()
        for number in range(WORKERS):
            answer, there = os.pipe()
            if not os.fork():
                for fd in (self.finish, answer):
                    os.close(fd)
                for other in [*self.workers, sys.stdin]:
                    other.close()
                work(number, stop, there)
                os._exit(0)
            os.close(there)
            self.workers.append(os.fdopen(answer))
        for worker in self.workers:
            worker.readline()  # it has begun
        return True

    def calm(self):
        """What the workers hold now: [[protocol, local port], ...]. They go on holding it."""
        os.close(self.finish)
        return sum((json.loads(worker.readline()) for worker in self.workers), [])


def work(number, stop, answer):
    held, listener = [], stream()
    os.write(answer, b"\n")
    for turn in itertools.count(number):
        if select.select([stop], [], [], 0)[0]:
            break
        kind = turn % 4
        if kind == 0:
            held.append(stream())
        elif kind == 1:
            held.append(datagram(socket.AF_INET6))
        elif kind == 2:
            one = datagram(port=None)
            one.connect(listener.getsockname())
            held.append(one)
        else:
            client, server = pair(listener)
            server.close()  # and the port stays with the client
            held.append(client)
        if len(held) > HELD_MOST:
            for one in held[:turn * 7 % HELD_MOST]:
                one.close()
            del held[:turn * 7 % HELD_MOST]
    words = [[socket.IPPROTO_UDP if one.type == socket.SOCK_DGRAM else socket.IPPROTO_TCP,
              one.getsockname()[1]] for one in [listener, *held]]
    with contextlib.suppress(BrokenPipeError):
        os.write(answer, json.dumps(words).encode() + b"\n")
    poll = select.poll()
    poll.register(answer, 0)
    poll.poll()  # until the holder has ended and nobody reads any more


def main():
    holder = Holder()
    for line in sys.stdin:
        print(json.dumps(getattr(holder, line.strip())()), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
