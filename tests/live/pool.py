#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""`portsnoop pool`: how many ports are left, against what the kernel then gives. Each test makes a situation in
a network namespace with few ports, asks, and allocates until it fails. What is used is compared with ss.

usage: pool.py [PATTERN...]
Environment: PORTSNOOP (program). PATTERN: names of tests, as globs.
"""

import ctypes
import errno
import json
import os
import shutil
import socket
import struct
import subprocess
import sys

from behavior_tool import (PATIENCE, Reader, Skip, Tool, at_end, await_true, check, equal, get, parse_events, program, room,
                           run, suite_run, test)
from rate_screen import LiveScreen, terminal_size
from who_situation import CLONE_NEWNET, Child, made, netns_enter, netns_inode, netns_make, ss_rows

LOW, HIGH = 40000, 40019
RESERVED = {40003, 40008, 40009}
CAPACITY = HIGH - LOW + 1 - len(RESERVED)
SERVER = 30000  # outside of the range
HERE, THERE = "10.9.0.1", "10.9.0.2"
NO_PORT = 24  # IP_BIND_ADDRESS_NO_PORT
OWN_RANGE = 51  # IP_LOCAL_PORT_RANGE
OUTSIDE = os.open("/proc/self/ns/net", os.O_RDONLY)  # where the tests begin


# ---- a network namespace with few ports ----


def setting(name, value):
    with open(f"/proc/sys/net/ipv4/{name}", "w", encoding="ascii") as file:
        file.write(str(value))


def few_ports(reuse=0, low=LOW, high=HIGH, reserved=RESERVED):
    """Enters a new one; its name."""
    libc = ctypes.CDLL(None, use_errno=True)
    name = netns_make()
    at_end(libc.setns, OUTSIDE, CLONE_NEWNET)
    netns_enter(name)
    for address in (HERE, THERE):
        subprocess.run(["ip", "addr", "add", f"{address}/24", "dev", "lo"], check=True, timeout=PATIENCE)
    setting("ip_local_port_range", f"{low} {high}")
    setting("ip_local_reserved_ports", ",".join(str(port) for port in sorted(reserved)))
    setting("tcp_tw_reuse", reuse)
    return name


# ---- what is claimed ----


def server(ip=HERE, port=SERVER):
    one = made(family=socket.AF_INET6 if ":" in ip else socket.AF_INET)
    if ":" in ip:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    one.bind((ip, port))
    one.listen(128)
    return one


def connect(ip=HERE, port=SERVER, source=None, family=None, own=None):
    one = made(family=family or (socket.AF_INET6 if ":" in ip else socket.AF_INET), reuse=False)
    if source:
        one.setsockopt(socket.IPPROTO_IP, NO_PORT, 1)
        one.bind((source, 0))
    if own:
        one.setsockopt(socket.IPPROTO_IP, OWN_RANGE, struct.pack("=I", own[0] | own[1] << 16))
    one.connect((ip, port))
    return one


def bind(ip="", family=socket.AF_INET, kind=socket.SOCK_STREAM, options=(), own=None, port=0):
    one = made(kind, family, reuse=False)
    for option in options:
        one.setsockopt(*option)
    if own:
        one.setsockopt(socket.IPPROTO_IP, OWN_RANGE, struct.pack("=I", own[0] | own[1] << 16))
    one.bind((ip, port))
    return one


def send(ip=HERE):
    one = made(socket.SOCK_DGRAM, socket.AF_INET6 if ":" in ip else socket.AF_INET, reuse=False)
    one.sendto(b"x", (ip, SERVER))
    return one


def exhaust(claim, wanted, *arguments, **options):
    """How many claims succeed before one fails, with that errno. They are kept until the test is over."""
    count = 0
    while True:
        try:
            claim(*arguments, **options)
        except OSError as error:
            equal(errno.errorcode[error.errno], errno.errorcode[wanted], f"errno after {count}")
            return count
        count += 1
        check(count < 1000, "it does not end")


def time_wait(listening, count, ip=HERE, **options):
    """Leaves the clients' ports in TIME_WAIT."""
    for _ in range(count):
        one = connect(ip, listening.getsockname()[1], **options)
        accepted, _ = listening.accept()
        one.shutdown(socket.SHUT_WR)
        equal(accepted.recv(1), b"", "what the client says")
        accepted.close()
        equal(one.recv(1), b"", "what the server says")
        one.close()


