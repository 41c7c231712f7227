# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A `portsnoop record` that runs."""

import signal

from behavior_tool import Tool, await_true, check, equal


class Recorder(Tool):
    def __init__(self, database, *words):
        super().__init__("record", "--db", database, *words)
        self.database = database

    def started(self):
        def ready():
            check(self.process.poll() is None, "it ended:", self.words())
            return "portsnoop: recording to " in self.words()

        await_true("the recording", ready)
        return self

    def says(self, words, times=1):
        await_true(f"{words!r} on stderr", lambda: self.words().count(words) >= times)

    def stop(self, number=signal.SIGTERM):
        self.send(number)
        equal(self.status(), 0, f"exit status, it said {self.words()!r}")
