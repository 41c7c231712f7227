#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""How long portsnoop takes until it watches, and what it does when nothing happens.

usage: start.py [--rounds N] [--seconds N]
Environment: PORTSNOOP.
"""

import argparse
import sys
import time

import bench

MUST, AIM = 300, 150  # ms


def start():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=5, help="of idling")
    options = parser.parse_args()
    bench.title("start and idling of `portsnoop trace -o json`")
    taken = []
    for _ in range(options.rounds):
        with bench.Watcher() as watcher:
            taken.append(watcher.started * 1000)
            watcher.stop()
    with bench.Watcher() as watcher:
        watcher.await_quiet()
        before = watcher.cpu_seconds(), watcher.switches(), watcher.bytes
        time.sleep(options.seconds)
        cpu, switches, written = (now - then for now, then in zip(
            (watcher.cpu_seconds(), watcher.switches(), watcher.bytes), before))
        tier = watcher.tier
        watcher.stop()
    least, median = bench.spread(taken)
    bench.table(["from exec to stream-start", "least ms", "median ms", "budget"],
                [[f"{options.rounds} rounds, {tier} tier", f"{least:.0f}", f"{median:.0f}",
                  f"{MUST}, aim {AIM}: {bench.verdict(median, MUST, AIM, better=min)}"]])
    print(f"\nIn {options.seconds:g} s of idling: {cpu * 1000:.0f} ms of CPU, {switches} context switches, "
          f"{written} bytes written (other programs may have claimed ports).")


if __name__ == "__main__":
    sys.exit(bench.main(start))
