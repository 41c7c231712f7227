#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""journald keeps what portsnoop feeds it, and journalctl finds it.

usage: journald.py [PATTERN...]

The journald is the system's own program, as a private instance: a namespace of its own, with
another /run. What it has is compared with `replay -o json` by the rule that gives the fields
their names in the journal: upper case, with _ for a dot.
"""

import codecs
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys

from back_end import (BackEnd, Feed, Skip, arrived_equal, await_true, check, equal, get, recording, recording_of,
                      replay, replayed, room, suite_run, test)

JOURNALD = "/lib/systemd/systemd-journald"
NAME = "portsnoop-e2e"
CONFIGURATION = "[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n"
# Fields of ours that are not in the event.
OWN = ("PRIORITY", "SYSLOG_IDENTIFIER", "SYSLOG_FACILITY", "MESSAGE_ID")
MESSAGE_ID = "8b6f99f86687407bb7327acb8ef9a04f"

# A byte that is not UTF-8 is one U+FFFD, as in our JSON.
codecs.register_error("each", lambda error: ("\ufffd" * (error.end - error.start), error.end))


class Journald(BackEnd):
    def __init__(self):
        if not os.path.exists(JOURNALD) or not shutil.which("journalctl"):
            raise Skip("there is no systemd-journald")
        run = os.path.join(room(), "run")
        folder = f"{run}/systemd/journald@{NAME}.conf.d"
        os.makedirs(folder)
        with open(f"{folder}/e2e.conf", "w", encoding="utf-8") as file:
            file.write(CONFIGURATION)
        self.socket = f"{run}/systemd/journal.{NAME}/socket"
        super().__init__("unshare", "-m", "sh", "-c", 'mount --bind "$1" /run && exec "$2" "$3"', "sh", run, JOURNALD,
                         NAME, ready=lambda: os.path.exists(self.socket))

    def start(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.socket)
        return super().start()

    def journalctl(self, *words):
        check(self.process.poll() is None, "journald ended:", self.process.returncode, self.words())
        done = subprocess.run(["nsenter", "-t", str(self.process.pid), "-m", "journalctl", f"--namespace={NAME}",
                               "--no-pager", "-q", *words], capture_output=True, check=False)
        check(done.returncode == 0, "journalctl:", done.stderr)
        return done.stdout

    def entries(self, *words):
        """[{name: [bytes]}] of our entries, in the journal's order."""
        return parse_export(self.journalctl("-o", "export", "SYSLOG_IDENTIFIER=portsnoop", *words))

    def arrived(self, count):
        def there():
            ids = self.journalctl("-o", "cat", "--output-fields=EVENT_ID", "SYSLOG_IDENTIFIER=portsnoop")
            return len(set(ids.split())) >= count

        await_true(f"{count} events in the journal", there)
        return self.entries()


def parse_export(data):
    """https://systemd.io/JOURNAL_EXPORT_FORMATS/"""
    entries, entry, place = [], {}, 0
    while place < len(data):
        line, _, _ = data[place:].partition(b"\n")
        place += len(line) + 1
        if not line:
            entries.append(entry)
            entry = {}
            continue
        name, separator, value = line.partition(b"=")
        if not separator:
            size = int.from_bytes(data[place:place + 8], "little")
            value = data[place + 8:place + 8 + size]
            place += 8 + size + 1
        entry.setdefault(name.decode(), []).append(value)
    return entries + ([entry] if entry else [])


def unescape(message):
    """What escape_plain() made of it."""
    return re.sub(rb"\\(x[0-9a-f]{2}|\\)",
                  lambda found: b"\\" if found[1] == b"\\" else bytes([int(found[1][1:], 16)]), message)


def text(value):
    return value.decode("utf-8", "each")


def flattened(event, above=""):
    """{dotted name: value}"""
    flat = {}
    for name, value in event.items():
        if isinstance(value, dict):
            flat.update(flattened(value, f"{above}{name}."))
        else:
            flat[above + name] = value
    return flat


