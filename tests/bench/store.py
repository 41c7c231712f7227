#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""How fast leases go into the database of the history, and how much room they take there.

usage: store.py [--leases N]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

import bench

# must, aim
RATE, BYTES = (200_000, 300_000), (96, 64)
SOURCES = ["tests/bench/store.c", "user/store", "user/model", "user/ports", "user/lib"]


def program():
    """tests/bench/store.c, with what of user/ it needs."""
    path = os.path.join(bench.TREE, "build", "bench", "store")
    sources = [os.path.join(bench.TREE, SOURCES[0])]
    for folder in SOURCES[1:]:
        folder = os.path.join(bench.TREE, folder)
        sources += sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".c"))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    made = subprocess.run(
        [os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-DPORTSNOOP_VERSION=\"\"",
         "-I" + os.path.join(bench.TREE, "include"), "-I" + os.path.join(bench.TREE, "user"),
         "-ffunction-sections", "-Wl,--gc-sections", "-o", path, *sources, "-lsqlite3"],
        capture_output=True, text=True, check=False)
    if made.returncode:
        raise bench.Broken(f"{SOURCES[0]}: {made.stderr.strip()}")
    return path


def measure(path, folder, leases):
    with tempfile.TemporaryDirectory(dir=folder) as place:
        ran = subprocess.run([path, place, str(leases)], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise bench.Broken(ran.stderr.strip())
    return [json.loads(line) for line in ran.stdout.splitlines()]


def rows(where, told):
    for way in told:
        rate = way["leases"] / way["cpu"]
        room = way["bytes"] / way["leases"]
        yield [way["way"], where, f"{rate:,.0f}", f"{way['leases'] / way['wall']:,.0f}",
               bench.verdict(rate, *RATE, better=max), f"{room:.1f}", bench.verdict(room, *BYTES, better=min)]


def store():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--leases", type=int, default=2_000_000)
    options = parser.parse_args()
    bench.title(f"{options.leases:,} leases into the database of the history")
    path, disk = program(), os.path.join(bench.TREE, "build", "bench")
    table = list(rows("disk", measure(path, disk, options.leases)))
    if shutil.disk_usage("/dev/shm").free > 400 * options.leases:
        table += rows("tmpfs", measure(path, "/dev/shm", options.leases))
    bench.table(["", "on", "leases/s of CPU", "by the clock",
                 f"budget {RATE[0]:,}, aim {RATE[1]:,}", "bytes a lease", f"{BYTES[0]}, aim {BYTES[1]}"], table)
    print("\nOne thread. Of CPU: system time and the last checkpoint included. Bytes: of the whole database, with the "
          "index and all rows of addresses, processes and programs, divided by the leases. A commit each 200,000.")


if __name__ == "__main__":
    sys.exit(bench.main(store))
