#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What `portsnoop record --metrics` serves, and to whom.

usage: metrics.py [PATTERN...]
Environment: PORTSNOOP (program), TIER. PATTERN: names of tests, as globs.

A machine does more than this test: what is compared for equality is told apart from that by
its protocol (nobody else uses UDP-Lite and MPTCP), by the name of its process, or by its
network namespace.
"""

import contextlib
import errno
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request

from behavior_tool import Claimer, Failure, Skip, at_end, await_true, check, end, equal, room, run, suite_run, test
from record_tool import Recorder

try:
    from prometheus_client import parser
    from prometheus_client.openmetrics import parser as openmetrics
except ImportError:
    openmetrics = None

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ALERTS = os.path.join(TREE, "tools", "dashboards", "alerts.yml")
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
CLASSIC = "text/plain; version=0.0.4; charset=utf-8"
# As Prometheus 3 asks.
ACCEPT = ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
          "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.2,*/*;q=0.1")
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
ONES = dict.fromkeys(("listen", "established", "connecting", "bound", "time_wait"), 0)


class Metered(Recorder):
    def __init__(self, *words, endpoint="0", config=None):
        self.folder = room()
        super().__init__(f"{self.folder}/h.db", *(("--metrics", endpoint) if endpoint else ()),
                         *(("--config", config) if config else ()), *words)
        self.started()
        self.says("metrics at ")
        self.host, self.port = re.search(r"metrics at http://(.*):(\d+)/metrics", self.words()).groups()
        self.host, self.port = self.host.strip("[]"), int(self.port)

    def ask(self, path="/metrics", method="GET", accept=ACCEPT):
        """Status, content type and body."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        try:
            connection.request(method, path, headers={"Accept": accept} if accept else {})
            answer = connection.getresponse()
            return answer.status, answer.getheader("Content-Type"), answer.read().decode()
        finally:
            connection.close()

    def page(self):
        """{(name, labels): value}"""
        status, kind, text = self.ask()
        equal((status, kind), (200, OPENMETRICS), "status and type")
        check(text.endswith("\n# EOF\n"), "the page is cut:", text[-100:])
        found = {}
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            name, labels, value = SAMPLE.match(line).groups()
            key = (name, frozenset(LABEL.findall(labels or "")))
            check(key not in found, "twice:", line)
            found[key] = float(value)
        return found

    def value(self, metric, page=None, **labels):
        return (page or self.page()).get((f"portsnoop_{metric}", frozenset(labels.items())), 0)

    def values(self, metric, **labels):
        """{labels besides these: value}"""
        wanted = set(labels.items())
        return {frozenset(have - wanted): value for (one, have), value in self.page().items()
                if one == f"portsnoop_{metric}" and wanted <= have}


def parsers_needed():
    if not openmetrics:
        raise Skip("needs prometheus_client (Debian: python3-prometheus-client)")


def await_equal(what, have, want):
    try:
        await_true(what, lambda: have() == want)
    except Failure:
        equal(have(), want, what)


class Inside(Claimer):
    """In a network namespace of its own, which has a small pool."""

    def __init__(self, low, high):
        super().__init__(prefix=("unshare", "-n"))
        self.netns = os.stat(f"/proc/{self.pid}/ns/net").st_ino
        self.run("ip", "link", "set", "lo", "up")
        self.run("sysctl", "-qw", f"net.ipv4.ip_local_port_range={low} {high}")

    def run(self, *words):
        return subprocess.run(("nsenter", "-t", str(self.pid), "-n", *words), check=True, capture_output=True,
                              text=True).stdout

    def connected(self, address, times=1):
        handles = []
        for _ in range(times):
            handles.append(self.ask("open", "tcp4"))
            port = self.ask("connect", handles[-1], *address)
            check(isinstance(port, int), "connect:", port)
        return handles


