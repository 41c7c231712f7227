# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the checks of the formats share."""

import json
import sys


def flat(value, path=""):
    """{dotted path: value} of nested objects; lists stay what they are."""
    if type(value) is not dict:
        return {path: value}
    found = {}
    for name, part in value.items():
        found.update(flat(part, f"{path}.{name}" if path else name))
    return found


def unique(pairs):
    assert len({key for key, _ in pairs}) == len(pairs), f"a key comes twice: {pairs}"
    return dict(pairs)


def lines_check(check):
    """Calls check(event, number) for each line of the file of the command line; exits with the first that is wrong."""
    with open(sys.argv[1], "rb") as file:
        lines = file.read().decode("utf-8").split("\n")
    assert lines.pop() == "", "the last line has no end"
    for number, line in enumerate(lines, 1):
        try:
            assert len(line.encode()) < 16384, "too long"
            check(json.loads(line, object_pairs_hook=unique), number)
        except (AssertionError, KeyError, ValueError) as error:
            sys.exit(f"line {number}: {type(error).__name__} {str(error)[:1000]}: {line[:1000]}")
    assert lines, "there is no line"