def wanted(event):
    """{name in the journal: [text]} of an event."""
    fields = {}
    for path, value in flattened(event).items():
        name = path.upper().replace(".", "_").replace("@", "")
        if path == "process.args" or path == "portsnoop.blocked_by":
            fields[name] = [json.dumps(value)]
        elif path == "portsnoop.class.pool":
            fields[name] = [f"{value[0]}-{value[1]}"]
        elif isinstance(value, list):
            fields[name] = sorted(value)
        elif value is None:
            fields[name] = [""]
        elif isinstance(value, bool):
            fields[name] = [str(value).lower()]
        else:
            fields[name] = [str(value)]
    return {name: values for name, values in fields.items() if values}


def kept(entry):
    """The same of an entry."""
    fields = {}
    for name, values in entry.items():
        if name.startswith("_") or name in OWN:
            continue
        if name == "MESSAGE":
            fields[name] = [text(unescape(values[0]))]
        elif name in ("PROCESS_ARGS", "PORTSNOOP_BLOCKED_BY"):
            fields[name] = [json.dumps(json.loads(values[0]))]
        else:
            fields[name] = sorted(text(value) for value in values)
    return fields


def compared(fields):
    return {"event": {"id": fields["EVENT_ID"][0]}, "fields": fields}


def journal_equal(entries, events):
    for entry in entries:
        equal(entry["MESSAGE_ID"], [MESSAGE_ID.encode()], "MESSAGE_ID")
        check(b"\n" not in entry["MESSAGE"][0] and entry["MESSAGE"][0].isascii() or text(entry["MESSAGE"][0]),
              "MESSAGE:", entry["MESSAGE"])
        check(not any(byte < 0x20 or byte == 0x7F for byte in entry["MESSAGE"][0]), "MESSAGE:", entry["MESSAGE"])
    return arrived_equal([compared(kept(entry)) for entry in entries],
                         [compared(wanted(event)) for event in events])


@test("journald: every field of every event, hostile ones too")
def every_field():
    for name in ("claims", "failures", "blocked", "gaps", "hostile"):
        journald = Journald().start()
        replay(recording(name), "--sink", f"journald:{journald.socket}")
        sent = replayed(recording(name))
        equal(journal_equal(journald.arrived(len(sent)), sent), 0, f"events of {name} that came twice")


@test("journald: journalctl finds them by their fields")
def found_by_field():
    journald = Journald().start()
    replay(recording("claims"), "--sink", f"journald:{journald.socket}")
    sent = replayed(recording("claims"))
    journald.arrived(len(sent))
    port = next(get(event, "portsnoop.local.port") for event in sent if get(event, "event.action") == "bound-socket")
    for match, belongs in (
            (f"PORTSNOOP_LOCAL_PORT={port}", lambda event: get(event, "portsnoop.local.port") == port),
            ("EVENT_ACTION=connected-to", lambda event: get(event, "event.action") == "connected-to"),
            ("EVENT_TYPE=connection", lambda event: "connection" in get(event, "event.type")),
            ("EVENT_OUTCOME=success", lambda event: get(event, "event.outcome") == "success")):
        expected = [get(event, "event.id") for event in sent if belongs(event)]
        check(expected, "there is none with", match)
        equal([entry["EVENT_ID"][0].decode() for entry in journald.entries(match)], expected, match)
    failed = [get(event, "event.id") for event in sent if get(event, "event.outcome") == "failure"]
    lost = [get(event, "event.id") for event in sent if get(event, "event.action") == "lost-events"]
    noticed = [entry["EVENT_ID"][0].decode() for entry in journald.entries("-p", "notice")]
    equal(sorted(noticed), sorted(failed + lost), "entries of priority notice and above")


@test("journald: nothing is lost when it is restarted in the middle of a stream")
def restarted():
    for number in (signal.SIGTERM, signal.SIGKILL):
        for file in (recording("hostile"), recording_of(300)):
            journald = Journald().start()
            feed = Feed(file, "--sink", f"journald:{journald.socket}")
            feed.send(0.3)
            journald.arrived(1)
            journald.stop(number)
            feed.send(0.5)
            journald.start()
            feed.done()
            sent = replayed(file)
            journal_equal(journald.arrived(len(sent)), sent)


@test("journald: it does not look up the process of an event")
def no_process_looked_up():
    journald = Journald().start()
    replay(recording("claims"), "--sink", f"journald:{journald.socket}")
    for entry in journald.arrived(len(replayed(recording("claims")))):
        check(not any(name.startswith("OBJECT_") for name in entry), "it did:", list(entry))


if __name__ == "__main__":
    sys.exit(suite_run("journald"))
