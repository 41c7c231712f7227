# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The support matrix: kernel x tier x kind of claim, as a table in a Markdown file."""

import fnmatch

BEGIN, END = "<!-- support-matrix -->", "<!-- /support-matrix -->"

# The first row that fits a situation's name is its kind.
KINDS = [
    ("32:* compat-* socketcall-*", "32-bit"),
    ("uring-*", "io_uring"),
    ("kernel-socket*", "kernel"),
    ("*/sctp?", "SCTP"),
    ("*/mptcp?", "MPTCP"),
    ("udplite*", "UDP-Lite"),
    ("ping-*", "ping"),
    ("fastopen-*", "Fast Open"),
    ("write/*", "UDP write"),
    ("send*", "UDP send"),
    ("listen*", "listen"),
    ("*connect*/tcp? connect-mapped* time-wait*", "TCP connect"),
    ("*connect*/udp?", "UDP connect"),
    ("bind*", "bind"),
    ("*", "processes"),
]
FAILURES = "failures"  # of the plain calls: bind, connect, listen, send
PLAIN = ("bind", "listen", "TCP connect", "UDP connect", "UDP send")
COLUMNS = ["bind", "listen", "TCP connect", "UDP connect", "UDP send", "UDP write", "Fast Open",
           FAILURES, "processes", "io_uring", "32-bit", "kernel", "MPTCP", "SCTP", "UDP-Lite", "ping"]
LEGEND = ("partly: some kinds of callers or calls are not seen by this tier, no: none is; –: the kernel has "
          "no such thing;\nn/a: the kernel refuses this tier. *failures*: calls that failed; *processes*: fork, "
          "exec, threads, sockets handed\non, hostile names.")
FAILS, NO_TIER = "**fails**", "n/a"
ARCHES = {"amd64": "x86-64", "arm64": "arm64"}


def kinds_of(situation, has_error):
    for patterns, kind in KINDS:
        if any(fnmatch.fnmatchcase(situation, pattern) for pattern in patterns.split()):
            break
    return [FAILURES] if has_error and kind in PLAIN else [kind]


class Row:
    """One kernel with one tier: what came of each kind."""

    def __init__(self, series, arch, tier):
        self.key = (series, ARCHES[arch], tier)
        self.seen = {}
        self.whole = None  # what stands in every cell: NO_TIER, FAILS

    def add(self, kinds, state, reason):
        if state == "skip":
            state = "not covered" if (reason or "").startswith("not covered") else "lacking"
        for kind in kinds:
            self.seen.setdefault(kind, set()).add(state)

    def word(self, kind):
        states = self.seen.get(kind, set())
        if "not ok" in states:
            return FAILS
        if states >= {"ok", "not covered"}:
            return "partly"
        return "yes" if "ok" in states else "no" if "not covered" in states else "–"

    def cells(self):
        series, arch, tier = self.key
        if self.whole:
            return [series, arch, tier] + [self.whole] * len(COLUMNS)
        return [series, arch, tier] + [self.word(kind) for kind in COLUMNS]


def series_order(series):
    return [int(part) if part.isdigit() else 0 for part in series.split(".")]


def table_rows(lines):
    """{key: cells} of a table written by table_lines()."""
    rows = {}
    for line in lines:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == len(COLUMNS) + 3 and cells[0][:1].isdigit():
            rows[tuple(cells[:3])] = cells
    return rows


def table_lines(rows):
    head = ["Kernel", "CPU", "Tier", *COLUMNS]
    order = sorted(rows, key=lambda key: (list(ARCHES.values()).index(key[1]), series_order(key[0]), key[2]))
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(rows[key]) + " |" for key in order] + ["", LEGEND]


def table_update(path, rows):
    """Replaces these rows between the two marks of the file; keeps the others that are there."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"{path} has no lines {BEGIN} and {END}, in this order, to write between")
    before, rest = text.split(BEGIN)
    old, after = rest.split(END)
    merged = table_rows(old.splitlines())
    merged.update({row.key: row.cells() for row in rows})
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + BEGIN + "\n" + "\n".join(table_lines(merged)) + "\n" + END + after)
