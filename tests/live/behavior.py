#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""portsnoop as its users meet it on the command line.

usage: behavior.py [--list] [--jobs N] [PATTERN...]
Environment: PORTSNOOP (program), TIER. PATTERN: names of tests, as globs.

Most of the time goes by while the kernel attaches and detaches, so several rooms
run at once, each in a process of its own. Their claims meet in every trace, as on
any machine.
"""

import argparse
import concurrent.futures
import fnmatch
import importlib
import os
import re
import subprocess
import sys

import behavior_tool
import compare
import tracer

# The longest ones first.
ROOMS = ("stop", "save", "command", "machine", "hostile", "loss", "filter", "output", "terminal",
         "refuse")


def room_tests(room, patterns):
    importlib.import_module(f"behavior_{room}")
    tests, behavior_tool.TESTS[:] = behavior_tool.TESTS[:], []
    return [(name, function) for name, function in tests
            if not patterns or any(fnmatch.fnmatchcase(name, one) for one in patterns)]


def room_run(room, patterns):
    """In this process."""
    for name in ("COLUMNS", "NO_COLOR", "TZ"):
        os.environ.pop(name, None)
    tally = compare.Tally()
    for name, function in room_tests(room, patterns):
        behavior_tool.test_run(tally, name, function)
    return tally.finish()


class Rooms:
    """Each in a process of its own; what they say comes in order."""

    def __init__(self, patterns):
        self.patterns = patterns
        self.processes = []
        self.ended = False

    def run(self, room):
        if self.ended:
            return ""
        process = subprocess.Popen([sys.executable, __file__, "--room", room, *self.patterns],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        return process.communicate()[0]

    def end(self):
        self.ended = True
        for process in self.processes:
            if process.poll() is None:
                process.terminate()


def take(tally, room, text):
    """Shows what a room said, and adds its counts."""
    *lines, last = text.splitlines() or [""]
    counts = re.fullmatch(r"(\d+) passed, (\d+) failed, (\d+) skipped", last)
    print("\n".join(lines) if counts else text, flush=True)
    if not counts:
        tally.add("not ok", room, "ended early")
        return
    for state, count in zip(("ok", "not ok", "skip"), counts.groups()):
        tally.counts[state] += int(count)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--list", action="store_true", help="names of the tests")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="rooms at once")
    parser.add_argument("--room", choices=ROOMS, help=argparse.SUPPRESS)
    parser.add_argument("patterns", nargs="*", metavar="PATTERN", help="tests, as globs")
    options = parser.parse_args()

    tracer.terminate_by_exception()
    if options.room:
        return room_run(options.room, options.patterns)
    named = {room: [name for name, _ in room_tests(room, options.patterns)] for room in ROOMS}
    rooms = [room for room in ROOMS if named[room]]
    if options.list:
        print("\n".join(name for room in rooms for name in named[room]))
        return 0
    tracer.need_root("behavior")
    tally = compare.Tally()
    if not os.access(behavior_tool.program(), os.X_OK):
        tally.add("not ok", "behavior", f"{behavior_tool.program()} cannot be run")
        return tally.finish()
    if not rooms:
        tally.add("not ok", "behavior", "no test has such a name")
    all_rooms = Rooms(options.patterns)
    with concurrent.futures.ThreadPoolExecutor(max(options.jobs, 1)) as pool:
        try:
            for room, text in zip(rooms, pool.map(all_rooms.run, rooms)):
                take(tally, room, text)
        finally:
            all_rooms.end()
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