@test("metrics: promtool and the strict parser take a live page, in both formats")
def strict():
    parsers_needed()
    recorder, claimer = Metered(), Claimer()
    # A name that no parser would take as it is.
    claimer.ask("rename", '"\\\n\x1b\udcff')
    claimer.ask("claim", "tcp4", "127.0.0.1", 0)
    await_true("the claim", lambda: '\\"\\\\' in recorder.ask()[2])
    status, kind, text = recorder.ask()
    equal((status, kind), (200, OPENMETRICS), "OpenMetrics")
    families = list(openmetrics.text_string_to_metric_families(text))
    check(len(families) > 30, "families:", len(families))
    status, kind, text = recorder.ask(accept=None)
    equal((status, kind), (200, CLASSIC), "the other format")
    check(len(list(parser.text_string_to_metric_families(text))) > 30, "families of the other format")
    if not shutil.which("promtool"):
        raise Skip("the parsers take it; promtool is not there (Debian: prometheus)")
    done = subprocess.run(("promtool", "check", "metrics"), input=text, capture_output=True, text=True,
                          check=False)
    equal((done.returncode, done.stdout + done.stderr), (0, ""), "promtool")
    recorder.stop()


@test("metrics: claims, failures and connects are what a program made, exactly")
def exact():
    recorder, claimer = Metered(), Claimer()
    name = f"exact-{os.getpid()}"
    claimer.ask("rename", name)
    want, kernel = {}, 0

    def expect(metric, times, **labels):
        key = (f"portsnoop_{metric}_total", frozenset(labels.items()))
        want[key] = want.get(key, 0) + times

    handle = claimer.ask("claim", "udplite4", "127.0.0.1", 0)
    if not isinstance(handle, dict):
        udplite(claimer, expect)
        kernel += 11 + 5 + 3
        claimer.ask("close", handle[0])
    listener = claimer.ask("claim", "mptcp4", "127.0.0.1", 0)
    if not isinstance(listener, dict):
        mptcp(claimer, listener, expect)
        kernel += 1 + 6 + 4
    if not kernel:
        raise Skip("this kernel has neither UDP-Lite nor MPTCP")

    def have():
        page = recorder.page()
        return {key: page.get(key, 0) for key in want}

    await_equal("counters", have, want)
    owners = recorder.values("allocations_total", name=name)
    if not owners:
        raise Skip(f"the counters are equal; the test runs in a unit or container, as which "
                   f"it counts: {sorted(map(sorted, recorder.values('allocations_total')))}")
    equal(owners, {frozenset({("kind", "process")}): kernel}, "allocations")
    recorder.stop()


def udplite(claimer, expect):
    """One bind to port 0 was made before."""
    handles = [claimer.ask("claim", "udplite4", "127.0.0.1", 0) for _ in range(10)]
    expect("claims", 11, trigger="bind", origin="kernel", protocol="udplite")
    for _ in range(7):
        equal(claimer.ask("claim", "udplite4", "127.0.0.1", handles[0][1]), {"errno": errno.EADDRINUSE}, "bind")
    expect("claim_failures", 7, trigger="bind", origin="requested", protocol="udplite", error="EADDRINUSE")
    claimer.ask("close", handles[0][0])
    claimer.ask("claim", "udplite4", "127.0.0.1", handles[0][1])
    expect("claims", 1, trigger="bind", origin="requested", protocol="udplite")
    for _ in range(5):
        claimer.ask("connect", claimer.ask("open", "udplite4"), "127.0.0.1", 9)
    expect("claims", 5, trigger="connect", origin="kernel", protocol="udplite")
    expect("connects", 5, protocol="udplite", outcome="established")
    for _ in range(3):
        claimer.ask("send", claimer.ask("open", "udplite4"), "127.0.0.1", 9)
    expect("claims", 3, trigger="send", origin="kernel", protocol="udplite")
    # And the one of the caller, and the first of ours.
    expect("releases", 2, protocol="udplite", ending="released")


def mptcp(claimer, listener, expect):
    handle, port = listener
    claimer.ask("listen", handle)
    expect("claims", 1, trigger="bind", origin="kernel", protocol="mptcp")
    for _ in range(6):
        claimer.ask("connect", claimer.ask("open", "mptcp4"), "127.0.0.1", port)
    expect("connects", 6, protocol="mptcp", outcome="established")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        for _ in range(4):
            equal(claimer.ask("connect", claimer.ask("open", "mptcp4"), "127.0.0.1", closed.getsockname()[1]),
                  {"errno": errno.ECONNREFUSED}, "connect")
    expect("connects", 4, protocol="mptcp", outcome="failed")
    expect("connect_failures", 4, protocol="mptcp", error="ECONNREFUSED")
    expect("claims", 10, trigger="connect", origin="kernel", protocol="mptcp")