# ---- what is asked ----


def pools(*words, status=0):
    result = run("pool", "-o", "json", "--duration", "0", *words)
    equal(result.status, status, f"exit status of pool, it said {result.words()!r}")
    return [one for one in parse_events(result.lines()) if one["event"]["kind"] == "metric"]


def own_pools(*words):
    return [one for one in pools(*words) if get(one, "portsnoop.netns") == netns_inode()]


def found(way, source=None, destination=None, protocol="tcp", own=None, elsewhere=False, words=()):
    """The one pool, its `use`."""
    wanted = []
    for one in own_pools(*words):
        use = get(one, "portsnoop.use")
        there = use.get("destination")
        if ((one["network"]["transport"], use["way"], use.get("source")) == (protocol, way, source)
                and use.get("elsewhere", False) == elsewhere
                and (there and (there["ip"], there["port"])) == destination
                and (own or (LOW, HIGH)) == (use["low"], use["high"])):
            wanted.append(use)
    equal(len(wanted), 1, f"pools by {way} of {source} to {destination}")
    use = wanted[0]
    equal(use["capacity"], use["ports"] - use["reserved"] - use.get("blocked", 0), "capacity")
    equal(use["left"], use["capacity"] - use["used"] - use["time_wait"], "left")
    return use


def drained(before, count, **key):
    """The forecast was right, and then nothing is left."""
    equal(count, before["left"], f"allocations until the first failure, after {before}")
    after = found(**key)
    equal((after["left"], after["used"] + after["time_wait"]), (0, after["capacity"]), f"left and taken: {after}")
    return after


def to(port=SERVER, ip=HERE, source=HERE, **more):
    return {"way": "connect", "source": source, "destination": (ip, port), **more}


# ---- TCP connect ----


@test("pool: connects share ports between destinations, not with binds; failures have their process")
def connects():
    few_ports()
    server(), server(port=SERVER + 1)
    bind(HERE), bind(port=40010).listen(1)
    elsewhere = found("connect", elsewhere=True)
    equal((elsewhere["capacity"], elsewhere["blocked"]), (CAPACITY - 2, 2), "ports to elsewhere")
    connect(), connect(port=SERVER + 1)
    before = found(**to())
    equal((before["capacity"], before["used"]), (CAPACITY - 2, 1), f"{before}")
    watch = Tool("pool", "-o", "json", "--watch", "--interval", "200ms", "--warn", "90%")
    watch.started()
    child = Child(lambda _: exhaust(connect, errno.EADDRNOTAVAIL))
    child.ready()
    lines = alerts_until(watch, "allocation-failed")
    (failure,) = [line for line in lines if line["event"]["action"] == "allocation-failed"]
    equal((get(failure, "error.code"), get(failure, "portsnoop.failures"), get(failure, "process.pid")),
          ("EADDRNOTAVAIL", 1, child.pid), "the failure")
    after = found(**to())
    equal((after["left"], after["used"]), (0, CAPACITY - 2), f"{after}")
    equal({holder["pid"]: holder["ports"] for holder in after["holders"]},
          {os.getpid(): 1, child.pid: before["left"] + 1}, "holders: the first one went through the fork")
    second = found(**to(SERVER + 1))
    equal(second["left"], CAPACITY - 3, "left to the second destination")
    drained(second, exhaust(connect, errno.EADDRNOTAVAIL, port=SERVER + 1), **to(SERVER + 1))
    child.close()


def alerts_until(tool, action):
    lines = []
    while not lines or lines[-1]["event"]["action"] != action:
        check(len(lines) < 1000, "never said:", action)
        lines.append(json.loads(tool.reader.line(action)))
    return lines


@test("pool: TIME_WAIT keeps ports without tcp_tw_reuse")
def lingering():
    few_ports(reuse=0)
    one = server()
    time_wait(one, 5)
    before = found(**to())
    equal((before["time_wait"], before["reusable"], before["used"]), (5, 0, 0), f"{before}")
    drained(before, exhaust(connect, errno.EADDRNOTAVAIL), **to())


@test("pool: TIME_WAIT is as good as free with tcp_tw_reuse, once it is old enough")
def reusable():
    few_ports(reuse=1)
    one = server()
    time_wait(one, 5)
    await_true("that it is old enough", lambda: found(**to())["reusable"] == 5)
    before = found(**to())
    equal((before["time_wait"], before["left"]), (0, CAPACITY), f"{before}")
    drained(before, exhaust(connect, errno.EADDRNOTAVAIL), **to())


