# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Sockets in the states that who.py asks about, and what ss says of them."""

import array
import contextlib
import ctypes
import os
import random
import re
import socket
import struct
import subprocess

from behavior_tool import PATIENCE, at_end, check, equal

LINGER2 = 8  # TCP_LINGER2
CLONE_NEWNET = 0x40000000
STATES = {"LISTEN": "listen", "UNCONN": "bound", "ESTAB": "established", "TIME-WAIT": "time_wait",
          "SYN-SENT": "syn_sent", "CLOSE-WAIT": "close_wait", "FIN-WAIT-1": "fin_wait1",
          "FIN-WAIT-2": "fin_wait2", "LAST-ACK": "last_ack", "CLOSING": "closing", "SYN-RECV": "syn_recv"}


def free_port():
    """Outside of the pool, so that no client gets it meanwhile."""
    while True:
        port = random.randrange(10000, 30000)
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                for family, ip in ((socket.AF_INET, ""), (socket.AF_INET6, "::")):
                    one = stack.enter_context(socket.socket(family, kind))
                    if family == socket.AF_INET6:
                        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    one.bind((ip, port))
            return port


def made(kind=socket.SOCK_STREAM, family=socket.AF_INET, reuse=True):
    one = socket.socket(family, kind)
    at_end(one.close)
    if reuse:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return one


def listener(port, ip="127.0.0.1"):
    one = made(family=socket.AF_INET6 if ":" in ip else socket.AF_INET)
    one.bind((ip, port))
    one.listen(64)
    return one


def connection(port, server):
    """(accepted, client)"""
    client = made()
    client.connect(("127.0.0.1", port))
    accepted, _ = server.accept()
    at_end(accepted.close)
    return accepted, client


def time_wait(port):
    """Leaves the port in TIME_WAIT and nothing else: the client's endpoint."""
    server = listener(port)
    accepted, client = connection(port, server)
    name = client.getsockname()
    accepted.close()
    equal(client.recv(1), b"", "what comes after the close")
    client.close()
    server.close()
    return name


def orphan(port, fin_wait, linger=None):
    """Leaves a connection that its process has closed: the client."""
    server = listener(port)
    accepted, client = connection(port, server)
    if fin_wait == 1:
        # More than the peer takes as long as it does not read.
        accepted.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                accepted.send(b"x" * 65536)
    elif linger:
        accepted.setsockopt(socket.IPPROTO_TCP, LINGER2, linger)
    accepted.close()
    server.close()
    return client


def reset(one):
    """Closes a connection, and nothing of it is left."""
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()


def disconnect(one):
    """connect() to AF_UNSPEC."""
    libc = ctypes.CDLL(None, use_errno=True)
    check(not libc.connect(one.fileno(), bytes(16), 16), "connect:", os.strerror(ctypes.get_errno()))


class Child:
    """A process that runs a function with a socket to its parent, until that closes.
    What the function returns is kept alive."""

    def __init__(self, function, *arguments):
        self.socket, theirs = socket.socketpair()
        self.pid = os.fork()
        if not self.pid:
            self.socket.close()
            status = 1
            try:
                kept = function(theirs, *arguments)
                theirs.sendall(b"ready")
                theirs.recv(1)
                del kept
                status = 0
            finally:
                os._exit(status)
        theirs.close()
        at_end(self.close)

    def ready(self):
        self.socket.settimeout(PATIENCE)
        equal(self.socket.recv(5), b"ready", "what a child says")

    def close(self):
        if not self.pid:
            return
        self.socket.close()
        os.waitpid(self.pid, 0)
        self.pid = 0


def send_socket(channel, one):
    channel.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [one.fileno()]))])


def take_socket(channel):
    _, control, _, _ = channel.recvmsg(1, socket.CMSG_SPACE(4))
    return array.array("i", control[0][2][:4])[0]


# ---- network namespaces ----


def netns_inode(path="/proc/self/ns/net"):
    return os.stat(path).st_ino


def netns_make():
    """The name of a new one, with its loopback up."""
    name = f"portsnoop-{os.getpid()}-{random.randrange(10**6)}"
    subprocess.run(["ip", "netns", "add", name], check=True, timeout=PATIENCE)
    at_end(subprocess.run, ["ip", "netns", "del", name])
    subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True, timeout=PATIENCE)
    return name


def netns_enter(name):
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/run/netns/{name}", "rb") as file:
        check(not libc.setns(file.fileno(), CLONE_NEWNET), "setns:", os.strerror(ctypes.get_errno()))


# ---- what ss says ----


def address_of(text):
    """(ip, port) of ss' notation; (None, 0): any."""
    ip, _, port = text.rpartition(":")
    ip = ip.strip("[]").partition("%")[0]
    return ("" if ip in ("*", "") else ip, 0 if port == "*" else int(port))


def ss_rows(netns=None):
    """[(transport, state, local, remote, inode, {pid})]"""
    done = subprocess.run([*(("ip", "netns", "exec", netns) if netns else ()), "ss", "-tuanpeHO"],
                          capture_output=True, text=True, check=True, timeout=PATIENCE)
    rows = []
    for line in done.stdout.splitlines():
        transport, state, _, _, local, remote = line.split()[:6]
        inode = re.search(r"\bino:(\d+)", line)
        rows.append((transport, STATES[state], address_of(local), address_of(remote),
                     int(inode.group(1)) if inode else 0,
                     frozenset(int(pid) for pid in re.findall(r"pid=(\d+)", line))))
    return rows