def ss_pool(inside, low, high):
    """As ss lists the namespace: ports of the pool, each by its most alive state."""
    names = {"LISTEN": "listen", "ESTAB": "established", "UNCONN": "bound", "TIME-WAIT": "time_wait"}
    found = {"tcp": dict(ONES), "udp": dict(ONES)}
    for protocol, option in (("tcp", "-tanH"), ("udp", "-uanH")):
        ports = {}
        for line in inside.run("ss", option).splitlines():
            state, _, _, local = line.split()[:4]
            port = int(local.rpartition(":")[2])
            if low <= port <= high:
                ports.setdefault(port, set()).add(names[state])
        for states in ports.values():
            found[protocol][next(one for one in ONES if one in states)] += 1
    return found


@test("metrics: the pool of a namespace is what ss lists in it")
def pool():
    recorder = Metered()
    inside = Inside(40000, 40099)
    server = inside.ask("claim", "tcp4", "127.0.0.1", 40005)
    inside.ask("listen", server[0])
    outside = inside.ask("claim", "tcp4", "127.0.0.1", 5000)
    inside.ask("listen", outside[0])
    inside.connected(("127.0.0.1", 5000), 9)
    inside.connected(("127.0.0.1", 40005), 4)
    for one in inside.connected(("127.0.0.1", 5000), 6):
        inside.ask("close", one)
    for _ in range(15):
        inside.ask("close", inside.ask("accept", outside[0]))
    for _ in range(3):
        inside.ask("claim", "udp4", "127.0.0.1", 0)
    inside.ask("connect", inside.ask("open", "udp4"), "127.0.0.1", 9)
    netns = str(inside.netns)

    def have():
        found = {"tcp": {}, "udp": {}}
        for labels, value in recorder.values("pool_ports", netns=netns).items():
            labels = dict(labels)
            found[labels["protocol"]][labels["state"]] = int(value)
        return found

    # The nine were closed by their peer, and by nobody else: to ss that is a state of its own.
    await_true("six in TIME_WAIT", lambda: inside.run("ss", "-tanH", "state", "time-wait").count("\n") == 6)
    text = inside.run("ss", "-tanH").replace("CLOSE-WAIT", "ESTAB")
    inside.run = (lambda plain: lambda *words: text if words == ("ss", "-tanH") else plain(*words))(inside.run)
    await_equal("the pool", have, ss_pool(inside, 40000, 40099))
    page = recorder.page()
    for protocol in ("tcp", "udp"):
        equal(recorder.value("pool_capacity_ports", page, netns=netns, protocol=protocol), 100, "capacity")
    equal(recorder.value("destination_ports", page, netns=netns, protocol="tcp", source="127.0.0.1",
                         destination="127.0.0.1:5000"), 15, "ports toward 127.0.0.1:5000")
    equal(recorder.value("destination_ports", page, netns=netns, protocol="tcp", source="127.0.0.1",
                         destination="127.0.0.1:40005"), 4, "ports toward 127.0.0.1:40005")
    # Given back: nothing is left but TIME_WAIT.
    inside.done()
    await_true("no leases but in TIME_WAIT", lambda: not any(
        value for labels, value in recorder.values("pool_ports", netns=netns).items()
        if ("state", "time_wait") not in labels))
    recorder.stop()


@test("metrics: the pool of our own namespace is what its settings say, less what is reserved")
def own_pool():
    recorder = Metered()
    netns = os.stat("/proc/self/ns/net").st_ino
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        low, high = map(int, file.read().split())
    with open("/proc/sys/net/ipv4/ip_local_reserved_ports", encoding="ascii") as file:
        reserved = set()
        for part in filter(None, file.read().strip().split(",")):
            first, _, last = part.partition("-")
            reserved.update(range(int(first), int(last or first) + 1))
    want = high - low + 1 - len([port for port in reserved if low <= port <= high])
    equal(recorder.value("pool_capacity_ports", netns=str(netns), protocol="tcp"), want, "capacity")
    recorder.stop()