@test("pool: tcp_tw_reuse 2 is for the loopback device alone")
def loopback():
    few_ports(reuse=2)
    time_wait(server(), 4)
    time_wait(server("127.0.0.1"), 3, ip="127.0.0.1")
    local = to(ip="127.0.0.1", source="127.0.0.1")
    await_true("that it is old enough", lambda: found(**local)["reusable"] == 3)
    before = found(**to())
    equal((before["time_wait"], before["reusable"]), (4, 0), f"{before}")
    drained(before, exhaust(connect, errno.EADDRNOTAVAIL), **to())
    drained(found(**local), exhaust(connect, errno.EADDRNOTAVAIL, "127.0.0.1"), **local)


@test("pool: without timestamps TIME_WAIT is never reused")
def unstamped():
    few_ports(reuse=1)
    setting("tcp_timestamps", 0)
    time_wait(server(), 3)
    setting("tcp_timestamps", 1)
    time_wait(server(port=SERVER + 1), 1)
    await_true("that a younger one with timestamps is old enough", lambda: found(**to(SERVER + 1))["reusable"] == 1)
    before = found(**to())
    equal((before["time_wait"], before["reusable"]), (3, 0), f"{before}")
    drained(before, exhaust(connect, errno.EADDRNOTAVAIL), **to())


@test("pool: what was accepted keeps its port from connects, also when nobody listens any more")
def accepted():
    few_ports()
    server()
    inside = server(port=40004)
    client = connect(port=40004)
    kept, _ = inside.accept()
    at_end(kept.close)
    inside.close()
    connect()
    before = found(**to())
    equal((before["blocked"], before["used"]), (1, 1), f"{before}")
    check(not before.get("estimated"), "it was guessed:", before)
    drained(before, exhaust(connect, errno.EADDRNOTAVAIL), **to())
    client.close()


@test("pool: a port that connect chose and that somebody bound on another address, and gave up again")
def shared():
    few_ports()
    server()
    one = connect()
    other = bind(THERE, port=one.getsockname()[1])
    taken = found("connect", elsewhere=True)
    equal((taken["blocked"], taken["left"]), (1, CAPACITY - 1), f"{taken}")
    other.close()
    two = connect() if found("connect", elsewhere=True)["blocked"] else one
    before = found(**to(source=HERE))
    drained(before, exhaust(connect, errno.EADDRNOTAVAIL), **to())
    two.close()


@test("pool: a source address that leaves the port to connect")
def sources():
    few_ports()
    server()
    connect(), connect(source=THERE)
    before = found(**to(source=THERE))
    equal((before["used"], before["capacity"]), (1, CAPACITY), f"{before}")
    drained(before, exhaust(connect, errno.EADDRNOTAVAIL, source=THERE), **to(source=THERE))
    equal(found(**to())["left"], CAPACITY - 1, "left to the other source")


@test("pool: IPv6, and IPv4 from a socket of IPv6")
def six():
    few_ports()
    server(), server("::1")
    connect(), connect("::1")
    mapped = {"ip": f"::ffff:{HERE}", "family": socket.AF_INET6}
    connect(**mapped)
    before = found(**to())
    equal(before["used"], 2, f"{before}")
    drained(before, exhaust(connect, errno.EADDRNOTAVAIL, **mapped), **to())
    key = to(ip="::1", source="::1")
    drained(found(**key), exhaust(connect, errno.EADDRNOTAVAIL, "::1"), **key)


@test("pool: sockets with a range of their own")
def own_range():
    few_ports()
    server()
    own = (40005, 40014)
    bind(port=40010)
    try:
        connect(own=own)
    except OSError as error:
        raise Skip(f"this kernel has no IP_LOCAL_PORT_RANGE ({error.strerror})") from None
    connect()
    key = to(own=own)
    before = found(**key)
    equal((before["ports"], before["reserved"], before["blocked"]), (10, 2, 1), f"{before}")
    drained(before, exhaust(connect, errno.EADDRNOTAVAIL, own=own), **key)
    wide = found(**to())
    drained(wide, exhaust(connect, errno.EADDRNOTAVAIL), **to())


