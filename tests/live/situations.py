#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Puts sockets into every situation of the factory, under the tracer, and compares.

usage: situations.py [--tier TIER] [--keep DIR] [PATTERN...]
Environment: PORTSNOOP, FACTORY, FACTORY32 (programs), TIER.
"""

import argparse
import fnmatch
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

import compare
import tracer

SECONDS = 40  # for one situation; its own alarm is earlier
HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))


def factory_build(name, *flags, sources="factory*.c"):
    """The path of a program, made if need be; None where it cannot be made."""
    variable = name.upper()
    if os.environ.get(variable):
        return os.environ[variable]
    path = os.path.join(TREE, "build", "live", name)
    sources = sorted(glob.glob(os.path.join(HERE, sources)))
    newest = max(os.path.getmtime(source) for source in
                 sources + [os.path.join(HERE, "factory.h")])
    if os.path.exists(path) and os.path.getmtime(path) >= newest:
        return path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    made = subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-O1", "-g", *flags, "-static",
                           "-pthread", "-o", path, *sources], capture_output=True, text=True)
    return path if made.returncode == 0 else None


def situation_run(program, name, prefix):
    """One situation in a process of its own."""
    report = compare.Report(prefix + name)
    try:
        done = subprocess.run([program, name], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=SECONDS)
    except subprocess.TimeoutExpired:
        report.result, report.reason = "failed", f"did not end within {SECONDS} s"
        return report
    try:
        lines = [json.loads(line) for line in done.stdout.decode().splitlines()]
    except ValueError as error:
        report.result, report.reason = "failed", f"the factory's report: {error}"
        return report
    report.lines = [line for line in lines if "skip" not in line]
    skips = [line["skip"] for line in lines if "skip" in line]
    if done.returncode == 77:
        report.result, report.reason = "skipped", skips[0] if skips else None
    elif done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip() or f"status {done.returncode}"
        report.result, report.reason = "failed", f"the situation did not come about: {words}"
    return report


def situations_run(programs, patterns):
    reports = []
    for program, prefix in programs:
        listed = subprocess.run([program, "list"], capture_output=True, text=True, check=True)
        for name in listed.stdout.split():
            if not patterns or any(fnmatch.fnmatchcase(prefix + name, one) for one in patterns):
                reports.append(situation_run(program, name, prefix))
    return reports


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tier", default=os.environ.get("TIER"))
    parser.add_argument("--keep", metavar="DIR", help="leave the report and the trace there")
    parser.add_argument("patterns", nargs="*", metavar="PATTERN", help="situations, as globs")
    options = parser.parse_args()

    tracer.need_root("situations")
    tracer.terminate_by_exception()
    tally = compare.Tally()
    programs = []
    # Where gcc-multilib is not installed, the 64-bit kernel headers serve as well.
    headers32 = ("-m32", "-idirafter", "/usr/include/x86_64-linux-gnu")
    for name, prefix, flags in (("factory", "", ()), ("factory32", "32:", headers32)):
        if prefix and os.uname().machine != "x86_64":
            continue
        path = factory_build(name, *flags)
        if path:
            programs.append((path, prefix))
        else:
            tally.add("skip" if prefix else "not ok", name, "could not be built with this compiler")

    folder = options.keep or tempfile.mkdtemp(prefix="portsnoop-live.")
    os.makedirs(folder, exist_ok=True)
    try:
        with tracer.Tracer(os.path.join(folder, "trace.ndjson"), options.tier) as running:
            reports = situations_run(programs, options.patterns)
            events = running.stop()
        with open(os.path.join(folder, "report.ndjson"), "w", encoding="utf-8") as file:
            for report in reports:
                for line in report.lines:
                    file.write(json.dumps(dict(line, situation=report.situation)) + "\n")
        by_pid, uncovered = compare.seen_by_pid(events), compare.not_covered(events)
        for problem in compare.check_stream(events):
            tally.add("not ok", "stream", problem)
        for report in reports:
            state, reason = compare.verdict(report, by_pid, uncovered, True)
            tally.add(state, report.situation, reason)
        if not reports:
            tally.add("not ok", "situations", "none fits the patterns")
    except compare.Broken as error:
        tally.add("not ok", "situations", str(error))
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
