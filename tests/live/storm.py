#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""As many claims as the machine makes, counted on both sides.

usage: storm.py [--tier TIER] [--claims N] [--processes N] [--keep DIR]
Environment: PORTSNOOP, TIER, STORM (program).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter

import compare
import situations
import tracer

SECONDS = 300

# A kind that storm counts: how an event of it looks.
KINDS = {
    "bind_kernel": {"trigger": "bind", "origin": "kernel", "claimed": True, "error": None},
    "bind_requested": {"trigger": "bind", "origin": "requested", "claimed": True, "error": None},
    "bind_in_use": {"trigger": "bind", "origin": "requested", "claimed": True, "error": "EADDRINUSE"},
    "connect": {"trigger": "connect", "origin": "kernel", "claimed": True, "error": None},
    "listen": {"trigger": "listen", "origin": None, "claimed": False, "error": None},
}


def storm_run(program, claims, processes):
    started = time.monotonic()
    try:
        done = subprocess.run([program, str(claims), str(processes)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise compare.Broken(f"the storm did not end within {SECONDS} s") from None
    if done.returncode:
        raise compare.Broken(f"the storm failed: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.splitlines()], time.monotonic() - started


def kind_of(record):
    for kind, look in KINDS.items():
        if all(record.get(key) == value for key, value in look.items()):
            return kind
    return f"unexpected ({compare.show(record)})"


def count_events(events, pids):
    """{pid: Counter of kinds, outcomes and releases}."""
    counted = {pid: Counter() for pid in pids}
    for event in events:
        record = compare.seen_from(event)
        if not record or record.get("pid") not in counted:
            continue
        kind = record["kind"]
        if kind == compare.CALL:
            kind = kind_of(record)
        elif kind == compare.OUTCOME:
            kind = record["outcome"]
        counted[record["pid"]][kind] += 1
    return counted


def check_counts(own, counted):
    problems = []
    for line in own:
        wanted = {kind: line[kind] for kind in KINDS}
        wanted["established"] = line["connect"]
        # Every claim that got its port gave it back before the storm was over.
        wanted[compare.RELEASE] = line["bind_kernel"] + line["bind_requested"] + line["connect"]
        have = counted[line["pid"]]
        for kind in sorted(set(wanted) | set(have)):
            if wanted.get(kind, 0) != have[kind]:
                problems.append(f"process {line['pid']}: {have[kind]} {kind}, it made {wanted.get(kind, 0)}")
    return problems[:20]


def check_totals(events):
    """Conservation: what the kernel's side sent is here, or counted as lost."""
    end = events[-1] if events else {}
    totals = compare.get(end, "portsnoop.totals") or {}
    lost = sum(compare.get(event, "portsnoop.lost.count") for event in events
               if compare.get(event, "event.action") == "lost-events")
    problems = []
    if totals.get("lost") != 0 or lost:
        problems.append(f"lost: {totals.get('lost')} by the totals, {lost} by the gaps")
    for name in ("untracked", "skipped"):
        if totals.get(name):
            problems.append(f"{name}: {totals[name]}")
    return problems


def check_words(words, events):
    """The line for people adds up, and agrees with the file."""
    line = words.splitlines()[-1] if words else ""
    numbers = [int(word) for word in line.replace(",", "").split() if word.isdigit()]
    delivered = sum(1 for event in events
                    if compare.ACTIONS.get(compare.get(event, "event.action")))
    if len(numbers) != 4 or numbers[0] != sum(numbers[1:]):
        return [f"the totals do not add up: {line!r}"]
    if numbers[1] != delivered:
        return [f"{delivered} events in the file, the totals say: {line!r}"]
    return []


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tier", default=os.environ.get("TIER"))
    parser.add_argument("--claims", type=int, default=200000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--keep", metavar="DIR", help="leave the trace there")
    options = parser.parse_args()

    tracer.need_root("storm")
    tracer.terminate_by_exception()
    tally = compare.Tally()
    program = situations.factory_build("storm", sources="storm*.c")
    if not program:
        tally.add("not ok", "storm", "could not be built with this compiler")
        return tally.finish()
    folder = options.keep or tempfile.mkdtemp(prefix="portsnoop-storm.")
    os.makedirs(folder, exist_ok=True)
    try:
        with tracer.Tracer(os.path.join(folder, "trace.ndjson"), options.tier) as running:
            own, seconds = storm_run(program, options.claims, options.processes)
            events = running.stop()
            words = running.words()
        claims = sum(sum(line[kind] for kind in KINDS if kind != "listen") for line in own)
        print(f"{claims} claims in {seconds:.2f} s, {claims / seconds:.0f} a second, "
              f"{len(events)} events", flush=True)
        for name, problems in (
                ("storm: every line is JSON, numbered without a gap", compare.check_stream(events)),
                ("storm: nothing was lost", check_totals(events)),
                ("storm: the totals add up", check_words(words, events)),
                ("storm: every claim is there, once",
                 check_counts(own, count_events(events, {line["pid"] for line in own})))):
            tally.add("not ok" if problems else "ok", name, "\n    ".join(problems) or None)
    except compare.Broken as error:
        tally.add("not ok", "storm", str(error))
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
