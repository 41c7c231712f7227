#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a portsnoop that watches takes: idle, and with 100,000 leases.

usage: memory.py [--leases N]
Environment: PORTSNOOP.
"""

import argparse
import sys

import bench

# MiB: must, aim
IDLE, FULL = (24, 16), (96, 64)
CLAIMS_OF_EIGHT = 7  # of eight sockets of tests/bench/sockets.c


def row(name, memory, budget):
    once = memory["rss"] - memory["ring"] + memory["maps"]
    judged = ""
    if budget:
        judged = f"{budget[0]}, aim {budget[1]}: {bench.verdict(once / bench.MIB, *budget, better=min)}"
    return [name, bench.mib(memory["rss"]), bench.mib(memory["ring"]), bench.mib(memory["maps"]), bench.mib(once),
            judged]


def memory():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--leases", type=int, default=100000)
    options = parser.parse_args()
    bench.title("memory of `portsnoop trace -o json`")
    with bench.Watcher() as watcher:
        watcher.await_quiet()
        rows = [row("idle", watcher.memory(), IDLE)]
        with bench.Sockets(-(-options.leases * 8 // CLAIMS_OF_EIGHT), 200) as sockets:
            watcher.await_quiet()
            rows.append(row(f"{sockets.told['claims']} leases", watcher.memory(), FULL))
        watcher.await_quiet()
        rows.append(row("these given back", watcher.memory(), None))
        words, tier = watcher.stop(), watcher.tier
    bench.table(["MiB", "RSS", "of it BPF maps", "BPF maps", "sum, each page once", "budget"], rows)
    print("\nRSS has the ring's pages twice, as they are mapped twice; they are the map's, so the sum has them "
          f"once. Maps by the kernel's own account (memlock in fdinfo). Tier: {tier}. {words}")


if __name__ == "__main__":
    sys.exit(bench.main(memory))
