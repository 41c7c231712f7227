#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""rsyslog reads what portsnoop feeds it, with the configurations of tools/shippers/rsyslog/.

usage: rsyslog.py [PATTERN...]
"""

import json
import sys

from back_end import (BackEnd, arrived_equal, await_true, check, equal, lines_of, parse_events, recording, replayed,
                      room, run, shipper, suite_run, test)


class Rsyslog(BackEnd):
    """With a shipped configuration in which some words are those of the test."""

    def __init__(self, name, replaced):
        folder = room()
        self.out, self.odd = f"{folder}/out.json", f"{folder}/odd"
        text = shipper(f"rsyslog/{name}.conf")
        for words, own in {"/var/log/portsnoop-rsyslog.json": self.out, "/var/log/portsnoop-rsyslog.odd": self.odd,
                           **replaced}.items():
            check(words in text, f"{name}.conf does not have", words)
            text = text.replace(words, own)
        configuration = f"{folder}/rsyslog.conf"
        with open(configuration, "w", encoding="utf-8") as file:
            file.write(f'global(workDirectory="{folder}")\n{text}')
        super().__init__("rsyslogd", "-n", "-iNONE", "-f", configuration, packages="rsyslog")

    def arrived(self, count):
        """The lines, when there are so many different ones."""
        await_true(f"{count} events in rsyslog", lambda: len(set(lines_of(self.out))) >= count)
        equal(lines_of(self.odd), [], "lines that rsyslog could not parse")
        return lines_of(self.out)


def append(path, *lines):
    with open(path, "ab") as file:
        file.write(b"".join(line + b"\n" for line in lines))


def read_file(name, **replaced):
    """What rsyslog has of a file of events that grows while it is away."""
    source = f"{room()}/events.json"
    lines = run("replay", "--release", "-o", "json", recording(name)).lines()
    half = len(lines) // 2
    append(source, *lines[:half])
    server = Rsyslog("portsnoop-file", {"/var/log/portsnoop/events.json": source, **replaced}).start()
    server.arrived(half)
    server.stop()
    append(source, *lines[half:])
    server.start()
    return server.arrived(len(lines))


@test("rsyslog: imfile reads a file of events, across a restart")
def from_file():
    for name in ("claims", "hostile"):
        equal(arrived_equal(parse_events(read_file(name)), replayed(recording(name))), 0, "events that came twice")


@test("rsyslog: mmjsonparse has every field of them")
def from_file_parsed():
    for name in ("claims", "hostile"):
        lines = read_file(name, **{'property(name="msg")': 'property(name="$!all-json-plain")'})
        arrived_equal([json.loads(line) for line in lines], replayed(recording(name)))


if __name__ == "__main__":
    sys.exit(suite_run("rsyslog"))
