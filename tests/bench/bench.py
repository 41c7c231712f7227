# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the parts of `make bench` share: programs, a portsnoop that watches, tables."""

import json
import os
import re
import select
import signal
import statistics
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
PATIENCE = 120
MIB = 1 << 20


class Broken(Exception):
    """It could not be measured."""


def portsnoop():
    return os.path.abspath(os.environ.get("PORTSNOOP", os.path.join(TREE, "build", "portsnoop")))


def build(source, *flags):
    """The path of a program, made if need be."""
    source = os.path.join(TREE, source)
    path = os.path.join(TREE, "build", "bench", os.path.basename(source).removesuffix(".c"))
    if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(source):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        made = subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-O2", "-o", path, source, *flags],
                              capture_output=True, text=True, check=False)
        if made.returncode:
            raise Broken(f"{source}: {made.stderr.strip()}")
    return path


class Sockets:
    """tests/bench/sockets.c while it holds: `told` is its line."""

    def __init__(self, sockets, processes):
        self.process = subprocess.Popen([build("tests/bench/sockets.c"), str(sockets), str(processes)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = self.process.stdout.readline()
        if not line:
            raise Broken(f"sockets ended with status {self.process.wait()}")
        self.told = json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(PATIENCE)


class Watcher:
    """`portsnoop trace -o json`, whose output is read and thrown away."""

    def __init__(self, *arguments):
        self.began = time.monotonic()
        self.process = subprocess.Popen([portsnoop(), "trace", "-o", "json", *arguments],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.started = None
        self.bytes = 0
        if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
            self.__exit__()
            raise Broken("portsnoop wrote nothing")
        first = os.read(self.process.stdout.fileno(), 65536)
        self.started = time.monotonic() - self.began
        if b'"stream-start"' not in first:
            self.__exit__()
            raise Broken(f"portsnoop: {self.process.stderr.read().decode().strip()}")
        self.tier = re.search(rb'"tier":"(\w+)"', first)[1].decode()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while True:
            more = len(os.read(self.process.stdout.fileno(), 1 << 20))
            if not more:
                return
            self.bytes += more

    def await_quiet(self, seconds=1.0):
        """Until nothing came for so long."""
        while True:
            before = self.bytes
            time.sleep(seconds)
            if self.bytes == before:
                return

    def memory(self):
        """Bytes: {"rss", "ring" (of the RSS: mapped BPF maps), "maps"}"""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            rss = int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) * 1024
        return {"rss": rss, "ring": self._mapped(), "maps": self._maps()}

    def _mapped(self):
        mapped, counts = 0, False
        with open(f"/proc/{self.process.pid}/smaps", encoding="utf-8", errors="replace") as smaps:
            for line in smaps:
                if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                    counts = "anon_inode:bpf-map" in line
                elif counts and line.startswith("Rss:"):
                    mapped += int(line.split()[1]) * 1024
        return mapped

    def _maps(self):
        maps = {}
        for fd in os.listdir(f"/proc/{self.process.pid}/fdinfo"):
            with open(f"/proc/{self.process.pid}/fdinfo/{fd}", encoding="utf-8") as info:
                text = info.read()
            found = re.search(r"^map_id:\s*(\d+)", text, re.M)
            if found:
                maps[found[1]] = int(re.search(r"^memlock:\s*(\d+)", text, re.M)[1])
        return sum(maps.values())

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as stat:
            words = stat.read().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def switches(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return sum(map(int, re.findall(r"ctxt_switches:\s+(\d+)", status.read())))

    def stop(self):
        """What it says at its end."""
        self.process.send_signal(signal.SIGINT)
        self.reader.join(PATIENCE)
        words = self.process.stderr.read().decode().strip()
        self.process.wait(PATIENCE)
        return words

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def spread(values):
    """(least, median)"""
    return min(values), statistics.median(values)


def verdict(value, must, aim, better=max):
    """Against a budget: how far it gets."""
    if better(value, aim) == value:
        return "aim met"
    return "met" if better(value, must) == value else "MISSED"


def mib(value):
    return f"{value / MIB:.1f}"


def title(words):
    cpus = os.cpu_count()
    print(f"\n## {words}\n\nLinux {os.uname().release} {os.uname().machine}, {cpus} CPUs, "
          f"{time.strftime('%Y-%m-%d')}.\n")


def table(heading, rows):
    for row in (heading, ["---"] * len(heading), *rows):
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    sys.stdout.flush()


def main(part):
    def end(number, _frame):
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)
    try:
        part()
    except (Broken, OSError, subprocess.SubprocessError) as error:
        print(f"bench: not measured: {error}", file=sys.stderr)
        return 1
    return 0
