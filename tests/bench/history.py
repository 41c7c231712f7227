#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""How long `portsnoop history` takes in ten million leases.

usage: history.py [--rounds N] [--leases N]
Environment: PORTSNOOP.
"""

import argparse
import json
import os
import subprocess
import sys

import bench

PORT = "60002"
MUST, AIM = 50, 10  # ms, PORT --at T
VARIANTS = {"spread": "all the time", "dense": "in a tenth of the time"}
MOMENTS = (0.001, 0.1, 0.5, 0.55, 0.9, 0.999)  # of the ten days
SECOND = 10**9


def filled(program, variant, leases):
    """(path of a database, when it begins, when it ends: s); made once."""
    path = os.path.join(bench.TREE, "build", "bench", f"history-{variant}-{leases}.db")
    note = path + ".json"
    if not os.path.exists(note) or os.path.getmtime(note) < os.path.getmtime(program):
        done = subprocess.run([program, path, str(leases), variant], capture_output=True, text=True, check=False)
        if done.returncode:
            raise bench.Broken(done.stderr.strip())
        with open(note, "w", encoding="ascii") as file:
            file.write(done.stdout)
    with open(note, encoding="ascii") as file:
        told = json.load(file)
    return path, told["begin"] // SECOND, told["end"] // SECOND


def forget(path):
    """Its pages leave the page cache."""
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def ask(stopwatch, path, arguments, cold=False):
    """(ms, MiB resident, ms of CPU) of the whole process"""
    if cold:
        forget(path)
    done = subprocess.run([stopwatch, bench.portsnoop(), "history", "--db", path, *arguments], capture_output=True,
                          text=True, timeout=bench.PATIENCE, check=True)
    time, resident, cpu, status = map(int, done.stdout.split())
    if status > 1:
        raise bench.Broken(f"history {' '.join(arguments)}: status {status}: {done.stderr.strip()[-300:]}")
    return time / 1e6, resident / 1024, cpu / 1e3


def rows(path, arguments):
    done = subprocess.run([bench.portsnoop(), "history", "--db", path, "-o", "csv", *arguments], capture_output=True,
                          check=False)
    return max(done.stdout.count(b"\n") - 1, 0)


def line(stopwatch, path, arguments, rounds, cold=True):
    ask(stopwatch, path, arguments)
    warm = [ask(stopwatch, path, arguments) for _ in range(rounds)]
    least, median = bench.spread([ms for ms, _, _ in warm])
    chill = bench.spread([ask(stopwatch, path, arguments, True)[0] for _ in range(3)])[1] if cold else None
    return least, median, chill, max(mib for _, mib, _ in warm), bench.spread([cpu for _, _, cpu in warm])[1]


def moments(stopwatch, name, path, begin, end, options):
    print(f"The port {VARIANTS[name]}, {os.path.getsize(path) / bench.MIB:.0f} MiB, `history {PORT} --at T`:\n")
    table = []
    for part in MOMENTS:
        arguments = [PORT, "--at", f"@{int(begin + (end - begin) * part)}"]
        least, median, chill, _, cpu = line(stopwatch, path, arguments, options.rounds)
        table.append((f"{part * 100:g} %", rows(path, arguments), f"{least:.1f}", f"{median:.1f}", f"{cpu:.1f}",
                      f"{chill:.1f}", bench.verdict(median, MUST, AIM, min)))
    bench.table(("T", "rows", "least ms", "median ms", "CPU ms", "cold ms", f"must {MUST}, aim {AIM} (median)"), table)
    print()


def others(stopwatch, path, begin, end):
    print("Other questions, the first database; -o csv:\n")
    middle = f"@{(begin + end) // 2}"
    table = []
    for arguments in (["--at", middle], ["--comm", "program7"], ["--comm", "nobody"],
                      ["--since", f"@{end - 3600}"], ["-n", "20"], [PORT]):
        least, median, _, mib, cpu = line(stopwatch, path, ["-o", "csv", *arguments], 3, False)
        shown = " ".join(arguments).replace(middle, "T").replace(f"@{end - 3600}", "-1h")
        table.append((f"`history {shown}`", rows(path, arguments), f"{least:.0f}", f"{median:.0f}", f"{cpu:.0f}",
                      f"{mib:.0f}"))
    bench.table(("", "rows", "least ms", "median ms", "CPU ms", "MiB"), table)


def history():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--leases", type=int, default=10_000_000)
    options = parser.parse_args()
    stopwatch = bench.build("tests/bench/stopwatch.c")
    program = bench.build("tests/bench/history.c", "-I" + os.path.join(bench.TREE, "user"),
                          os.path.join(bench.TREE, "user/store/schema.c"), "-lsqlite3")
    bench.title(f"the history: {options.leases:,} leases in ten days, a tenth of them on one port")
    files = {name: filled(program, name, options.leases) for name in VARIANTS}
    for name, (path, begin, end) in files.items():
        moments(stopwatch, name, path, begin, end, options)
    others(stopwatch, *files["spread"])


if __name__ == "__main__":
    sys.exit(bench.main(history))
