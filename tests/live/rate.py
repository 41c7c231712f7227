#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""`portsnoop rate`, against what the programs count themselves and what strace sees.

usage: rate.py [PATTERN...]
Environment: PORTSNOOP (program), TIER. PATTERN: names of tests, as globs.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter

import situations
import strace_oracle
from behavior_tool import (HERE, PATIENCE, Claimer, Reader, Skip, Tool, at_end, await_exit, await_true,
                           check, end, equal, get, parse_events, room, run, suite_run, test)
from rate_load import FIRST_USER
from rate_screen import LiveScreen, terminal_size
from who_situation import free_port, netns_make

CGROUPS = "/sys/fs/cgroup/unified", "/sys/fs/cgroup"
CONTAINER = "7" * 64
USER = 54321  # nobody else's
ALL = "1000000"  # --top: every row
DIMENSIONS = "process", "comm", "unit", "container", "user", "destination", "port-class", "netns"
NUMBERS = ("claims", "kernel", "requested", "unsplit", "failures", "connect_failures", "released", "time_waits")


# ---- what it says ----


def rates(*dimensions):
    """One by each of them, once they count."""
    tools = [Tool("rate", "--once", "--duration", "1h", "-o", "json", "--top", ALL, "--by", by) for by in dimensions]
    for tool in tools:
        await_true("that it counts", lambda tool=tool: "counting" in tool.words() or tool.process.poll() is not None)
        check(tool.process.poll() is None, "it ended:", tool.words())
    return tools


def totals(tools):
    """The one record of each."""
    for tool in tools:
        tool.send(signal.SIGINT)  # before one is waited for
    records = []
    for tool in tools:
        (record,) = parse_events(tool.reader.rest())
        equal(tool.status(), 0, f"exit status, it said {tool.words()!r}")
        check_record(record)
        equal(get(record, "portsnoop.final"), True, "that it is the last record")
        check_complete(record)
        records.append(record)
    return records


def check_complete(record):
    own = record["portsnoop"]
    equal((own["complete"], own["incomplete"]), (True, []), "that nothing is missing")


def check_record(record):
    """ECS, and the law: rows + rest + overflow = total, of every number."""
    equal((get(record, "event.kind"), get(record, "event.dataset"), get(record, "portsnoop.schema")),
          ("metric", "portsnoop.rate", 1), "what the record is")
    own = record["portsnoop"]
    parts = [*own["rows"], own["rest"], own["overflow"]]
    for when in ("interval", "since_start"):
        for number in NUMBERS:
            equal(sum(part[when][number] for part in parts), own["total"][when][number],
                  f"rows, rest and overflow: {number} in {when}")
        for part in (*parts, own["total"]):
            equal(part[when]["claims"], sum(part[when][key] for key in ("kernel", "requested", "unsplit")),
                  f"claims in {when}")
    seconds = get(record, "event.duration") / 1e9
    for part in (*parts, own["total"]):
        for number in NUMBERS:
            check(abs(part["per_second"][number] - part["interval"][number] / seconds) < 0.001,
                  "rate of", number, part)
        equal(part["held"]["open"], part["since_start"]["claims"] - part["since_start"]["released"], "open")


def row_of(record, path, value):
    found = [row for row in record["portsnoop"]["rows"] if get(row, path) == value]
    equal(len(found), 1, f"rows with {path} {value!r} among {[row['name'] for row in record['portsnoop']['rows']]}")
    return found[0]


def errors_of(row, of="claim"):
    return {error["code"]: error["since_start"] for error in row["errors"]
            if error["of"] == of and error["since_start"]}


# ---- what was done ----