class Prometheus:
    """One that scrapes the recorder four times a second."""

    def __init__(self, recorder):
        if not shutil.which("prometheus"):
            raise Skip("prometheus is not there")
        self.folder = room()
        with open(ALERTS, encoding="utf-8") as file:
            # How long a state has to last is for people's peace, and tested by promtool.
            rules = re.sub(r"for: \d+m", "for: 0s", file.read())
        with open(f"{self.folder}/alerts.yml", "w", encoding="utf-8") as file:
            file.write(rules)
        with open(f"{self.folder}/prometheus.yml", "w", encoding="utf-8") as file:
            json.dump({"global": {"scrape_interval": "250ms", "scrape_timeout": "250ms",
                                  "evaluation_interval": "250ms"},
                       "rule_files": ["alerts.yml"],
                       "scrape_configs": [{"job_name": "portsnoop", "static_configs": [
                           {"targets": [f"127.0.0.1:{recorder.port}"]}]}]}, file)
        with socket.socket() as finder:
            finder.bind(("127.0.0.1", 0))
            self.port = finder.getsockname()[1]
        self.log = open(f"{self.folder}/log", "w+b")
        at_end(self.log.close)
        self.process = subprocess.Popen(
            ("prometheus", f"--config.file={self.folder}/prometheus.yml",
             f"--storage.tsdb.path={self.folder}/data", f"--web.listen-address=127.0.0.1:{self.port}"),
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        at_end(end, self.process)

    def ask(self, path):
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}", timeout=20) as answer:
                return json.load(answer)["data"]
        check(self.process.poll() is None, "prometheus ended:", open(self.log.name, "rb").read()[-500:])
        return None

    def healthy(self):
        targets = (self.ask("targets") or {}).get("activeTargets", ())
        return any(one["health"] == "up" for one in targets)

    def firing(self):
        return {one["labels"]["alertname"]: one["labels"] for one in (self.ask("alerts") or {}).get("alerts", ())
                if one["state"] == "firing"}


@test("metrics: a Prometheus scrapes it, and fires the shipped alerts when a pool runs out")
def alerts():
    recorder = Metered()
    inside = Inside(41000, 41009)
    prometheus = Prometheus(recorder)
    listener = inside.ask("claim", "tcp4", "127.0.0.1", 5000)
    inside.ask("listen", listener[0])
    inside.connected(("127.0.0.1", 5000), 5)
    await_true("a scrape", prometheus.healthy)
    own = {"netns": str(inside.netns), "protocol": "tcp"}
    await_true("the pool in Prometheus", lambda: [
        one for one in (prometheus.ask(f"query?query=sum(portsnoop_pool_ports%7Bnetns%3D%22{inside.netns}%22%7D)")
                        or {}).get("result", ()) if one["value"][1] == "5"])
    before = prometheus.firing()
    check("PortPoolNearlyExhausted" not in before or before["PortPoolNearlyExhausted"]["netns"] != own["netns"],
          "an alert at 50 %:", before)
    inside.connected(("127.0.0.1", 5000), 5)
    equal(inside.ask("connect", inside.ask("open", "tcp4"), "127.0.0.1", 5000),
          {"errno": errno.EADDRNOTAVAIL}, "the eleventh connect")
    wanted = ("PortPoolNearlyExhausted", "PortPoolNearlyExhaustedTowardDestination", "PortAllocationFailed")
    try:
        await_true("the alerts", lambda: set(wanted) <= set(prometheus.firing()))
    except Failure as failure:
        raise Failure(f"{failure}; firing are {sorted(prometheus.firing())}") from None
    firing = prometheus.firing()
    equal({key: firing[wanted[0]][key] for key in own}, own, wanted[0])
    equal({key: firing[wanted[1]][key] for key in ("destination", *own)},
          {"destination": "127.0.0.1:5000", **own}, wanted[1])
    equal({key: firing[wanted[2]][key] for key in ("trigger", "error", "severity")},
          {"trigger": "connect", "error": "EADDRNOTAVAIL", "severity": "critical"}, wanted[2])
    equal([name for name in firing if name.startswith("Portsnoop")], [], "alerts about portsnoop")
    recorder.stop()
    await_true("the alert that nobody answers", lambda: "PortsnoopDown" in prometheus.firing())


