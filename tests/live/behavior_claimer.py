# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A process that claims ports when it is told to.

Reads lines of JSON, [METHOD, ARGUMENT...], and answers each with a line: the
result, or {"errno": N}. Ends with its input. Whoever starts it by another name or
with more arguments finds these in the events.
"""

import ctypes
import json
import os
import socket
import sys
import threading

KINDS = {
    "tcp4": (socket.AF_INET, socket.SOCK_STREAM, 0),
    "tcp6": (socket.AF_INET6, socket.SOCK_STREAM, 0),
    "udp4": (socket.AF_INET, socket.SOCK_DGRAM, 0),
    "udp6": (socket.AF_INET6, socket.SOCK_DGRAM, 0),
    "udplite4": (socket.AF_INET, socket.SOCK_DGRAM, 136),
    "ping4": (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP),
    "mptcp4": (socket.AF_INET, socket.SOCK_STREAM, 262),
}
PR_SET_NAME = 15


class Claimer:
    def __init__(self):
        self.sockets = {}
        self.children = {}

    def pid(self):
        return os.getpid()

    def open(self, kind):
        made = socket.socket(*KINDS[kind])
        self.sockets[made.fileno()] = made
        return made.fileno()

    def bind(self, handle, ip, port):
        self.sockets[handle].bind((ip, port))
        return self.port(handle)

    def port(self, handle):
        return self.sockets[handle].getsockname()[1]

    def claim(self, kind, ip, port):
        """A new socket, bound: [handle, port]."""
        handle = self.open(kind)
        try:
            return [handle, self.bind(handle, ip, port)]
        except OSError:
            self.close(handle)
            raise

    def listen(self, handle):
        self.sockets[handle].listen()
        return self.port(handle)

    def accept(self, handle):
        made, _ = self.sockets[handle].accept()
        self.sockets[made.fileno()] = made
        return made.fileno()

    def connect(self, handle, ip, port):
        self.sockets[handle].connect((ip, port))
        return self.port(handle)

    def send(self, handle, ip, port):
        self.sockets[handle].sendto(b"x", (ip, port))
        return self.port(handle)

    def close(self, handle):
        self.sockets.pop(handle).close()

    def storm(self, kind, ip, first, count):
        """Binds to `count` ports from `first` on, one after the other; 0: any."""
        for i in range(count):
            with socket.socket(*KINDS[kind]) as one:
                one.bind((ip, first + i if first else 0))

    def rename(self, name):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_NAME, name.encode("utf-8", "surrogateescape"), 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")

    def become(self, uid):
        os.setresuid(uid, uid, uid)

    def retitle(self):
        """Writes over all arguments, the last NUL too, as programs do that show their
        state there."""
        with open("/proc/self/stat", encoding="utf-8", errors="replace") as stat:
            start, after = map(int, stat.read().rpartition(")")[2].split()[45:47])
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            memory.seek(start)
            memory.write(b"t" * (after - start))
        return after - start

    def unlink(self, path):
        os.unlink(path.encode("utf-8", "surrogateescape"))

    def thread(self, name, kind, ip, port):
        """claim() in a thread of that name."""
        answer = []

        def work():
            if name:
                self.rename(name)
            answer.append(self.claim(kind, ip, port) + [threading.get_native_id()])

        one = threading.Thread(target=work)
        one.start()
        one.join()
        return answer[0]

    def detach(self, kind, ip, port):
        """claim() in a grandchild that has left session, group and parents:
        [pid, port]."""
        here, there = os.pipe()
        child = os.fork()
        if not child:
            os.setsid()
            if not os.fork():
                answer = json.dumps([os.getpid(), self.claim(kind, ip, port)[1]])
                os.write(there, answer.encode())
            os._exit(0)
        os.waitpid(child, 0)
        os.close(there)
        with os.fdopen(here) as answer:
            return json.loads(answer.read())


def main():
    claimer = Claimer()
    for line in sys.stdin:
        method, *arguments = json.loads(line)
        try:
            answer = getattr(claimer, method)(*arguments)
        except OSError as error:
            answer = {"errno": error.errno}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
