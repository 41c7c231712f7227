#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a claim costs when nothing is attached, when it is counted, and when it is traced.

usage: tally.py [--rounds N] [--claims N]
Environment: PORTSNOOP, TALLY_READER, TIER.
"""

import argparse
import collections
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys

import bench


@contextlib.contextmanager
def nothing():
    yield "none"


@contextlib.contextmanager
def tally():
    """The maps and hooks of `rate`, and nobody who reads meanwhile."""
    program = os.environ.get("TALLY_READER", os.path.join(bench.TREE, "build", "live", "tally_reader"))
    tier = [os.environ["TIER"]] if os.environ.get("TIER") else []
    with subprocess.Popen([program, *tier], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        line = process.stdout.readline()
        if not line:
            raise bench.Broken("tally_reader said nothing")
        yield json.loads(line)["tier"]
        process.stdin.close()


RENDERING = []  # s of CPU, of each round


@contextlib.contextmanager
def trace():
    """All that is rendered is read and thrown away."""
    with bench.Watcher(*(["--tier", os.environ["TIER"]] if os.environ.get("TIER") else [])) as watcher:
        before = watcher.cpu_seconds()
        yield watcher.tier
        watcher.await_quiet(0.2)
        RENDERING.append(watcher.cpu_seconds() - before)
        words = watcher.stop()
        lost = re.search(r"(\d+) lost", words)
        if not lost or lost[1] != "0":
            raise bench.Broken(f"portsnoop trace: {words}")


WAYS = (("nothing attached", nothing), ("tally", tally), ("trace -o json", trace))


def measure():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--claims", type=int, default=5000, help="of each kind in each round")
    options = parser.parse_args()
    claims = bench.build("tests/bench/claims.c")
    taken = collections.defaultdict(lambda: collections.defaultdict(list))
    tiers = set()
    for number in range(options.rounds):
        for turn in range(len(WAYS)):  # each is the first one as often as the others
            name, way = WAYS[(number + turn) % len(WAYS)]
            with way() as tier:
                tiers.add(tier)
                told = subprocess.run([claims, str(options.claims)], capture_output=True, text=True, check=True,
                                      timeout=bench.PATIENCE).stdout
            for line in told.splitlines():
                kind, ns = line.split("\t")
                taken[kind][name].append(float(ns))
    bench.title("ns of CPU a claim, from socket() to close(): the fastest 100 of "
                f"{options.claims}, medians of {options.rounds} rounds, {', '.join(sorted(tiers - {'none'}))} tier")
    rows = []
    for kind, by_way in taken.items():
        bare, counted, traced = (statistics.median(by_way[name]) for name, _ in WAYS)
        rows.append([kind, f"{bare:.0f}", f"{counted:.0f}", f"{traced:.0f}", f"+{counted - bare:.0f}",
                     f"+{traced - bare:.0f}", f"{(counted - bare) / (traced - bare):.2f}"])
    bench.table(["a claim", *(name for name, _ in WAYS), "added by the tally", "added by the trace", "of it"], rows)
    besides = statistics.median(RENDERING) / (options.claims * len(rows)) * 1e9
    print(f"\nBesides, portsnoop itself takes {besides:.0f} ns of CPU a claim to render the trace, and none to count.")


if __name__ == "__main__":
    sys.exit(bench.main(measure))
