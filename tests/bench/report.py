#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""How long `portsnoop report` takes over a million leases, and a browser over the page.

usage: report.py [--rounds N] [--leases N]
Environment: PORTSNOOP.
"""

import argparse
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile

import bench
import history

DESTINATIONS = 100_000
# Seconds and bytes: what the page must stay below, and what it aims at.
MUST, AIM = 30, 5
MOST = 1_000_000
LOAD = 1000  # ms

FRAME = """<!DOCTYPE html><body><script>
var begun = performance.now(), frame = document.createElement("iframe");
frame.width = 1280; frame.height = 900; frame.src = "page.html";
frame.onload = function () {
  frame.contentDocument.body.getBoundingClientRect();
  var loaded = performance.now() - begun;
  document.body.textContent = "loaded " + loaded.toFixed(0);
};
document.body.appendChild(frame);
</script></body>"""


def filled(leases):
    """The database of history.py, with many destinations and a pool. Its path, begin, end."""
    program = bench.build("tests/bench/history.c", "-I" + os.path.join(bench.TREE, "user"),
                          os.path.join(bench.TREE, "user/store/schema.c"), "-lsqlite3")
    source, begin, end = history.filled(program, "dense", leases)
    path = source.replace("history-dense", "report")
    if os.path.exists(path) and os.path.getmtime(path) >= os.path.getmtime(source):
        return path, begin, end
    shutil.copyfile(source, path)
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM address")
        database.executemany("INSERT INTO address (id, ip) VALUES (?, ?)",
                             ((i, f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}") for i in range(1, DESTINATIONS + 1)))
        database.execute(f"UPDATE lease SET remote = 1 + id * 7919 % {DESTINATIONS}")
        database.execute("UPDATE kind SET pool_low = 32768, pool_high = 60999")
    return path, begin, end


def load(page):
    """ms until Chromium has loaded and laid it out, best of three"""
    times = []
    with tempfile.TemporaryDirectory() as folder:
        shutil.copyfile(page, os.path.join(folder, "page.html"))
        with open(os.path.join(folder, "frame.html"), "w", encoding="utf-8") as frame:
            frame.write(FRAME)
        for _ in range(3):
            done = subprocess.run(
                ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                 "--allow-file-access-from-files", f"--user-data-dir={folder}/chromium", "--dump-dom",
                 f"file://{folder}/frame.html"],
                capture_output=True, text=True, timeout=bench.PATIENCE, check=False)
            told = re.search(r"loaded (\d+)", done.stdout)
            if not told:
                raise bench.Broken(f"chromium: {done.stderr.strip()[-300:]}")
            times.append(int(told[1]))
    return min(times)


def measure(stopwatch, path, since, rounds):
    page = path + ".html"
    times = []
    for _ in range(rounds):
        done = subprocess.run([stopwatch, bench.portsnoop(), "report", "--db", path, "--since", f"@{since}",
                               "-o", page], capture_output=True, text=True, timeout=10 * bench.PATIENCE, check=True)
        time, resident, cpu, status = map(int, done.stdout.split())
        if status > 1:
            raise bench.Broken(f"report: status {status}: {done.stderr.strip()[-300:]}")
        times.append((time / 1e9, resident / 1024, cpu / 1e6))
    return page, min(times)


def report():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--leases", type=int, default=1_000_000)
    options = parser.parse_args()
    stopwatch = bench.build("tests/bench/stopwatch.c")
    bench.title(f"the report: {options.leases:,} leases, {DESTINATIONS:,} destinations")
    path, begin, end = filled(options.leases)
    table = []
    for words, since in (("all of it", begin - 4 * 86400), ("the last day of ten", end - 86400)):
        page, (seconds, mib, cpu) = measure(stopwatch, path, since, options.rounds)
        size = os.path.getsize(page)
        shown = f"{load(page)}" if shutil.which("chromium") else "no chromium"
        table.append((words, f"{seconds:.2f}", f"{cpu:.2f}", f"{mib:.0f}", f"{size / 1000:.0f}", shown,
                      bench.verdict(seconds, MUST, AIM, min)))
    bench.table(("period", "s", "CPU s", "MiB", "kB of HTML", "ms to load",
                 f"must {MUST} s, aim {AIM} s; kB below {MOST // 1000}, ms below {LOAD}"), table)


if __name__ == "__main__":
    sys.exit(bench.main(report))
