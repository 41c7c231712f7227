# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Runs `portsnoop trace -o json` around something, and reads what it wrote."""

import os
import select
import signal
import subprocess
import sys
import time

import compare

# No tier needs more to attach, not even under emulation.
START_SECONDS = 60
STOP_SECONDS = 60


class Tracer:
    """Between start() and stop() everything on the machine is traced to a file."""

    def __init__(self, path, tier=None, arguments=()):
        self.path = path
        self.command = [os.environ.get("PORTSNOOP", "build/portsnoop"), "trace", "-o", "json",
                        "--release", *arguments]
        if tier:
            self.command += ["--tier", tier]
        self.process = None
        self.errors = path + ".stderr"

    def start(self):
        with open(self.path, "wb") as output, open(self.errors, "wb") as errors:
            try:
                # Its own group: a Ctrl-C is for us, and we tell it.
                self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=output,
                                                stderr=errors, start_new_session=True)
            except OSError as error:
                raise compare.Broken(f"{self.command[0]}: {error.strerror}") from None
        # A file cannot be waited for: look for its first line until it is there.
        deadline = time.monotonic() + START_SECONDS
        while True:
            with open(self.path, "rb") as output:
                first = output.readline()
            if first.endswith(b"\n"):
                break
            if self.process.poll() is not None:
                raise compare.Broken(f"{' '.join(self.command)} ended with status "
                                     f"{self.process.returncode}: {self.words()}")
            if time.monotonic() > deadline:
                self.kill()
                raise compare.Broken(f"{' '.join(self.command)} wrote no first line in "
                                     f"{START_SECONDS} s: {self.words()}")
            select.select([], [], [], 0.01)
        if b'"stream-start"' not in first:
            self.kill()
            raise compare.Broken(f"the first line is not stream-start: {first[:200]!r}")

    def words(self):
        with open(self.errors, encoding="utf-8", errors="replace") as errors:
            return errors.read().strip()[-2000:] or "it said nothing"

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self):
        """Ends it as a person would, and returns its events."""
        if self.process.poll() is not None:
            raise compare.Broken(f"portsnoop ended early with status {self.process.returncode}: "
                                 f"{self.words()}")
        self.process.send_signal(signal.SIGINT)
        try:
            status = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise compare.Broken(f"portsnoop did not end {STOP_SECONDS} s after SIGINT") from None
        if status != 0:
            raise compare.Broken(f"portsnoop ended with status {status}: {self.words()}")
        return compare.read_lines(self.path)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()


def need_root(name):
    """Ends the suite with one skip where it cannot work."""
    if os.geteuid() != 0:
        tally = compare.Tally()
        tally.add("skip", name, "needs root")
        sys.exit(tally.finish())


def terminate_by_exception():
    """So that every `with` cleans up when somebody ends us."""

    def end(number, _frame):
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