class Load:
    """rate_load.py in a network namespace and a cgroup."""

    def __init__(self, *works, uid=0, cgroup=None, netns=None):
        prefix = ["ip", "netns", "exec", netns] if netns else []
        if cgroup:
            prefix = ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', cgroup] + prefix
        self.process = subprocess.Popen([*prefix, sys.executable, os.path.join(HERE, "rate_load.py"), str(uid), *works],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        at_end(end, self.process)
        self.reader = Reader(self.process.stdout.fileno())
        self.pid = int(self.reader.line("the pid of a load"))

    def play(self):
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()
        line = self.reader.line("the counts of a load")
        check(line, "a load failed")
        self.__dict__.update(json.loads(line))

    def done(self):
        self.process.stdin.close()
        equal(await_exit(self.process), 0, "exit status of a load")


def check_row(row, *loads):
    """It has what the loads counted."""
    want, errors, connect_errors = Counter(), Counter(), Counter()
    for load in loads:
        want.update(load.counts)
        errors.update(load.errors)
        connect_errors.update(load.connect_errors)
    want["claims"] = want["kernel"] + want["requested"]
    for number in NUMBERS:
        equal(row["since_start"][number], want[number], f"{number} of {row['name']}")
        equal(row["interval"][number], want[number], f"{number} of {row['name']} in the interval")
    equal(errors_of(row), dict(errors), f"failures of {row['name']}")
    equal(errors_of(row, "connection"), dict(connect_errors), f"failed connections of {row['name']}")
    equal(row["held"]["open"], want["claims"] - want["released"], f"open of {row['name']}")


def cgroup_make(name):
    """(folder, path)"""
    for mount in CGROUPS:
        if os.path.exists(os.path.join(mount, "cgroup.procs")):
            path = os.path.join(mount, name)
            os.mkdir(path)
            # What was in it may take a moment to leave.
            at_end(await_true, "that a cgroup is empty", lambda: not _remove(path))
            return path
    raise Skip("no cgroup v2 is mounted")


def _remove(path):
    try:
        os.rmdir(path)
    except OSError:
        return True
    return False


def netns_inode(name):
    return os.stat(f"/run/netns/{name}").st_ino


def sysctl(netns, name, value):
    subprocess.run(["ip", "netns", "exec", netns, "sh", "-c", f'echo "{value}" >/proc/sys/net/ipv4/{name}'],
                   check=True, timeout=PATIENCE)


# ---- the counts are right ----


@test("rate: by process, of as many claims as there can be")
def storm():
    program = situations.factory_build("storm", sources="storm*.c")
    if not program:
        raise Skip("the storm could not be built")
    tools = rates("process")
    done = subprocess.run([program, "40000", "3"], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE,
                          check=True)
    (record,) = totals(tools)
    own = [json.loads(line) for line in done.stdout.splitlines()]
    equal(len(own), 3, "processes")
    for line in own:
        row = row_of(record, "process.pid", line["pid"])
        have = row["since_start"]
        # Each listens on a port that it bound to before.
        equal((row["process"]["name"], have["kernel"], have["requested"], have["failures"]),
              ("storm", line["bind_kernel"] + line["connect"], line["bind_requested"], line["bind_in_use"]),
              f"counts of process {line['pid']}, who made {line}")
        equal(errors_of(row), {"EADDRINUSE": line["bind_in_use"]} if line["bind_in_use"] else {}, "failures")
        equal((have["released"], row["held"]["open"]), (have["claims"], 0), "given back")


@test("rate: by every dimension, what one load made")
def dimensions():
    mark = f"portsnoop-rate-{os.getpid()}"
    unit, scope = cgroup_make(f"{mark}.service"), cgroup_make(f"docker-{CONTAINER}.scope")
    netns, small = netns_make(), netns_make()
    sysctl(netns, "ip_local_reserved_ports", "45678")
    sysctl(small, "ip_local_port_range", "40000 40003")
    load = Load("binds:25:127.77.0.1", "requested:10", "reserved:4", "in_use:3", "not_ours:2", "connects:8:127.77.0.2",
                "kept_connects:5:127.77.0.3", "refused:6:127.77.0.4", "sends:7", uid=USER, cgroup=unit, netns=netns)
    # Four ports: of TCP toward one destination, of TCP without one, and of UDP.
    exhausted = Load("kept_connects:7:127.77.0.5", "kept_binds:3", "sends:6", "datagram_binds:2",
                     cgroup=scope, netns=small)
    tools = rates(*DIMENSIONS)
    load.play()
    exhausted.play()
    records = dict(zip(DIMENSIONS, totals(tools)))
    for one in (load, exhausted):
        check_row(row_of(records["process"], "process.pid", one.pid), one)
    equal(set(exhausted.errors), {"EADDRNOTAVAIL", "EADDRINUSE", "EAGAIN"}, "what failed for want of a port")
    row = row_of(records["process"], "process.pid", load.pid)
    equal((row["process"]["user"]["id"], row["unit"], os.path.realpath(row["process"]["executable"])),
          (str(USER), f"{mark}.service", os.path.realpath(sys.executable)), "the process")
    check_row(row_of(records["unit"], "unit", f"{mark}.service"), load)
    check_row(row_of(records["unit"], "unit", f"docker-{CONTAINER}.scope"), exhausted)
    check_row(row_of(records["container"], "container.id", CONTAINER), exhausted)
    equal(get(row_of(records["container"], "container.id", CONTAINER), "container.runtime"), "docker", "runtime")
    check_row(row_of(records["user"], "user.id", str(USER)), load)
    check_row(row_of(records["netns"], "netns", netns_inode(netns)), load)
    check_row(row_of(records["netns"], "netns_name", small), exhausted)
    check_destinations(records["destination"], load, exhausted, netns_inode(netns))
    reserved = [row for row in records["port-class"]["portsnoop"]["rows"] if get(row, "class.reserved")]
    equal([(row["class"], row["origin"], row["since_start"]["claims"]) for row in reserved],
          [({"iana": "user", "in_pool": False, "reserved": True}, "requested", 4)], "reserved ports")


def check_destinations(record, load, exhausted, netns):
    want = Counter(load.destinations) + Counter(exhausted.destinations)
    failures = Counter(exhausted.destination_failures)
    rows = {f"{row['destination']['ip']}:{row['destination']['port']}": row for row in record["portsnoop"]["rows"]
            if row["destination"] and row["destination"]["ip"].startswith("127.77.")}
    equal({name: row["since_start"]["kernel"] for name, row in rows.items()}, dict(want), "claims by destination")
    equal({name: row["since_start"]["failures"] for name, row in rows.items() if row["since_start"]["failures"]},
          dict(failures), "failures by destination")
    check(failures, "there were none")
    for name, row in rows.items():
        equal((row["network"]["transport"], row["network"]["type"]), ("tcp", "ipv4"), f"network of {name}")
        if name in load.destinations:
            equal(row["netns"], netns, f"netns of {name}")
        else:
            equal(row["pool"], [40000, 40003], f"pool of {name}")
        # From the address that they are on: a loopback destination is reached from itself.
        equal(row["source"]["ip"], "127.0.0.1", f"source of {name}")


@test("rate: processes of one name are one row, by comm")
def by_comm():
    (tool,) = rates("comm")
    claimers = [Claimer() for _ in range(4)]
    for count, claimer in enumerate(claimers, 1):
        claimer.ask("rename", f"portsnoop-by-{min(count, 3)}")
        claimer.ask("storm", "udp4", "127.0.0.1", 0, 10 ** (count - 1))
    (record,) = totals([tool])
    equal([row_of(record, "process.name", f"portsnoop-by-{number}")["since_start"]["kernel"] for number in (1, 2, 3)],
          [1, 10, 1100], "claims by name")


@test("rate: a row finds room in an empty tally although nothing else gets a CPU")
def starved():
    count = 12000
    if subprocess.run(["chrt", "-f", "50", "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        raise Skip("no process can be of real-time priority here")
    (tool,) = rates("user")
    # The kernel's own workers, who would make memory ready, do not run in between.
    subprocess.run(["chrt", "-f", "50", sys.executable, os.path.join(HERE, "rate_load.py"), "0", f"users:{count}"],
                   input=b"go\n", stdout=subprocess.DEVNULL, timeout=PATIENCE, check=True)
    (record,) = totals([tool])
    mine = [row for row in record["portsnoop"]["rows"] if 0 <= int(row["user"]["id"]) - FIRST_USER < count]
    equal(sum(row["since_start"]["kernel"] for row in mine), count, "claims of so many users")


@test("rate: each failure has its errno, however busy it is at the end")
def busy_end():
    tools = rates("process")
    loads = [Load("in_use_on:1") for _ in range(2 * os.cpu_count())]
    for load in loads:
        load.process.stdin.write(b"go\n")
        load.process.stdin.flush()
        load.reader.line("that a load goes on")
    (record,) = totals(tools)
    for load in loads:
        load.process.kill()
        row = row_of(record, "process.pid", load.pid)
        check(row["since_start"]["failures"] > 0, "none failed:", row)
        equal(errors_of(row), {"EADDRINUSE": row["since_start"]["failures"]}, "failures by errno")


# ---- real programs, seen by strace as well ----

NGINX = """daemon off; worker_processes 2; pid {room}/pid; error_log {room}/log;
events {{ }}
http {{ access_log off; client_body_temp_path {room}/1; proxy_temp_path {room}/2; fastcgi_temp_path {room}/3;
uwsgi_temp_path {room}/4; scgi_temp_path {room}/5;
server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{behind}; }} }}
server {{ listen 127.0.0.1:{behind}; location / {{ return 200 "here"; }} }} }}
"""


def straced(folder, name, cgroup, *command):
    return ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', cgroup, "strace", *strace_oracle.OPTIONS,
            "-o", os.path.join(folder, name), *command]


@test("rate: nginx, curl and iperf3, by unit and process, as strace sees them")
def real_programs():
    for needed in ("strace", "nginx", "curl", "iperf3"):
        if not shutil.which(needed):
            raise Skip(f"there is no {needed}")
    folder, port, behind, iperf = room(), free_port(), free_port(), free_port()
    units = {name: cgroup_make(f"{name}-{os.getpid()}.service") for name in ("nginx", "curl", "iperf")}
    with open(os.path.join(folder, "conf"), "w", encoding="utf-8") as conf:
        conf.write(NGINX.format(room=folder, port=port, behind=behind))
    tools = rates("unit", "process")
    server = subprocess.Popen(straced(folder, "nginx", units["nginx"], "nginx", "-c", os.path.join(folder, "conf")),
                              stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    at_end(end, server)
    get_page = ["sh", "-c", f"for i in 1 2 3 4 5; do curl -s http://127.0.0.1:{port}/; done"]
    await_true("that nginx answers", lambda: subprocess.run(
        ["curl", "-s", f"http://127.0.0.1:{port}/"], stdout=subprocess.DEVNULL, check=False).returncode == 0)
    page = subprocess.run(straced(folder, "curl", units["curl"], *get_page), capture_output=True, timeout=PATIENCE,
                          check=True).stdout
    equal(page, b"here" * 5, "pages")
    other = subprocess.Popen(["iperf3", "-s", "-1", "-B", "127.0.0.1", "-p", str(iperf)], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL)
    at_end(end, other)
    await_true("that iperf3 listens", lambda: run("who", str(iperf)).status == 0)
    subprocess.run(straced(folder, "iperf", units["iperf"], "iperf3", "-c", "127.0.0.1", "-p", str(iperf), "-n", "1M",
                           "-P", "4"), stdout=subprocess.DEVNULL, timeout=PATIENCE, check=True)
    subprocess.run(["nginx", "-c", os.path.join(folder, "conf"), "-s", "quit"], check=True, timeout=PATIENCE,
                   stderr=subprocess.DEVNULL)
    await_exit(server)
    by_unit, by_process = totals(tools)
    for name, cgroup in units.items():
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as text:
            lines = [line for line in strace_oracle.claims(name, text.read()) if line.get("claimed")]
        check(lines, "no claim of", name)
        check_strace(row_of(by_unit, "unit", os.path.basename(cgroup)), lines)
        for pid in {line["pid"] for line in lines}:
            check_strace(row_of(by_process, "process.pid", pid), [line for line in lines if line["pid"] == pid])


def check_strace(row, lines):
    good = [line for line in lines if not line["error"]]
    for origin in ("kernel", "requested"):
        equal(row["since_start"][origin], sum(line["origin"] == origin for line in good), f"{origin} of {row['name']}")
    equal(errors_of(row), dict(Counter(line["error"] for line in lines if line["error"])), f"failures of {row['name']}")


# ---- intervals ----


@test("rate: intervals add up to the whole, and follow each other")
def intervals():
    tool = Tool("rate", "-o", "json", "--interval", "200ms", "--top", ALL)
    load = Load("binds:300", "connects:20", "in_use:9")
    lines = [tool.started()]
    load.play()

    def all_there(line):
        rows = [row for row in json.loads(line)["portsnoop"]["rows"] if get(row, "process.pid") == load.pid]
        return rows and rows[0]["since_start"]["released"] == load.counts["released"]

    lines += tool.reader.until(all_there, "a record with the whole load")
    load.done()
    lines += tool.stop()
    records = parse_events(lines)
    sums = Counter()
    for record, later in zip(records, records[1:] + [None]):
        check_record(record)
        equal(get(record, "portsnoop.final"), later is None, "whether it is the last one")
        for row in record["portsnoop"]["rows"]:
            if get(row, "process.pid") == load.pid:
                sums.update({number: row["interval"][number] for number in NUMBERS})
        if later:
            equal(get(later, "event.start")[:23], get(record, "event.end")[:23], "beginning and end, to the ms")
    for number in ("kernel", "requested", "failures", "time_waits"):
        equal(sums[number], load.counts.get(number, 0), f"{number}, summed over {len(records)} intervals")


@test("rate: a line an interval where there is no terminal; --duration ends it")
def lines_of_text():
    tool = Tool("rate", "--interval", "100ms", "--duration", "350ms")
    lines = tool.reader.rest()
    equal((tool.status(), tool.words()), (0, ""), "exit status and words")
    check(len(lines) >= 2, "only", lines)
    for line in lines:
        words = line.decode()
        check(" kernel " in words and " requested " in words and "\x1b" not in words, "line", words)


@test("rate: Ctrl-C ends --once early, with all there is")
def once_table():
    tool = Tool("rate", "--once", "--duration", "1h")
    await_true("that it counts", lambda: "counting for 1h" in tool.words())
    claimer = Claimer()
    claimer.ask("rename", "\x1b[2Jrate\n")
    claimer.ask("storm", "tcp4", "127.0.0.1", 0, 12)
    lines = [line.decode() for line in tool.stop()]
    (own,) = [line for line in lines if f"[{claimer.pid}]" in line]
    check(own.startswith(f"\\x1b[2Jrate\\x0a[{claimer.pid}]") and " 12 " in own, "its row:", own)
    check(any(line.startswith("total ") for line in lines), "no total in", lines)


@test("rate: a reader that goes ends it")
def reader_gone():
    for words in (), ("-o", "json"):
        tool = Tool("rate", "--interval", "50ms", *words)
        tool.started()
        tool.process.stdout.close()
        equal((tool.status(), tool.words()), (0, ""), "exit status and words")


@test("rate: bad options, and what would be accepted")
def bad_options():
    for words, said in ((("--by", "port"), "expected process, comm, unit, container"),
                        (("--interval", "1ms"), "expected a time from 50ms"),
                        (("--interval", "x"), "expected a duration"),
                        (("--top", "0"), "expected a whole number from 1"),
                        (("--output", "csv"), "expected table or json"),
                        (("--once", "--interval", "1s"), "--duration"),
                        (("--tier", "best"), "expected auto, fentry"),
                        (("all",), "takes no operands")):
        result = run("rate", *words)
        equal((result.status, result.out), (2, b""), f"exit status and output of {words}")
        check(said in result.words() and words[0].lstrip("-") in result.words(), words, "says", result.words())


# ---- terminals ----


class Live(LiveScreen):
    command = "rate"


@test("rate: a terminal is redrawn in place, resized, and left as it was")
def redrawn():
    load = Load("binds:40", "in_use:5")
    live = Live(24, 130, "--interval", "100ms", "--by", "process")
    before = terminal_size(live.theirs)[1]
    live.until("the first table", lambda text: text[0].count("claims by process") == 1)
    load.play()
    text = live.until("the load", lambda text: any(f"[{load.pid}]" in line for line in text))
    (heading,) = [line for line in text if line.startswith("PROCESS ")]
    live.until("all of it", lambda text: any(f"[{load.pid}]" in line and " 41 " in line for line in text))
    check("TOTAL" in heading and "HISTORY" in heading and "FAILED" in heading, "heading", heading)
    equal(sum(line.startswith("PROCESS ") for line in live.screen.text()), 1, "headings on the screen")
    live.screen.resize(10, 70)
    terminal_size(live.theirs, 10, 70)
    text = live.until("the smaller table", lambda text: any("no room for the columns" in line for line in text))
    check(all(len(line) <= 70 for line in text) and len(text) <= 10, "the table:", text)
    live.screen.resize(30, 160)
    terminal_size(live.theirs, 30, 160)
    live.until("the larger table", lambda text: any(line.startswith("PROCESS ") and len(line) > 100 for line in text)
               and not any("no room for the columns" in line for line in text))
    os.write(live.ours, b"\x03")
    equal(live.tool.status(), 0, f"exit status, it said {live.tool.words()!r}")
    live.screen.feed(live.bytes())
    text = live.screen.text()
    equal(sum(line.startswith("total ") for line in text), 1, f"totals on the screen: {text}")
    check(not any("^C" in line for line in text), "the key is left in", text)
    equal(live.screen.column, 0, "column of the cursor")
    equal(live.screen.row, len(text), "row of the cursor: below the table")
    equal(live.screen.sgr, b"", "color that is left on")
    equal(terminal_size(live.theirs)[1], before, "modes of the terminal")


@test("rate: what has no room on the screen is counted there")
def small_screen():
    claimers = [Claimer() for _ in range(6)]
    live = Live(9, 100, "--interval", "100ms", env={"NO_COLOR": "1"})
    live.until("the first table", lambda text: text[0].count("claims by process") == 1)
    for claimer in claimers:
        claimer.ask("storm", "udp4", "127.0.0.1", 0, 5)
    text = live.until("the others", lambda text: any(" more)" in line for line in text) and len(text) <= 8)
    rows = [line for line in text if "]" in line.split(" ")[0]]
    (more,) = [line for line in text if " more)" in line]
    check(len(rows) + int(more[1:].split()[0]) >= 6, "rows", rows, more)
    check(not live.screen.colors, "a color in spite of NO_COLOR")
    os.kill(live.pid(), signal.SIGKILL)
    await_exit(live.tool.process)
    live.screen.feed(live.bytes())
    equal(live.screen.sgr, b"", "color that is left on by one that was killed")


@test("rate: a terminal that cannot move its cursor has lines")
def dumb():
    live = Live(24, 200, "--interval", "100ms", "--duration", "250ms", env={"TERM": "dumb"})
    equal(live.tool.status(), 0, "exit status")
    text = live.reader.available()
    check(len(text) >= 2 and all(b" kernel " in line and b"\x1b" not in line for line in text), "lines", text)


if __name__ == "__main__":
    sys.exit(suite_run("rate"))
