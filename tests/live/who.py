#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""`portsnoop who`, against ss and against what the test itself made.

usage: who.py [PATTERN...]
Environment: PORTSNOOP (program). PATTERN: names of tests, as globs.
"""

import os
import shutil
import socket
import subprocess
import sys

from behavior_tool import (PATIENCE, Claimer, Failure, Skip, Tool, at_end, await_true, check, end, equal, get,
                           parse_events, program, room, run, suite_run, test)
from who_situation import (Child, connection, disconnect, free_port, listener, made, netns_enter, netns_inode, netns_make,
                           orphan, reset, send_socket, ss_rows, take_socket, time_wait)


def who(*words, status=0, prefix=(), command=None):
    result = run("who", *words, prefix=prefix, command=command)
    equal(result.status, status, f"exit status of who {' '.join(words)}, it said {result.words()!r}")
    return result


def found(*words, **options):
    """The holdings, as JSON."""
    return parse_events(who(*words, "-o", "json", **options).lines())


def only(*words):
    """The one holding."""
    there = found(*words)
    equal(len(there), 1, f"holdings: {there}")
    return there[0]


def pids(holding):
    return [holder["pid"] for holder in get(holding, "portsnoop.holders")]


def local(holding):
    return get(holding, "portsnoop.local.ip"), get(holding, "portsnoop.local.port")


# ---- who has it ----


@test("who: a server, by all that is known of it")
def server():
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "http.server", "-b", "127.0.0.1", str(port)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, cwd=room())
    at_end(end, process)
    await_true("that it listens", lambda: run("who", str(port)).status == 0)
    holding = only(str(port))
    (row,) = [row for row in ss_rows() if row[2] == ("127.0.0.1", port)]
    equal((row[1], row[4], list(row[5])),
          (get(holding, "portsnoop.state"), get(holding, "portsnoop.inode"), pids(holding)), "as ss says")
    equal(pids(holding), [process.pid], "holders")
    equal((get(holding, "network.transport"), get(holding, "network.type"), local(holding)),
          ("tcp", "ipv4", ("127.0.0.1", port)), "socket")
    with open(f"/proc/{process.pid}/cmdline", "rb") as args:
        equal(get(holding, "process.args"), args.read().decode().split("\0")[:-1], "arguments")
    equal(get(holding, "process.executable"), os.readlink(f"/proc/{process.pid}/exe"), "program")
    equal(get(holding, "process.user"), {"id": "0", "name": "root"}, "user")
    equal(get(holding, "portsnoop.netns"), netns_inode(), "network namespace")
    text = who(str(port)).out.decode()
    check(text.startswith(f"tcp 127.0.0.1:{port} LISTEN"), "text:", text)
    check(f"[{process.pid}], user root" in text and f"\n{port}: user, " in text, "text:", text)
    check("\x1b" not in text, "an escape:", text)


@test("who: every process after a fork")
def forked():
    port = free_port()
    one = listener(port)
    child = Child(lambda channel: one)
    child.ready()
    holding = only(str(port))
    equal(pids(holding), sorted([os.getpid(), child.pid]), "holders")
    equal([holder["fd"] for holder in get(holding, "portsnoop.holders")], [one.fileno()] * 2, "descriptors")
    child.close()
    equal(pids(only(str(port))), [os.getpid()], "holders after the child's end")


@test("who: the receiver of a socket, not the sender")
def handed_on():
    port = free_port()
    one = listener(port)
    here, there = socket.socketpair()
    send_socket(here, one)
    one.close()
    holding = only(str(port))
    equal((pids(holding), get(holding, "portsnoop.state")), ([], "listen"), "holders on the way")
    check(get(holding, "portsnoop.inode"), "no inode:", holding)
    check("\n  no process" in who(str(port)).out.decode(), "text")
    child = Child(lambda channel: take_socket(there))
    child.ready()
    equal(pids(only(str(port))), [child.pid], "holders after it was received")
    here.close()
    there.close()


@test("who: one socket twice in a process")
def duplicated():
    port = free_port()
    one = listener(port)
    at_end(os.close, os.dup(one.fileno()))
    (holder,) = get(only(str(port)), "portsnoop.holders")
    equal((holder["fd"], holder["fds"]), (one.fileno(), 2), "descriptors")


@test("who: a service that systemd activates")
def activated():
    tool = shutil.which("systemd-socket-activate")
    if not tool:
        raise Skip("there is no systemd-socket-activate")
    port = free_port()
    process = subprocess.Popen([tool, "-l", f"127.0.0.1:{port}", "sleep", "1000"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    at_end(end, process)
    await_true("that it listens", lambda: run("who", str(port)).status == 0)
    equal(pids(only(str(port))), [process.pid], "holder before the first connection")
    made().connect(("127.0.0.1", port))

    def name_of():
        with open(f"/proc/{process.pid}/comm", encoding="utf-8") as comm:
            return comm.read().strip()

    await_true("that the service runs", lambda: name_of() == "sleep")
    listening = [one for one in found(str(port)) if get(one, "portsnoop.state") == "listen"]
    equal([(get(one, "process.name"), pids(one)) for one in listening], [("sleep", [process.pid])], "holders")
    (holder,) = get(listening[0], "portsnoop.holders")
    equal(holder["fd"], 3, "descriptor")


@test("who: a connection that waits for accept")
def not_accepted():
    port = free_port()
    listener(port)
    made().connect(("127.0.0.1", port))
    states = {get(one, "portsnoop.state"): pids(one) for one in found(str(port))}
    equal(states, {"listen": [os.getpid()], "established": []}, "holders")
    text = who(str(port)).out.decode()
    check("waits for accept()" in text, "text:", text)


@test("who: TIME_WAIT, and how long")
def in_time_wait():
    port = free_port()
    remote = time_wait(port)
    holding = only(str(port))
    equal((get(holding, "portsnoop.state"), pids(holding)), ("time_wait", []), "state and holders")
    equal(get(holding, "portsnoop.remote"), {"ip": remote[0], "port": remote[1]}, "remote")
    left = get(holding, "portsnoop.expires_ms")
    check(0 < left <= 60000, "time left:", left)
    equal([row[1] for row in ss_rows() if row[2] == ("127.0.0.1", port)], ["time_wait"], "as ss says")
    text = who(str(port)).out.decode()
    check("no process: TIME_WAIT, ends in " in text, "text:", text)
    check("hint: wait " in text and "SO_REUSEADDR" in text, "text:", text)
    # What the hint says is so: the one before had it set.
    made().bind(("127.0.0.1", port))


@test("who: without SO_REUSEADDR before, it does not help against TIME_WAIT")
def reuse_hint():
    port = free_port()
    server = listener(free_port())
    client = made(reuse=False)
    client.bind(("127.0.0.1", port))
    client.connect(server.getsockname())
    accepted, _ = server.accept()
    client.close()
    equal(accepted.recv(1), b"", "what comes after the close")
    accepted.close()
    equal(get(only(str(port)), "portsnoop.state"), "time_wait", "state")
    try:
        made().bind(("127.0.0.1", port))
    except OSError:
        return
    raise Failure("bind() succeeded: the hint is wrong here")


@test("who: an orphan, FIN_WAIT1 and FIN_WAIT2")
def orphans():
    for fin_wait in (1, 2):
        port = free_port()
        orphan(port, fin_wait)
        holding = only(str(port))
        equal((get(holding, "portsnoop.state"), get(holding, "portsnoop.orphan"), pids(holding)),
              (f"fin_wait{fin_wait}", True, []), "state, orphan, holders")
        left = get(holding, "portsnoop.expires_ms") if fin_wait == 2 else 1
        check(left and 0 < left <= 60000, "time left:", left)
        text = who(str(port)).out.decode()
        check("no process: closed, and the kernel finishes it" in text, "text:", text)


@test("who: self-connect")
def self_connect():
    one = made()
    one.bind(("127.0.0.1", 0))
    port = one.getsockname()[1]
    one.connect(("127.0.0.1", port))
    holding = only(str(port))
    equal((get(holding, "portsnoop.self_connect"), pids(holding)), (True, [os.getpid()]), "self_connect")
    text = who(str(port)).out.decode()
    check("(self-connect)" in text, "text:", text)
    check("ip_local_reserved_ports" in text, "text:", text)


@test("who: UDP, bound and connected")
def udp():
    port = free_port()
    one = made(socket.SOCK_DGRAM, reuse=False)
    one.bind(("127.0.0.1", port))
    holding = only(f"{port}/udp")
    equal((get(holding, "network.transport"), get(holding, "portsnoop.state"), pids(holding)),
          ("udp", "bound", [os.getpid()]), "socket")
    one.connect(("127.0.0.1", 9))
    equal((get(only(str(port)), "portsnoop.state"), get(only(str(port)), "destination.port")),
          ("established", 9), "state after connect")
    who(f"{port}/tcp", status=1)


@test("who: bound, neither listening nor connected")
def bound():
    port = free_port()
    one = made()
    one.bind(("127.0.0.1", port))
    equal((get(only(str(port)), "portsnoop.state"), pids(only(str(port)))), ("bound", [os.getpid()]), "socket")


@test("who: both families of a dual-stack socket, and --addr")
def addresses():
    port = free_port()
    one = listener(port, "::")
    who(str(port), "--addr", "127.0.0.1")
    who(str(port), "--addr", "::1")
    check(" and IPv4 LISTEN" in who(str(port)).out.decode(), "text")
    one.close()
    one = made(family=socket.AF_INET6)
    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    one.bind(("::", port))
    one.listen()
    who(str(port), "--addr", "127.0.0.1", status=1)
    who(str(port), "--addr", "::1")
    check(" and IPv4" not in who(str(port)).out.decode(), "text")
    one.close()
    listener(port)
    who(str(port), "--addr", "127.0.0.1")
    who(str(port), "-a", "127.0.0.2", status=1)
    who(str(port), "--addr", "::1", status=1)


@test("who: ranges, several ports, names of services")
def operands():
    port = free_port()
    listener(port)
    equal(local(only(f"{port - 1}-{port}/tcp")), ("127.0.0.1", port), "of a range")
    equal(local(only("1", str(port), "1-2")), ("127.0.0.1", port), "of several")
    equal(len(found(str(port), f"{port}-{port}", f"{port}/tcp")), 1, "lines about one socket")
    text = who("1/udp", str(port)).out.decode()
    check("1/udp: nobody has it\n" in text and f"tcp 127.0.0.1:{port} LISTEN" in text, "text:", text)
    text = run("who", "ssh").out.decode()
    check("22: system, registered: ssh (tcp, udp, sctp);" in text, "text:", text)


@test("who: nobody")
def nobody():
    port = free_port()
    result = who(str(port), status=1)
    lines = result.lines()
    equal(lines[0], f"{port}: nobody has it".encode(), "line")
    check(lines[1].startswith(f"{port}: user, ".encode()), "lines:", lines)
    equal(who(str(port), "-o", "json", status=1).out, b"", "JSON")
    equal(who(f"{port}-{port + 1}/sctp", status=1).lines()[0], f"{port}-{port + 1}/sctp: nobody has any of them".encode(), "line")


@test("who: many connections are summarised, in JSON they are whole")
def many():
    port = free_port()
    one = listener(port)
    pairs = [connection(port, one) for _ in range(30)]
    text = who(str(port)).out.decode()
    check("... and 27 more ESTABLISHED of the same process\n" in text, "text:", text)
    equal(text.count(f"tcp 127.0.0.1:{port}"), 4, "sockets told")
    there = found(str(port))
    equal(sorted(get(one, "source.port") for one in there if get(one, "source.port")), [port] * 30, "connections")
    equal({get(one, "destination.port") for one in there} - {None},
          {client.getsockname()[1] for _, client in pairs}, "peers")


@test("who: names that speak to terminals and forge lines")
def hostile():
    port = free_port()
    claimer = Claimer("a\x1b[31m\nb", "\udcff\u202e")
    claimer.ask("rename", "x\x1b]0;y\nz")
    claimer.ask("listen", claimer.ask("claim", "tcp4", "127.0.0.1", port)[0])
    result = who(str(port))
    check(all(byte == 10 or 32 <= byte < 127 for byte in result.out), "text:", result.out)
    # A portsnoop that happens to watch adds what it knows of the claim.
    lines = [line for line in result.lines() if not line.startswith(b"  claimed ")]
    equal(len(lines), 5, f"lines of {result.out!r}")
    holding = only(str(port))
    equal(get(holding, "process.name"), "x\x1b]0;y\nz", "name")
    equal(get(holding, "process.args")[-2:], ["a\x1b[31m\nb", "\ufffd\u202e"], "arguments")


# ---- network namespaces ----


@test("who: in another network namespace")
def namespaces():
    name = netns_make()
    inode = netns_inode(f"/run/netns/{name}")
    port = free_port()

    def work(_channel):
        netns_enter(name)
        return listener(port)

    child = Child(work)
    child.ready()
    for words in ((), ("--all",), ("--netns", name), ("--netns", str(inode)), ("--netns", f"/proc/{child.pid}/ns/net"),
                  ("--netns", f"{name},/proc/self/ns/net")):
        holding = only(str(port), *words)
        equal((get(holding, "portsnoop.netns"), get(holding, "portsnoop.netns_name"), pids(holding)),
              (inode, name, [child.pid]), f"found by {words}")
    check(f", netns {name}\n" in who(str(port)).out.decode(), "text")
    who(str(port), "--netns", "/proc/self/ns/net", status=1)
    one = listener(port)
    equal(sorted(get(one, "portsnoop.netns") for one in found(str(port))), sorted([inode, netns_inode()]), "both")
    text = who(str(port)).out.decode()
    check(text.index(f"[{os.getpid()}]") < text.index(f"[{child.pid}]"), "own namespace first:", text)
    one.close()


@test("who: all sockets of a namespace, as ss lists them")
def as_ss():
    name = netns_make()
    inode = netns_inode(f"/run/netns/{name}")

    def work(_channel):
        netns_enter(name)
        kept = []
        for port in range(2000, 2020):
            one = listener(port, "::" if port % 2 else "127.0.0.1")
            kept.append(one)
            if port % 2 == 0:
                kept += [connection(port, one) for _ in range(port % 7)]
        for port in range(3000, 3010):
            one = made(socket.SOCK_DGRAM)
            one.bind(("127.0.0.1", port))
            kept.append(one)
        kept.append(time_wait(4000))
        kept.append(orphan(4001, 1))
        kept.append(orphan(4002, 2))
        one = made()
        one.bind(("127.0.0.1", 4003))
        one.connect(("127.0.0.1", 2000))
        kept.append(one)
        return kept

    children = [Child(work)]
    children[0].ready()
    there = found("1-65535", "--netns", name)
    check({get(one, "portsnoop.netns") for one in there} == {inode}, "namespaces")
    have = sorted((get(one, "network.transport"), get(one, "portsnoop.state"), local(one),
                   (get(one, "portsnoop.remote.ip") or "", get(one, "portsnoop.remote.port") or 0),
                   get(one, "portsnoop.inode") or 0, sorted(pids(one))) for one in there)
    want = []
    for transport, state, here, there_, number, holders in ss_rows(name):
        here = ("::" if not here[0] else here[0], here[1])
        remote = ("", 0) if not there_[1] else there_
        want.append((transport, state, here, remote, number, sorted(holders)))
    equal(have, sorted(want), "sockets")
    check(len(have) > 80, "too few:", len(have))


# ---- without root ----


def as_nobody(*words, status=0):
    tool = os.path.join(room(), "portsnoop")
    shutil.copy(program(), tool)
    os.chmod(tool, 0o755)
    return run("--reuid", "65534", "--regid", "65534", "--clear-groups", tool, "who", *words, command="setpriv")


@test("who: without root it says what it could not see")
def not_root():
    port = free_port()
    listener(port)
    result = as_nobody(str(port))
    equal(result.status, 0, f"exit status, it said {result.words()!r}")
    check("portsnoop: not seen: processes of other users" in result.words(), "words:", result.words())
    text = result.out.decode()
    check(f"tcp 127.0.0.1:{port} LISTEN" in text and "no process was seen that has it; the socket is of uid 0" in text, "text:", text)
    result = as_nobody(str(free_port()))
    equal(result.status, 1, f"exit status, it said {result.words()!r}")
    for wait in ("--wait", "--wait-free"):
        result = as_nobody(str(port), wait)
        equal(result.status, 2, f"exit status of {wait}, it said {result.words()!r}")
        check("root" in result.words(), "words:", result.words())


# ---- waiting ----


def begun(*words):
    """A wait that has begun, or is over."""
    tool = Tool("who", *words)
    await_true("that it waits", lambda: "waiting" in tool.words() or tool.process.poll() is not None)
    return tool


def waiting(*words):
    """A wait that has begun."""
    tool = begun(*words)
    check(tool.process.poll() is None, "ended:", tool.words())
    return tool


@test("who --wait: says who takes it")
def wait_taken():
    port = free_port()
    claimer = Claimer("an argument")
    tool = waiting(str(port), "--wait")
    claimer.ask("claim", "udp4", "127.0.0.1", port)
    lines = tool.reader.rest()
    equal(tool.status(), 0, "exit status")
    equal(lines[0].decode(), f"python3[{claimer.pid}] bound udp 127.0.0.1:{port}", "line")
    check(lines[1].startswith(b"  python3[%d], user root" % claimer.pid), "lines:", lines)
    check(lines[-1].endswith(b"an argument"), "lines:", lines)


@test("who --wait: other ports, protocols, addresses and namespaces are not it")
def wait_filtered():
    port = free_port()
    name = netns_make()
    claimer = Claimer()

    def work(_channel):
        netns_enter(name)
        return listener(port)

    tool = waiting(f"{port}/tcp", "--wait", "-o", "json", "--addr", "127.0.0.1", "--netns", "/proc/self/ns/net")
    claimer.ask("claim", "udp4", "127.0.0.1", port)
    claimer.ask("claim", "tcp4", "127.0.0.1", free_port())
    claimer.ask("claim", "tcp4", "127.0.0.2", port)
    Child(work).ready()
    claimer.ask("claim", "tcp4", "127.0.0.1", port)
    events = parse_events(tool.reader.rest())
    equal(tool.status(), 0, "exit status")
    equal([(get(event, "event.action"), get(event, "network.transport"), local(event), get(event, "process.pid"))
           for event in events], [("bound-socket", "tcp", ("127.0.0.1", port), claimer.pid)], "events")


@test("who --wait: a port that a client is given")
def wait_client():
    name = netns_make()
    subprocess.run(["ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 40000"],
                   check=True, timeout=PATIENCE)

    def work(channel):
        netns_enter(name)
        one = listener(80)
        channel.sendall(b"ready")
        channel.recv(1)
        return connection(80, one)

    child = Child(work)
    child.ready()
    tool = waiting("40000/tcp", "--wait", "-o", "json", "--netns", name)
    child.socket.sendall(b"x")
    (event,) = parse_events(tool.reader.rest())
    equal((get(event, "event.action"), get(event, "process.pid"), local(event), get(event, "portsnoop.origin")),
          ("connected-to", child.pid, ("127.0.0.1", 40000), "kernel"), "claim")
    child.ready()
    text = who("40000", "--netns", name).out.decode()
    check(f"tcp 127.0.0.1:40000 -> 127.0.0.1:80 ESTABLISHED, netns {name}\n" in text, "text:", text)


@test("who --wait: one who has it already, but not TIME_WAIT")
def wait_held():
    port = free_port()
    time_wait(port)
    tool = waiting(str(port), "--wait")
    one = listener(port)
    check(f"bound tcp 127.0.0.1:{port}".encode() in tool.reader.rest()[0], "said otherwise")
    equal(tool.status(), 0, "exit status")
    check(f"tcp 127.0.0.1:{port} LISTEN" in who(str(port), "--wait").out.decode(), "text")
    one.close()


@test("who --wait: in time, or not")
def wait_timeout():
    port = free_port()
    result = who(str(port), "--wait", "--timeout", "100ms", status=1)
    equal(result.out, b"", "output")
    check(f"nobody came in time: {port}\n" in result.words(), "words:", result.words())
    listener(port)
    result = who(str(port), "--wait-free", "-t", "100ms", status=1)
    check(f"not free in time: {port}\n" in result.words(), "words:", result.words())
    who(str(port), "--wait", "--timeout", "1d")


@test("who --wait: a signal ends it")
def wait_stopped():
    for wait in ("--wait", "--wait-free"):
        port = free_port()
        if wait == "--wait-free":
            listener(port)
        tool = waiting(str(port), wait)
        tool.send(15)
        equal((tool.status(), tool.reader.rest()), (1, []), "status and output")


def freed(tool, port):
    equal(tool.reader.rest(), [f"{port}: free".encode()], "output")
    equal(tool.status(), 0, "exit status")
    who(str(port), status=1)


@test("who --wait-free: free already")
def free_already():
    port = free_port()
    result = who(str(port), "--wait-free")
    equal((result.lines(), "waiting" in result.words()), ([f"{port}: free".encode()], False), "output")
    equal(who(str(port), "--wait-free", "-o", "json").out, b"", "JSON")


@test("who --wait-free: given back by the last process")
def free_closed():
    port = free_port()
    one = listener(port)
    child = Child(lambda channel: one)
    child.ready()
    tool = waiting(str(port), "--wait-free")
    one.close()
    equal(tool.process.poll(), None, "status while a process has it")
    child.close()
    freed(tool, port)


@test("who --wait-free: UDP that was bound meanwhile, and a range")
def free_udp():
    port = free_port()
    one = listener(port)
    tool = waiting(f"{port}-{port + 1}", "--wait-free")
    two = made(socket.SOCK_DGRAM)
    two.bind(("127.0.0.1", port))
    one.close()
    two.close()
    equal(tool.reader.rest(), [f"{port}-{port + 1}: free".encode()], "output")
    equal(tool.status(), 0, "exit status")


@test("who --wait-free: connections accepted before and after the start")
def free_accepted():
    port = free_port()
    one = listener(port)
    pairs = [connection(port, one)]
    tool = waiting(str(port), "--wait-free")
    pairs.append(connection(port, one))
    one.close()
    for accepted, client in pairs:
        reset(accepted)
        client.close()
    freed(tool, port)


@test("who --wait-free: an orphan that its peer resets")
def free_orphan():
    port = free_port()
    client = orphan(port, 1)
    tool = waiting(str(port), "--wait-free")
    reset(client)
    freed(tool, port)


@test("who --wait-free: what the kernel's clock ends")
def free_clock():
    # Long enough that it is there when the wait begins, on whatever machine.
    for linger in (1, 3, 9, 27):
        port = free_port()
        orphan(port, 2, linger=linger)
        tool = begun(str(port), "--wait-free")
        if "waiting" in tool.words():
            return freed(tool, port)
    raise Failure(f"it had not begun to wait after {linger} s")


@test("who --wait-free: let go without a close")
def free_disconnected():
    name = netns_make()

    def work(channel):
        netns_enter(name)
        one = made(socket.SOCK_DGRAM)
        one.connect(("127.0.0.1", 9))
        channel.sendall(b"%5d" % one.getsockname()[1])
        channel.recv(1)
        disconnect(one)
        return one

    child = Child(work)
    port = child.socket.recv(5).decode().strip()
    tool = waiting(port, "--wait-free", "--netns", name)
    child.socket.sendall(b"x")
    child.ready()
    freed(tool, port)


@test("who --wait-free: in another network namespace")
def free_netns():
    name = netns_make()
    port = free_port()

    def work(channel):
        netns_enter(name)
        client = orphan(port, 1)
        channel.sendall(b"ready")
        channel.recv(1)
        reset(client)
        return client

    child = Child(work)
    child.ready()
    tool = waiting(str(port), "--wait-free")
    child.socket.sendall(b"x")
    child.ready()
    freed(tool, port)


# ---- what is refused ----


@test("who: what cannot be meant is refused")
def refused():
    for words, part in ((["80abc"], "'80abc': expected a port (1-65535)"), ([""], "'': expected a port"),
                        (["65536"], "'65536': expected a port"), (["0"], "'0': expected a port"),
                        (["10-5"], "'10-5': expected a port"), (["-1"], "-1 is no option"),
                        (["80/foo"], "expected tcp, udp or sctp behind the slash"),
                        (["80/dccp"], "expected tcp, udp or sctp behind the slash"), ([], "expected a port"),
                        (["no-such-service-here"], "no service of that name"),
                        (["80", "--addr", "bogus"], "--addr: 'bogus' is not accepted; expected an IPv4 or IPv6 address"),
                        (["80", "--addr", "1.2.3.4:5"], "--addr: '1.2.3.4:5'"), (["80", "--addr", ""], "--addr: ''"),
                        (["80", "--addr", " 1.2.3.4"], "--addr: ' 1.2.3.4'"), (["80", "--addr", "127.1"], "--addr: '127.1'"),
                        (["80", "--netns", "no-such-netns"], "--netns: 'no-such-netns' is not accepted; expected"),
                        (["80", "-o", "csv"], "--output: 'csv' is not accepted; expected table or json"),
                        (["80", "--timeout", "1s"], "--timeout goes with --wait or --wait-free"),
                        (["80", "--wait", "--timeout", "0"], "--timeout: '0' is not accepted; expected a duration"),
                        (["80", "--wait", "--timeout", "soon"], "--timeout: 'soon' is not accepted"),
                        (["80", "--wait", "--wait-free"], "--wait and --wait-free exclude each other"),
                        (["80", "--all", "--netns", "1"], "--all and --netns exclude each other")):
        result = who(*words, status=2)
        check(part in result.words(), "not in the words:", part, ":", result.words())
        equal((result.words().count("\n"), result.out), (1, b""), f"lines and output of {words}")


@test("who: into a full disk, and into a pipe that nobody reads")
def outputs():
    port = free_port()
    with open("/dev/full", "wb") as full:
        tool = Tool("who", str(port), stdout=full)
        equal(tool.status(), 2, "exit status into a full disk")
    check("No space left on device" in tool.words(), "words:", tool.words())
    here, there = os.pipe()
    os.close(here)
    tool = Tool("who", str(port), stdout=there)
    os.close(there)
    words = [word for word in tool.words().splitlines() if not word.startswith("portsnoop: not seen: ")]
    equal((tool.status(), words), (1, []), "status and words without a reader")


if __name__ == "__main__":
    sys.exit(suite_run("who"))
