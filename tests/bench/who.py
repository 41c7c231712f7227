#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Who has a port, among 50,000 sockets of 200 processes: portsnoop and its peers, in turn.

usage: who.py [--rounds N] [--sockets N] [--processes N]
Environment: PORTSNOOP.
"""

import argparse
import shutil
import subprocess
import sys

import bench

WHO = "who"
# name, command, must, aim: how many times faster `who` has to be
PEERS = (
    ("ss -tulnp", ["ss", "-tulnp"], 10, 20),
    ("ss -tlnp sport = :PORT", ["ss", "-tlnp", "sport", "=", ":PORT"], None, None),
    ("lsof -nP -i :PORT", ["lsof", "-nP", "-i", ":PORT"], 30, 60),
    ("netstat -tulpn", ["netstat", "-tulpn"], None, None),
)
PACKAGES = {"ss": "iproute2", "lsof": "lsof", "netstat": "net-tools"}


def command_of(words, port):
    return [word.replace("PORT", str(port)) for word in words]


def finds(command, pid):
    """Whether it tells who it is: a tool that fails is fast as well."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          timeout=bench.PATIENCE)
    return str(pid) in done.stdout, done


def measure(stopwatch, command):
    """(ms, KiB resident, ms of CPU)"""
    done = subprocess.run([stopwatch, *command], capture_output=True, text=True, timeout=bench.PATIENCE, check=True)
    time, resident, cpu, status = map(int, done.stdout.split())
    if status:
        raise bench.Broken(f"{' '.join(command)}: status {status}: {done.stderr.strip()[-200:]}")
    return time / 1e6, resident, cpu / 1e3


def who():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sockets", type=int, default=50000)
    parser.add_argument("--processes", type=int, default=200)
    options = parser.parse_args()
    stopwatch = bench.build("tests/bench/stopwatch.c")
    with bench.Sockets(options.sockets, options.processes) as sockets:
        told = sockets.told
        bench.title(f"who has a port: {told['sockets']} sockets in {told['processes']} processes")
        runs = {WHO: [bench.portsnoop(), "who", str(told["port"])]}
        missing = [words[0] for _, words, _, _ in PEERS if not shutil.which(words[0])]
        runs.update((name, command_of(words, told["port"])) for name, words, _, _ in PEERS
                    if words[0] not in missing)
        for name in sorted(set(missing)):
            print(f"Not installed: {name} (package {PACKAGES[name]}).\n")
        found = {}
        for name, command in runs.items():
            found[name], done = finds(command, told["pid"])
            if name == WHO and not found[name]:
                raise bench.Broken(f"portsnoop who: status {done.returncode}: {done.stderr.strip()[-300:]}")
        taken = {name: [] for name in runs}
        for _ in range(options.rounds):  # in turn, so that a slow moment is everybody's
            for name, command in runs.items():
                taken[name].append(measure(stopwatch, command))
    show(taken, found, options.rounds)


def show(taken, found, rounds):
    budgets = {name: (must, aim) for name, _, must, aim in PEERS}
    own = bench.spread([one[0] for one in taken[WHO]])
    rows = []
    for name, values in taken.items():
        least, median = bench.spread([one[0] for one in values])
        must, aim = budgets.get(name, (None, None))
        ratio, budget = median / own[1], ""
        ratios = f"{ratio:.1f} x ({least / own[0]:.1f} x)"
        if must:
            budget = f"{must} x, aim {aim} x: {bench.verdict(ratio, must, aim)}"
        rows.append(["`portsnoop who PORT`" if name == WHO else f"`{name}`", "yes" if found[name] else "no",
                     f"{least:.1f}", f"{median:.1f}", "1" if name == WHO else ratios, budget,
                     f"{bench.spread([one[2] for one in values])[1]:.0f}",
                     bench.mib(max(one[1] for one in values) * 1024)])
    bench.table(["command", "finds it", "least ms", "median ms", "median of who's (least)", "budget", "CPU ms",
                 "RSS MiB"], rows)
    print(f"\n{rounds} rounds, the commands in turn, output to /dev/null.")


if __name__ == "__main__":
    sys.exit(bench.main(who))
