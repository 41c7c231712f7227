#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a recorder needs for two hours of a busy machine, as fast as it can take them.

usage: record.py [--claims N] [--seconds S] [--max-size SIZE]
Environment: PORTSNOOP.
"""

import argparse
import os
import re
import sqlite3
import subprocess
import sys
import time

import bench

GROWTH = 4  # MiB, from two fifths on: by then as many processes are known as there is room for


def rss(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) * 1024


def read_so_far(pid):
    """Bytes."""
    with open(f"/proc/{pid}/io", encoding="ascii") as io:
        return int(re.search(r"rchar: (\d+)", io.read())[1])


def soak():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--claims", type=int, default=3000000)
    parser.add_argument("--seconds", type=int, default=7200)
    parser.add_argument("--max-size", default="128M")
    options = parser.parse_args()
    made = bench.build("tests/bench/stream.c", "-I", os.path.join(bench.TREE, "include"),
                       "-I", os.path.join(bench.TREE, "user"), "-lz")
    folder = os.path.join(bench.TREE, "build", "bench")
    recording, database = os.path.join(folder, "soak.psn"), os.path.join(folder, "soak.db")
    for name in (database, f"{database}-wal", f"{database}-shm"):
        if os.path.exists(name):
            os.unlink(name)
    with open(recording, "wb") as out:
        subprocess.run([made, str(options.claims), str(options.seconds)], stdout=out, check=True)
    size = os.path.getsize(recording)
    bench.title(f"record: {options.claims} claims in {options.seconds} s of the recording's time")
    rows, memory, next_at = [], [], 0.2
    began = time.monotonic()
    recorder = subprocess.Popen([bench.portsnoop(), "record", "--db", database, "--max-size", options.max_size,
                                 "--replay", recording], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while recorder.poll() is None:
        share = read_so_far(recorder.pid) / size
        if share >= next_at and len(memory) < 5:
            memory.append(rss(recorder.pid))
            files = sum(os.path.getsize(database + end) for end in ("", "-wal") if os.path.exists(database + end))
            rows.append([f"{next_at:.0%}", bench.mib(memory[-1]), bench.mib(files)])
            next_at += 0.2
        time.sleep(0.02)
    took = time.monotonic() - began
    words = recorder.stderr.read().decode().strip()
    if recorder.returncode:
        raise bench.Broken(f"record ended with status {recorder.returncode}: {words}")
    bench.table(["of the stream", "RSS MiB", "database and WAL MiB"], rows)
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        sound = connection.execute("PRAGMA integrity_check").fetchone()[0]
    grown = (memory[-1] - memory[1]) / bench.MIB if len(memory) > 2 else 0
    print(f"\n{options.claims / took:,.0f} claims/s with all they bring ({size / took / bench.MIB:.0f} MiB/s of the "
          f"recording); from two fifths on {grown:+.1f} MiB RSS, allowed {GROWTH}: "
          f"{'met' if grown <= GROWTH else 'MISSED'}; integrity {sound}. {words}")
    for name in (recording, database):
        os.unlink(name)


if __name__ == "__main__":
    sys.exit(bench.main(soak))
