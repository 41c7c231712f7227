# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the checks of the formats share."""


def flat(value, path=""):
    """{dotted path: value} of nested objects; lists stay what they are."""
    if type(value) is not dict:
        return {path: value}
    found = {}
    for name, part in value.items():
        found.update(flat(part, f"{path}.{name}" if path else name))
    return found