@test("pool: bind with a range of its own")
def own_bind():
    few_ports()
    own = (40005, 40014)
    try:
        bind(own=own)
    except OSError as error:
        raise Skip(f"this kernel has no IP_LOCAL_PORT_RANGE ({error.strerror})") from None
    key = {"way": "bind", "source": "0.0.0.0", "own": own}
    drained(found(**key), exhaust(bind, errno.EADDRINUSE, own=own), **key)


# ---- bind to 0 ----


def any4(protocol="tcp"):
    return {"way": "bind", "source": "0.0.0.0", "protocol": protocol}


def any6(protocol="tcp"):
    return {"way": "bind", "source": "::", "protocol": protocol}


@test("pool: bind to 0, beside connections and TIME_WAIT")
def binds():
    few_ports()
    one = server()
    bind(port=40010).listen(1)
    time_wait(one, 2)
    taken = [connect(), bind(HERE), bind("127.0.0.1")]  # the last two may share a port
    before = found(**any4())
    equal((before["used"], before["time_wait"]), (1 + len({one.getsockname()[1] for one in taken}), 2), f"{before}")
    drained(before, exhaust(bind, errno.EADDRINUSE), **any4())


@test("pool: bind to 0 on an address, beside those of others")
def addresses():
    few_ports()
    bind(port=40010), bind("127.0.0.1", port=40011), bind(HERE), bind(HERE), bind(THERE)
    key = {"way": "bind", "source": HERE}
    drained(found(**key), exhaust(bind, errno.EADDRINUSE, HERE), **key)


@test("pool: bind to 0 with SO_REUSEADDR and SO_REUSEPORT shares nothing")
def reuse():
    options = [(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1), (socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)]
    for chosen in (options[:1], options[1:], options):
        few_ports()
        bind(options=chosen), bind(options=chosen)
        drained(found(**any4()), exhaust(bind, errno.EADDRINUSE, options=chosen), **any4())


@test("pool: bind to 0 of both families, and of IPv6 alone")
def dual():
    only = [(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)]
    both = [(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)]
    few_ports()
    bind("::", socket.AF_INET6, options=only, port=40010)
    bind(), bind(HERE), bind("::", socket.AF_INET6, options=both), bind("::1", socket.AF_INET6, options=both)
    bind("::1", socket.AF_INET6, options=only)
    four, sixth = found(**any4()), found(**any6())
    drained(sixth, exhaust(bind, errno.EADDRINUSE, "::", socket.AF_INET6, options=both), **any6())
    left = found(**any4())
    equal(four["capacity"] - four["used"] - sixth["left"], left["left"], "left to IPv4")
    drained(left, exhaust(bind, errno.EADDRINUSE), **any4())


# ---- datagrams ----


@test("pool: UDP, sent from a socket without a port")
def sends():
    few_ports()
    taken = [bind(one, kind=socket.SOCK_DGRAM) for one in (HERE, "127.0.0.1", "")]
    before = found(**any4("udp"))
    equal(before["used"], len({one.getsockname()[1] for one in taken}), f"{before}")
    watch = Tool("pool", "-o", "json", "--watch", "--interval", "200ms")
    watch.started()
    child = Child(lambda _: exhaust(send, errno.EAGAIN))
    child.ready()
    failure = alerts_until(watch, "allocation-failed")[-1]
    equal((get(failure, "error.code"), get(failure, "network.transport"), get(failure, "process.pid")),
          ("EAGAIN", "udp", child.pid), "the failure")
    after = found(**any4("udp"))
    equal((after["left"], after["used"]), (0, CAPACITY), f"{after}")
    equal(found(**any4())["left"], CAPACITY, "left to TCP")
    child.close()


@test("pool: UDP of IPv6, and its bind to 0")
def sends_six():
    few_ports()
    bind("::1", socket.AF_INET6, socket.SOCK_DGRAM), bind(HERE, kind=socket.SOCK_DGRAM)
    drained(found(**any6("udp")), exhaust(send, errno.EAGAIN, "::1"), **any6("udp"))


# ---- what is not certain ----


@test("pool: of an odd number of ports the last one may not be found, and that is said")
def odd():
    for way, claim, wanted in (("connect", connect, errno.EADDRNOTAVAIL), ("bind", bind, errno.EADDRINUSE)):
        few_ports(high=HIGH - 1, reserved=())
        server()
        key = {**(to() if way == "connect" else any4()), "own": (LOW, HIGH - 1)}
        claim()
        before = found(**key)
        equal((before["left"], before["doubtful"]), (HIGH - LOW - 1, 1), f"{before}")
        count = exhaust(claim, wanted)
        check(before["left"] - count in (0, 1), f"{count} allocations after", before)