@test("metrics: who is slow, too many or too large keeps nothing from being recorded")
def hostile():
    recorder, claimer = Metered(), Claimer()
    name = f"storm-{os.getpid()}"
    claimer.ask("rename", name)
    with contextlib.ExitStack() as clients:
        def client(words):
            one = clients.enter_context(socket.create_connection((recorder.host, recorder.port)))
            with contextlib.suppress(OSError):
                one.sendall(words)
            return one

        for _ in range(100):
            client(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
        for _ in range(10):
            client(b"GET /metrics HTTP/1.1\r\nX: " + b"x" * (1 << 20))
        claimer.ask("storm", "udp4", "127.0.0.1", 0, 3000)
        equal(recorder.ask()[0], 200, "status with all of them there")
        with contextlib.closing(socket.create_connection((recorder.host, recorder.port))) as late:
            late.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            await_true("all claims", lambda: sum(
                value for labels, value in recorder.values("allocations_total").items()
                if ("name", name) in labels or ("kind", "process") not in labels) >= 3000)
    fds = len(os.listdir(f"/proc/{recorder.pid}/fd"))
    check(fds < 150, "open files:", fds)
    equal(recorder.value("records_lost_total"), 0, "lost records")
    for path, method, status in (("/", "GET", 200), ("/metric", "GET", 404), ("/metrics", "POST", 405),
                                 ("/metrics", "HEAD", 200)):
        equal(recorder.ask(path, method)[0], status, f"{method} {path}")
    recorder.stop()


@test("metrics: the one that serves has no capability, a filter, and one socket of the network")
def confined():
    recorder = Metered()
    for task in os.listdir(f"/proc/{recorder.pid}/task"):
        with open(f"/proc/{recorder.pid}/task/{task}/status", encoding="utf-8") as file:
            words = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
        equal([int(words[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")], [0] * 4, task)
        equal((words["NoNewPrivs"], words["Seccomp"]), ("1", "2"), f"thread {task}")
    found = subprocess.run(("ss", "-tuawpnH"), capture_output=True, text=True, check=True).stdout
    own = [line.split() for line in found.splitlines() if f"pid={recorder.pid}," in line]
    equal([(line[0], line[1], line[4]) for line in own],
          [("tcp", "LISTEN", f"127.0.0.1:{recorder.port}")], "sockets")
    recorder.stop()


@test("metrics: IPv6, and the address in a configuration file; a new one waits for the next start")
def configured():
    config = f"{room()}/portsnoop.conf"
    with open(config, "w", encoding="utf-8") as file:
        file.write("metrics = [::1]:0\n")
    try:
        recorder = Metered(endpoint=None, config=config)
    except Failure as failure:
        if "cannot listen on" in str(failure):
            raise Skip("this machine has no IPv6") from None
        raise
    equal((recorder.host, recorder.ask()[0]), ("::1", 200), "where, and the status")
    with open(config, "w", encoding="utf-8") as file:
        file.write("metrics = 127.0.0.1:1\n")
    recorder.send(signal.SIGHUP)
    recorder.says("metrics take effect with the next start")
    recorder.says("opened the database anew")
    equal(recorder.ask()[0], 200, "status after the reload")
    recorder.stop()


@test("metrics: a port that is taken ends the start, and says whom to ask")
def taken():
    recorder = Metered()
    folder = room()
    other = run("record", "--db", f"{folder}/h.db", "--metrics", str(recorder.port))
    equal((other.status, os.listdir(folder)), (1, []), "exit status, and what it left")
    check(f"127.0.0.1:{recorder.port}" in other.words() and f"portsnoop who {recorder.port}/tcp" in other.words(),
          "words:", other.words())
    for wrong in ("x", "127.0.0.1", "[::1]", "localhost:9845", "70000"):
        other = run("record", "--db", f"{folder}/h.db", "--metrics", wrong)
        equal((other.status, os.listdir(folder)), (2, []), f"exit status of {wrong}")
        check(f"'{wrong}' is not accepted" in other.words() and "[::1]:9845" in other.words(),
              "words:", other.words())
    equal(run("record", "--replay", "/nonexistent", "--metrics", "0").status, 2, "with --replay")
    recorder.stop()


if __name__ == "__main__":
    sys.exit(suite_run("metrics"))
