# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Derives claims from strace's output: a second witness, which knows nothing of
how portsnoop looks. Makes the same lines as the factory's report.

A socket is known by its inode, which `strace -y` prints with every descriptor:
dup, fork, exec and SCM_RIGHTS need no bookkeeping then.
"""

import re

SYSCALLS = ("socket,bind,connect,listen,accept,accept4,sendto,sendmsg,sendmmsg,setsockopt,getsockname,"
            "clone,clone3,fork,vfork,execve")

# Long strings, because an address can stand behind the data that is sent.
OPTIONS = ["-f", "-y", "-s", "16", "-e", f"trace={SYSCALLS}", "-e", "signal=none"]

LINE = re.compile(r"^(?P<tid>\d+) +(?P<rest>.*)$")
UNFINISHED = re.compile(r"^(?P<head>.*) <unfinished \.\.\.>$")
RESUMED = re.compile(r"^<\.\.\. (?P<call>\w+) resumed>(?P<tail>.*)$")
CALL = re.compile(r"^(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+|0x[0-9a-f]+|\?)"
                  r"(?P<decoration><[^>]*>)?(?: (?P<errno>E[A-Z0-9]+))?")
FIRST_SOCKET = re.compile(r"^\d+<socket:\[(?P<inode>\d+)\]>")
RESULT_SOCKET = re.compile(r"<socket:\[(?P<inode>\d+)\]>")
ADDRESS = re.compile(
    r'sa_family=AF_INET, sin_port=htons\((?P<port4>\d+)\), sin_addr=inet_addr\("(?P<ip4>[0-9.]+)"\)'
    r'|sa_family=AF_INET6, sin6_port=htons\((?P<port6>\d+)\),.*?'
    r'inet_pton\(AF_INET6, "(?P<ip6>[0-9a-f:.]+)", &sin6_addr\)')
SOCKET = re.compile(r"^(?P<family>AF_INET6?), (?P<type>SOCK_\w+)[^,]*, (?P<protocol>\w+)")

TRANSPORTS = {
    ("SOCK_STREAM", "IPPROTO_IP"): "tcp",
    ("SOCK_STREAM", "IPPROTO_TCP"): "tcp",
    ("SOCK_STREAM", "IPPROTO_MPTCP"): "mptcp",
    ("SOCK_STREAM", "0x106"): "mptcp",
    ("SOCK_STREAM", "IPPROTO_SCTP"): "sctp",
    ("SOCK_SEQPACKET", "IPPROTO_SCTP"): "sctp",
    ("SOCK_DGRAM", "IPPROTO_IP"): "udp",
    ("SOCK_DGRAM", "IPPROTO_UDP"): "udp",
    ("SOCK_DGRAM", "IPPROTO_UDPLITE"): "udplite",
    ("SOCK_DGRAM", "IPPROTO_ICMP"): "icmp",
    ("SOCK_DGRAM", "IPPROTO_ICMPV6"): "ipv6-icmp",
}

# With these the TCP connect had its port before it failed.
AFTER_PORT = {"ECONNREFUSED": "refused", "ETIMEDOUT": "timeout", "EHOSTUNREACH": "unreachable",
              "ECONNRESET": "closed"}


class Socket:
    def __init__(self, transport, family):
        self.transport = transport
        self.family = family
        self.has_port = False
        self.locked = False      # bind() fixed the number
        self.no_port = False     # IP_BIND_ADDRESS_NO_PORT
        self.connected = None    # None, "under way", "done"
        self.listening = False
        self.claim = None        # the line of its newest lease


def address_in(text):
    found = ADDRESS.search(text)
    if not found:
        return None
    if found["ip4"]:
        return {"ip": found["ip4"], "port": int(found["port4"])}
    return {"ip": found["ip6"], "port": int(found["port6"])}


def calls_in(text):
    """Yields (tid, name, arguments, result, errno, result's decoration) when a
    call is over, in that order."""
    begun = {}
    for raw in text.splitlines():
        line = LINE.match(raw)
        if not line:
            continue
        tid, rest = int(line["tid"]), line["rest"]
        unfinished = UNFINISHED.match(rest)
        if unfinished:
            begun[tid] = unfinished["head"]
            continue
        resumed = RESUMED.match(rest)
        if resumed:
            rest = begun.pop(tid, f"{resumed['call']}(") + resumed["tail"]
        call = CALL.match(rest)
        if call:
            yield (tid, call["name"], call["arguments"], call["result"], call["errno"],
                   call["decoration"] or "")


def leaders_in(calls):
    """Thread id to process id, from how the threads were made."""
    parents = {}
    for tid, name, arguments, result, _, _ in calls:
        if name in ("clone", "clone3", "fork", "vfork") and result.isdigit() and int(result):
            parents[int(result)] = tid if "CLONE_THREAD" in arguments else None

    def leader(tid):
        while parents.get(tid) is not None:
            tid = parents[tid]
        return tid

    return leader


class Witness:
    def __init__(self, situation, text):
        self.situation = situation
        self.lines = []
        self.sockets = {}
        calls = list(calls_in(text))
        self.leader = leaders_in(calls)
        for pid in sorted({self.leader(call[0]) for call in calls}):
            self.lines.append({"situation": situation, "pid": pid, "call": "process"})
        for call in calls:
            self.take(*call)

    def take(self, tid, name, arguments, result, errno, decoration):
        if name == "socket":
            self.opened(arguments, decoration)
            return
        if name in ("accept", "accept4"):
            found = RESULT_SOCKET.match(decoration)
            if found:
                self.sockets.pop(found["inode"], None)  # a share, never a claim
            return
        found = FIRST_SOCKET.match(arguments)
        sock = found and self.sockets.get(found["inode"])
        handler = getattr(self, f"take_{name}", None)
        if name == "sendmmsg" and result == "0":
            return  # no message, no claim: a way to ask whether the call exists
        if sock and handler and result != "?" and errno not in ("EFAULT", "EBADF"):
            handler(sock, tid, arguments[found.end():], errno)

    def opened(self, arguments, decoration):
        asked, found = SOCKET.match(arguments), RESULT_SOCKET.match(decoration)
        if not found:
            return
        transport = asked and TRANSPORTS.get((asked["type"], asked["protocol"]))
        if transport:
            family = "ipv6" if asked["family"] == "AF_INET6" else "ipv4"
            self.sockets[found["inode"]] = Socket(transport, family)
        else:
            self.sockets.pop(found["inode"], None)

    def report(self, sock, tid, call, claimed, error, **more):
        line = {"situation": self.situation, "pid": self.leader(tid), "tid": tid, "call": call,
                "transport": sock.transport, "claimed": claimed, "trigger": call, "error": error}
        line.update({key: value for key, value in more.items() if value is not None})
        # The family is the packets': a socket of IPv6 may speak IPv4.
        addresses = [line[side]["ip"] for side in ("requested", "remote") if side in line]
        v4 = any(ip.startswith("::ffff:") or ":" not in ip for ip in addresses)
        line["family"] = "ipv4" if v4 else sock.family
        self.lines.append(line)
        if claimed and not error:
            sock.claim = line
        return line

    def take_setsockopt(self, sock, _tid, arguments, errno):
        if not errno and "IP_BIND_ADDRESS_NO_PORT" in arguments:
            sock.no_port = "[0]" not in arguments

    def take_bind(self, sock, tid, arguments, errno):
        wanted = address_in(arguments)
        claimed = not sock.has_port
        if claimed and not errno and sock.no_port and wanted and not wanted["port"]:
            self.report(sock, tid, "bind", False, None, requested=wanted)
            return
        line = self.report(sock, tid, "bind", claimed, errno, requested=wanted)
        if claimed and wanted:
            line["origin"] = "requested" if wanted["port"] else "kernel"
        if not errno:
            sock.has_port = True
            sock.locked = bool(wanted and wanted["port"])
            if sock.locked:
                line["local"] = {"port": wanted["port"]}

    def take_listen(self, sock, tid, _arguments, errno):
        if sock.listening and not errno:
            return
        claimed = not sock.has_port
        line = self.report(sock, tid, "listen", claimed, errno)
        if claimed:
            line["origin"] = "kernel"
        if not errno:
            sock.has_port = sock.listening = True

    def take_connect(self, sock, tid, arguments, errno):
        if "sa_family=AF_UNSPEC" in arguments:
            if not errno:
                sock.connected = None
                sock.has_port &= sock.locked
            return
        remote = address_in(arguments)
        if remote and remote["ip"] in ("::", "0.0.0.0"):
            # Nobody is there, so the kernel takes it for loopback.
            remote["ip"] = "::1" if remote["ip"] == "::" else "127.0.0.1"
        if sock.transport in ("tcp", "mptcp", "sctp"):
            self.stream_connect(sock, tid, remote, errno)
            return
        claimed = not sock.has_port
        line = self.report(sock, tid, "connect", claimed, errno, remote=remote)
        if claimed:
            line["origin"] = "kernel"
            sock.has_port = errno != "EAGAIN"

    def stream_connect(self, sock, tid, remote, errno):
        if sock.connected == "under way" and errno not in ("EALREADY", "EISCONN"):
            sock.connected = "done" if not errno else None
            sock.has_port &= bool(sock.locked or not errno)
            return  # the end of the connect that was reported
        if errno in ("EISCONN", "EALREADY"):
            self.report(sock, tid, "connect", False, errno, remote=remote)
            return
        claimed = not sock.has_port
        if errno in (None, "EINPROGRESS", "EINTR") or errno in AFTER_PORT:
            outcome = AFTER_PORT.get(errno, "established" if not errno else "unknown")
            line = self.report(sock, tid, "connect", claimed, None, remote=remote, outcome=outcome)
            sock.has_port = sock.locked or errno not in AFTER_PORT
            sock.connected = ("done" if not errno else
                              None if errno in AFTER_PORT else "under way")
        else:
            claimed &= errno == "EADDRNOTAVAIL"
            line = self.report(sock, tid, "connect", claimed, errno, remote=remote)
        if claimed:
            line["origin"] = "kernel"

    def take_sendto(self, sock, tid, arguments, errno):
        fast = "MSG_FASTOPEN" in arguments
        if sock.has_port or (sock.transport == "tcp" and not fast):
            return
        remote = address_in(arguments)
        if fast:
            line = self.report(sock, tid, "send", True, None, remote=remote,
                               outcome="unknown" if errno else "established")
        else:
            line = self.report(sock, tid, "send", True, errno if errno == "EAGAIN" else None,
                               remote=remote)
        line["origin"] = "kernel"
        sock.has_port = errno != "EAGAIN"

    take_sendmsg = take_sendto
    take_sendmmsg = take_sendto

    def take_getsockname(self, sock, _tid, arguments, errno):
        """The program asked for what the kernel chose, so we know it too."""
        name = address_in(arguments)
        if sock.claim and sock.has_port and not errno and name and name["port"]:
            sock.claim.setdefault("local", {"port": name["port"]})


def claims(situation, text):
    return Witness(situation, text).lines