@test("pool: without root it is estimated from what ss sees, and that is said")
def powerless():
    few_ports()
    server(), server(port=40004), connect()
    before = found(**to())
    words = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    folder = room()
    copy = shutil.copy(program(), folder)
    result = run("pool", "-o", "json", prefix=words, command=copy)
    equal(result.status, 0, f"exit status, it said {result.words()!r}")
    (use,) = [get(one, "portsnoop.use") for one in parse_events(result.lines())
              if get(one, "portsnoop.use").get("destination") == {"ip": HERE, "port": SERVER}]
    equal((use.get("estimated"), "watch" in use, use["left"]), (True, False, before["left"]), f"{use}")
    for sentence in ("no rates and no forecast: ", "estimated: ", "not seen: processes of other users"):
        check(sentence in result.words(), sentence, "is missing in:", result.words())


# ---- the picture ----


@test("pool: the map, port by port, as ss has them")
def maps():
    few_ports()
    one = server()
    time_wait(one, 3)
    for _ in range(4):
        connect()
    bind(THERE)
    result = run("pool", "--map", "--duration", "0")
    equal(result.status, 0, f"exit status, it said {result.words()!r}")
    lines = result.out.decode().splitlines()
    place = next(i for i, line in enumerate(lines) if f"{HERE}:{SERVER}" in line)
    drawn = next(line.split()[1] for line in lines[place:] if line.startswith(f" {LOW}  "))
    equal(len(drawn), HIGH - LOW + 1, f"the map {drawn!r}")
    rows = [row for row in ss_rows() if row[0] == "tcp"]
    said = {
        "#": {row[2][1] for row in rows if row[3] == (HERE, SERVER) and row[1] == "established"},
        "T": {row[2][1] for row in rows if row[3] == (HERE, SERVER) and row[1] == "time_wait"},
        "B": {row[2][1] for row in rows if row[2][0] == THERE},
        "R": RESERVED,
    }
    if not said["B"]:  # ss lists what is only bound from 6.8 on
        said["B"] = {LOW + i for i, sign in enumerate(drawn) if sign == "B"}
        equal(len(said["B"]), 1, "ports that are bound")
    equal({sign: {LOW + i for i, drawn_sign in enumerate(drawn) if drawn_sign == sign} for sign in said}, said, drawn)
    check("preference only" in result.out.decode(), "parity:", result.out)


@test("pool: another network namespace, from outside and from inside")
def outside():
    name = few_ports()
    server(), connect(), bind()
    inode = netns_inode()
    inside = {json.dumps(get(one, "portsnoop.use"), sort_keys=True) for one in own_pools()}
    check(len(inside) > 3, "pools:", inside)
    seen = {json.dumps(get(one, "portsnoop.use"), sort_keys=True) for one in pools("--netns", name)}
    equal(seen, inside, "pools, by name")
    libc = ctypes.CDLL(None, use_errno=True)
    check(not libc.setns(OUTSIDE, CLONE_NEWNET), "setns:", os.strerror(ctypes.get_errno()))
    there = pools()
    equal(get(there[0], "portsnoop.netns"), netns_inode(), "the own one comes first")
    mine = {json.dumps(get(one, "portsnoop.use"), sort_keys=True) for one in there
            if get(one, "portsnoop.netns") == inode}
    equal(mine, inside, "pools, of all namespaces")
    equal({get(one, "portsnoop.netns_name") for one in there if get(one, "portsnoop.netns") == inode}, {name}, "name")


# ---- warnings ----


@test("pool: --warn exits with 1 from that share on, and says for which pool")
def warns():
    few_ports()
    server()
    for _ in range(8):
        connect()
    name = f"{netns_inode()}"
    for percent, status in (("47%", 1), ("48", 0), ("1%", 1)):  # 8 of 17 are 47.06 %
        result = run("pool", "--duration", "0", "--netns", name, "--warn", percent)
        equal(result.status, status, f"exit status with {percent}: {result.out}, {result.words()!r}")
        first = result.out.decode().splitlines()[0]
        check(first.startswith("alert: tcp " if status else "ok: no pool"), "the first line:", first)
        if status:
            check(f"python3[{os.getpid()}]: 8" in result.out.decode(), "the top holder:", result.out)
    records = run("pool", "--duration", "0", "--netns", name, "--warn", "47", "-o", "json")
    alerts = [one for one in parse_events(records.lines()) if one["event"]["kind"] == "alert"]
    equal({(one["event"]["action"], get(one, "portsnoop.use.way"), get(one, "portsnoop.use.used")) for one in alerts},
          {("pool-pressure", "connect", 8), ("pool-pressure", "bind", 8)}, "alerts")


