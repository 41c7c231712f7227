#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Whether a million claims make portsnoop grow.

usage: soak.py [--claims N]
Environment: PORTSNOOP.
"""

import argparse
import subprocess
import sys

import bench

GROWTH = 4  # MiB, from a fifth of the claims to the last one
STEP = 128 << 10  # bytes: less, in a fifth of the claims, is no growth


def soak():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--claims", type=int, default=1000000)
    options = parser.parse_args()
    storm = bench.build("tests/live/storm.c")
    bench.title(f"{options.claims} claims, none of them held")
    rows, made, memory = [], 0, []
    with bench.Watcher() as watcher:
        watcher.await_quiet()
        rows.append(["0", *map(bench.mib, (watcher.memory()["rss"], watcher.memory()["maps"]))])
        for part in range(5):
            subprocess.run([storm, str(options.claims // 5), "4"], stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, timeout=600, check=True)
            watcher.await_quiet()
            made += options.claims // 5
            memory.append(watcher.memory())
            rows.append([made, bench.mib(memory[part]["rss"]), bench.mib(memory[part]["maps"])])
        words = watcher.stop()
    grown = [(memory[-1][key] - memory[0][key]) / bench.MIB for key in ("rss", "maps")]
    # The buffer of one burst that the output could not follow stays; a leak comes in every part.
    leaks = any(all(after[key] - before[key] > STEP for before, after in zip(memory, memory[1:]))
                for key in ("rss", "maps"))
    bench.table(["claims so far", "RSS MiB", "BPF maps MiB"], rows)
    judged = "met" if max(grown) <= GROWTH else "MISSED" if leaks else "more, but not with every fifth"
    print(f"\nFrom {options.claims // 5} claims on: {grown[0]:+.1f} MiB RSS, {grown[1]:+.1f} MiB maps; allowed "
          f"{GROWTH}: {judged}. {words}")


if __name__ == "__main__":
    sys.exit(bench.main(soak))
