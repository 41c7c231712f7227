# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""usage: check_csv.py FILE JSON

The rows are CSV to the strictest reader: RFC 4180 but for lines that end with LF alone, each with
as many cells as the heading, no quote where none is needed to be, no line in a cell. They say
what the events of JSON (replay -o json) say, those left out that CSV does not have.
"""

import csv
import json
import re
import sys

from flat import flat

CELL = r'(?:"(?:[^"\n\r]|"")*"|[^",\n\r]*)'
ROW = re.compile(rf"{CELL}(?:,{CELL})*")


def unescaped(text):
    """What was escaped for people; None: bytes that are not UTF-8, of which JSON has less."""
    raw = re.sub(rb"\\(?:\\|x([0-9a-f]{2}))", lambda found: bytes([int(found[1], 16)]) if found[1] else b"\\",
                 text.encode())
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def expected(value):
    if value is None:
        return ""
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is list and all(type(part) is int for part in value):
        return "-".join(map(str, value))
    if type(value) is list:
        return " ".join(value)
    return str(value)


def main():
    with open(sys.argv[1], "rb") as file:
        lines = file.read().decode("utf-8").split("\n")
    with open(sys.argv[2], encoding="utf-8", newline="\n") as file:
        events = [flat(json.loads(line)) for line in file]
    assert lines.pop() == "", "the last line has no end"
    for line in lines:
        assert ROW.fullmatch(line), f"no CSV: {line[:1000]}"
    heading, *rows = csv.reader(lines, strict=True)
    assert rows and len(set(heading)) == len(heading) and all(re.fullmatch(r"[@a-z_.]+", name) for name in heading)
    events = [event for event in events if event["event.action"] not in ("stream-start", "stream-end", "heartbeat")]
    assert len(rows) == len(events), f"{len(rows)} rows of {len(events)} events"
    for row, event in zip(rows, events):
        assert len(row) == len(heading), row
        for name, cell in zip(heading, row):
            value = event.get(name)
            if name == "portsnoop.truncated":  # a row is shorter than a line of JSON
                continue
            if name == "portsnoop.blocked_by":
                assert bool(cell) == bool(value), (name, cell, value)
            elif unescaped(cell) is not None and name not in event.get("portsnoop.truncated", ()):
                assert unescaped(cell) == expected(value), (name, cell[:500], value)


main()