@test("pool: --watch tells when a pool comes to the threshold, and when that is over")
def watches():
    few_ports()
    server()
    connect()
    watch = Tool("pool", "--watch", "--interval", "100ms", "--warn", "80%", "--netns", str(netns_inode()))
    watch.started()
    kept = [connect() for _ in range(14)]
    wanted = f"tcp connect {HERE} -> {HERE}:{SERVER}: 88% taken (15 of 17, 0 in TIME_WAIT), 2 left"
    line_until(watch, f"alert: {wanted}")
    setting("tcp_max_tw_buckets", 0)  # what is closed is gone
    for one in kept[:2]:
        one.close()
    line_until(watch, f": 13 of 17 taken", refuse="over: ")  # 76 %: above nine tenths of 80 %
    for one in kept[2:4]:
        one.close()
    line_until(watch, f"over: tcp connect {HERE} -> {HERE}:{SERVER}: 64% taken")
    watch.stop()


def line_until(tool, words, refuse=None):
    seen = []
    while not seen or words not in seen[-1]:
        line = tool.reader.line(words)
        check(line is not None and len(seen) < 200, "it never said:", words, seen[-5:])
        seen.append(line.decode())
        check(not refuse or refuse not in seen[-1], f"too early: {seen[-1]}")


@test("pool: what is refused")
def refused():
    for words in (("--warn", "0"), ("--warn", "101%"), ("--warn", "many"), ("--interval", "1s"), ("80",),
                  ("--watch", "--duration", "1s"), ("--map", "-o", "json"), ("-o", "csv"), ("--duration", "-1")):
        result = run("pool", *words)
        equal((result.status, result.out), (2, b""), f"status and output of {words}")
        equal(result.words().count("\n"), 1, f"lines about {words}")
    result = run("pool", "--netns", "4026530000", "--duration", "0")
    equal((result.status, result.out), (2, b""), "status and output of a namespace that is not there")
    check("4026530000 cannot be entered" in result.words(), "words:", result.words())


@test("pool: rates, lives and a forecast of what is watched")
def rates():
    few_ports(low=20000, high=20999, reserved={20000})
    one = server()
    watch = Tool("pool", "-o", "json", "--watch", "--interval", "500ms")
    watch.started()
    time_wait(one, 10)
    for _ in range(40):
        connect()
    seen, last, records = {"allocations": 0, "released": 0}, None, 0
    while not last or last["watch"]["allocations"]:  # until one in which nothing happened
        record, records = json.loads(watch.reader.line("a record")), records + 1
        check(records < 200, "allocations go on:", seen)
        use = get(record, "portsnoop.use")
        if use.get("destination") == {"ip": HERE, "port": SERVER} and use["source"] == HERE:
            seen = {name: seen[name] + use["watch"][name] for name in seen}
            last = use if sum(seen.values()) else last
    equal(seen, {"allocations": 50, "released": 10}, "allocations and what was given back")
    equal((last["used"], last["time_wait"]), (40, 10), f"{last}")
    watch.stop()


@test("pool: a server that never closes keeps its clients' ports for a minute, and the forecast knows")
def stuck():
    few_ports(low=20000, high=20999, reserved=(), reuse=1)
    one = server()
    watch = Tool("pool", "-o", "json", "--watch", "--interval", "200ms")
    watch.started()
    accepted = []
    for _ in range(40):
        client = connect()
        accepted.append(one.accept()[0])
        client.close()
    use = None
    while not use or not use["watch"]["rate"] or "held_seconds" not in use["watch"]:
        record = json.loads(watch.reader.line("a record"))
        here = get(record, "portsnoop.use")
        if here.get("destination") == {"ip": HERE, "port": SERVER} and here["source"] == HERE:
            use = here
            check(use["watch"]["rate"], "nothing is said of the time in which the ports are taken:", use)
    watch.stop()
    later = found(**to(), own=(20000, 20999))
    equal((later["time_wait"], later["reusable"]), (40, 0), f"{later}")
    rate, held = use["watch"]["rate"], use["watch"]["held_seconds"]
    settled = use["forecast"]["settled"]
    check(abs(settled - rate * (held + 60)) < rate * 2, "it settles at", settled, "with", rate, "a second")
    for each in accepted:
        each.close()


@test("pool: a connect that has no source address is no exhaustion, nor is a bind to another machine's")
def sourceless():
    few_ports()
    subprocess.run(["ip", "-6", "addr", "flush", "dev", "lo"], check=True, timeout=PATIENCE)
    server()
    watch = Tool("pool", "-o", "json", "--watch", "--interval", "200ms", "--warn", "100%", "--netns",
                 str(netns_inode()))
    watch.started()
    for claim, ip, more in ((connect, "::1", {}), (send, "::1", {}), (bind, "192.0.2.1", {}),
                            (bind, "2001:db8::1", {"family": socket.AF_INET6}), (connect, HERE, {"source": "192.0.2.1"})):
        try:
            claim(ip, **more)
        except OSError as error:
            equal(error.errno, errno.EADDRNOTAVAIL, f"errno of {claim.__name__} {ip} {more}")
        else:
            check(False, "no failure:", claim.__name__, ip)
    connect()
    use = {}
    while use.get("destination") != {"ip": HERE, "port": SERVER}:  # the watch has come so far
        record = json.loads(watch.reader.line("a record"))
        equal(record["event"]["kind"], "metric", f"{record}")
        use = get(record, "portsnoop.use")
        equal(use["watch"]["failures"], 0, f"failures in {use}")
    watch.stop()


# ---- terminals ----


class Live(LiveScreen):
    command = "pool"


@test("pool: --watch redraws a terminal in place, at its size, and leaves it as it was")
def redrawn():
    few_ports()
    server()
    held = [connect()]
    live = Live(30, 130, "--watch", "--interval", "100ms", "--map", "--netns", str(netns_inode()))
    before = terminal_size(live.theirs)[1]
    heads = f"network namespace {netns_inode()}"
    live.until("the first picture", lambda text: text[0].startswith(heads))
    held += [connect(), connect()]
    live.until("what is taken meanwhile", lambda text: any(f"[{os.getpid()}] 3" in line for line in text))
    equal(sum(line.startswith("PROTO ") for line in live.screen.text()), 1, "headings on the screen")
    live.screen.resize(6, 50)
    terminal_size(live.theirs, 6, 50)  # nothing wraps, nothing scrolls
    live.until("the small picture", lambda text: text[0].startswith(heads) and len(text) == 5
               and all(len(line) <= 50 for line in text))
    live.screen.resize(30, 130)
    terminal_size(live.theirs, 30, 130)
    live.until("the large picture", lambda text: text[0].startswith(heads)
               and sum(line.startswith("PROTO ") and len(line) > 80 for line in text) == 1)
    os.write(live.ours, b"\x03")
    equal(live.tool.status(), 0, f"exit status, it said {live.tool.words()!r}")
    live.screen.feed(live.bytes())
    equal((live.screen.column, live.screen.sgr), (0, b""), "column of the cursor, and color that is left on")
    equal(terminal_size(live.theirs)[1], before, "modes of the terminal")


@test("pool: --watch redraws when the terminal has another size, without waiting; of a dumb one it makes lines")
def resized():
    few_ports()
    live = Live(30, 130, "--watch", "--interval", "1h")
    heads = f"network namespace {netns_inode()}"
    live.until("the first picture", lambda text: text[0].startswith(heads))
    live.screen.resize(20, 40)
    live.screen.lines = [""] * 20
    terminal_size(live.theirs, 20, 40)
    live.until("the smaller picture", lambda text: text[0].startswith(heads))
    live.tool.close()
    dumb = Live(30, 200, "--watch", "--interval", "1h", env={"TERM": "dumb"})
    check(b"\x1b" not in dumb.reader.line("a line"), "it moves the cursor of a dumb terminal")


@test("pool: --watch ends when nobody reads any more")
def unread():
    few_ports()
    ours, theirs = os.pipe()
    at_end(os.close, theirs)
    watch = Tool("pool", "--watch", "--interval", "1h", stdout=theirs)
    Reader(ours).line("the first line")
    os.close(ours)
    equal(watch.status(), 0, f"exit status, it said {watch.words()!r}")


if __name__ == "__main__":
    sys.exit(suite_run("pool"))
