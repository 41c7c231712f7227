#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Writes the tables of user/ports/ from the IANA registry and from the list of known uses.

  tools/ports/generate.py --registry service-names-port-numbers.csv --date 2025-12-15
  tools/ports/generate.py --uses tools/ports/known-uses.tsv

The registry is not kept here. Fetch it (CC0, about 1 MB) from its page,
https://www.iana.org/assignments/service-names-port-numbers, as CSV; the page's
"Last Updated" is the date. A name that ends in -YYYY-MM-DD.csv tells it, too.

The input is taken strictly: the first line that is not understood is named with
its number, the exit status is 2, and no file has been touched.
"""
import argparse
import copy
import csv
import datetime
import io
import os
import re
import sys
import tempfile
import unicodedata

TCP, UDP, SCTP, DCCP = 1, 2, 4, 8
PROTOCOLS = {"": 0, "tcp": TCP, "udp": UDP, "sctp": SCTP, "dccp": DCCP}
DYNAMIC = 49152  # RFC 6335: nothing is assigned from here on

REGISTRY_PAGE = "https://www.iana.org/assignments/service-names-port-numbers"
REGISTRY_HEADER = [
    "Service Name", "Port Number", "Transport Protocol", "Description", "Assignee", "Contact",
    "Registration Date", "Modification Date", "Reference", "Service Code",
    "Unauthorized Use Reported", "Assignment Notes"]
USES_HEADER = ["ports", "proto", "name", "note", "source"]

# A row without a service name is told by its description. The list is closed on
# purpose: a new wording must be judged by a person before it gets a status.
STATUS_WORDS = (
    ("IANA_UNASSIGNED", re.compile(r"\(?unassigned\b|possibly used by ", re.I)),
    ("IANA_RESERVED", re.compile(r"(reserved|de-?registered|removed|deprecated|"
                                 r"de-?comm?issioned port)\b", re.I)),
    ("IANA_ASSIGNED", re.compile(r"any private ", re.I)),
)
NOTE_MOST = 240   # longer notes are about DNS-SD, not about the port
BROAD_PORTS = 2000  # a use that spans more says next to nothing about one port


class InputError(Exception):
    """The input is not what it should be; the text names the place."""


def fail(path, line, text):
    raise InputError(f"{path}:{line}: {text}")


def text_read(path):
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        fail(path, data.count(b"\n", 0, error.start) + 1, "expected UTF-8")


def text_clean(text, path, line, what):
    """One line of printable ASCII; accents go, since terminals differ in what they show."""
    text = " ".join(text.split())
    plain = unicodedata.normalize("NFD", text)
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    for old, new in (("\u2013", "-"), ("\u2014", "-"), ("\u2018", "'"), ("\u2019", "'"),
                     ("\u201c", '"'), ("\u201d", '"')):
        plain = plain.replace(old, new)
    for char in plain:
        if not " " <= char <= "~":
            fail(path, line, f"expected printable text as {what}, got {text!r}")
    return plain


def ports_parse(text, path, line):
    match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", text)
    low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if not 0 <= low <= high <= 65535:
        fail(path, line, f"expected a port (0-65535) or LOW-HIGH, got {text!r}")
    return low, high


def date_pack(text, path, line, what):
    """Years since 1980, month and day (0: not told) in 7, 4 and 5 bits; 0: no date."""
    if not text:
        return 0
    match = re.fullmatch(r"([0-9]{4})-([0-9]{2})(?:-([0-9]{2}))?", text)
    try:
        date = datetime.date(int(match[1]), int(match[2]), int(match[3] or 1))
    except (TypeError, ValueError):
        date = datetime.date.min
    if not 1980 <= date.year < 2108:
        fail(path, line, f"expected YYYY-MM-DD or YYYY-MM as {what}, got {text!r}")
    return (date.year - 1980) << 9 | date.month << 5 | (date.day if match[3] else 0)


def reference_clean(text):
    """'rfc:rfc6335;draft:X' or '[RFC6335][X]' -> 'RFC 6335, X'"""
    parts = re.findall(r"\[([^]]+)\]", text) or text.split(";")
    words = []
    for part in parts:
        kind, colon, rest = part.partition(":")
        if colon and kind in ("note", "text"):
            continue
        if colon and kind in ("rfc", "draft", "uri"):
            part = rest
        words.append(re.sub(r"^rfc([0-9]+)$", r"RFC \1", part, flags=re.I))
    return ", ".join(word for word in words if word)


class Entry:
    __slots__ = ("line", "low", "high", "protocols", "status", "name", "text", "registered",
                 "modified", "reference", "unauthorized", "note")

    def same(self, other):
        return all(getattr(self, slot) == getattr(other, slot)
                   for slot in self.__slots__ if slot not in ("line", "protocols"))


def entry_read(row, path, line):
    if len(row) != len(REGISTRY_HEADER):
        fail(path, line, f"expected {len(REGISTRY_HEADER)} columns, got {len(row)}")
    row = [text_clean(cell, path, line, what) for cell, what in zip(row, REGISTRY_HEADER)]
    entry = Entry()
    entry.line = line
    entry.name, ports, protocol, entry.text = row[0:4]
    if protocol not in PROTOCOLS:
        fail(path, line, f"expected tcp, udp, sctp, dccp or nothing as protocol, got {protocol!r}")
    entry.protocols = PROTOCOLS[protocol]
    if entry.name and not re.fullmatch(r"(?=.*[A-Za-z])[A-Za-z0-9][A-Za-z0-9_.+*/-]{0,62}",
                                       entry.name):
        fail(path, line, f"expected a service name, got {entry.name!r}")
    entry.registered = date_pack(row[6], path, line, "registration date")
    entry.modified = date_pack(row[7], path, line, "modification date")
    entry.reference = reference_clean(row[8])
    entry.unauthorized, note = row[10], row[11]
    # TXT keys belong to DNS-SD and say nothing about a port.
    entry.note = note if len(note) <= NOTE_MOST and not note.startswith("Defined TXT keys") else ""
    entry.status = "IANA_ASSIGNED"
    if entry.name:
        if note.startswith("This entry records an unassigned but widespread use"):
            entry.status = "IANA_USED"
    else:
        for status, words in STATUS_WORDS:
            if words.match(entry.text):
                entry.status = status
                break
        else:
            fail(path, line, "expected a service name, or a description such as Reserved or "
                 f"Unassigned (STATUS_WORDS has them all), got {entry.text!r}")
    if not ports:
        if not entry.name:
            fail(path, line, "expected a service name or a port, got neither")
        entry.low = entry.high = -1
        return entry
    entry.low, entry.high = ports_parse(ports, path, line)
    if entry.high >= DYNAMIC:
        fail(path, line, f"expected ports below {DYNAMIC}, which IANA does not assign, got {ports}")
    return entry


def entries_split(entries, path):
    """Takes the ports that have narrower lines out of Unassigned ranges (the registry has such
    slips), so that any two spans are equal or disjoint. Any other overlap is an error."""
    narrowest = {}
    for entry in entries:
        for port in range(entry.low, entry.high + 1):
            width = entry.high - entry.low
            narrowest[port] = min(width, narrowest.get(port, width))
    result = []
    for entry in entries:
        width = entry.high - entry.low
        out = [port for port in range(entry.low, entry.high + 1) if narrowest[port] < width]
        if not out or entry.status != "IANA_UNASSIGNED":
            result.append(entry)
            continue
        print(f"{path}:{entry.line}: Unassigned {entry.low}-{entry.high}, but other lines have "
              f"{', '.join(map(str, out))}: these count", file=sys.stderr)
        start = entry.low
        for port in out + [entry.high + 1]:
            if port > start:
                piece = copy.copy(entry)
                piece.low, piece.high = start, port - 1
                result.append(piece)
            start = port + 1
    result.sort(key=lambda e: (e.low, e.high))
    for before, entry in zip(result, result[1:]):
        if entry.low <= before.high and (entry.low, entry.high) != (before.low, before.high):
            fail(path, entry.line, f"expected ports that no other range has, got {entry.low}-"
                 f"{entry.high} beside {before.low}-{before.high} of line {before.line}")
    return result


def group_find(group, entry):
    """The line that differs from `entry` in the protocol only, if joining the two leaves every
    protocol's own order of names as it is."""
    for other in reversed(group):
        if other.protocols & entry.protocols:
            return None
        if other.same(entry) and other.protocols and entry.protocols:
            return other
    return None


def entries_merge(entries, path):
    """Joins lines that differ in the protocol only."""
    result, group = [], []
    for entry in entries:
        if group and (group[0].low, group[0].high) != (entry.low, entry.high):
            group = []
        for other in group:
            if other.name == entry.name and (other.protocols & entry.protocols
                                             or other.protocols == entry.protocols):
                fail(path, entry.line, f"expected another name, port or protocol, got those of "
                     f"line {other.line} again")
        other = group_find(group, entry)
        if other:
            other.protocols |= entry.protocols
        else:
            group.append(entry)
            result.append(entry)
    return result


def entries_rank(entries):
    """The service of a port is the first entry that the registry itself does not set aside as an
    alias, a conflict or a use without assignment: 2049 is nfs, although shilp comes first."""
    def rank(entry):
        return (entry.status == "IANA_USED" or "alias to" in entry.note
                or "Conflict on" in entry.note)
    entries.sort(key=lambda e: (e.low, e.high, rank(e)))


def registry_read(path):
    reader = csv.reader(io.StringIO(text_read(path), newline=""), strict=True)
    entries, line = [], 1
    try:
        for row in reader:
            if line == 1:
                if row != REGISTRY_HEADER:
                    fail(path, 1, "expected the registry's heading, " + ",".join(REGISTRY_HEADER))
            else:
                entries.append(entry_read(row, path, line))
            line = reader.line_num + 1
    except csv.Error as error:
        fail(path, line, f"expected CSV: {error}")
    if not entries:
        fail(path, line, "expected at least one line of the registry, got none")
    ported = entries_split([e for e in entries if e.low >= 0], path)
    ported = entries_merge(ported, path)
    entries_rank(ported)
    # Names without a port come last; one is enough for all its protocols.
    names = {entry.name for entry in ported}
    portless = {}
    for entry in entries:
        if entry.low < 0 and entry.name not in names:
            known = portless.setdefault(entry.name, entry)
            known.protocols |= entry.protocols
    return ported, [portless[name] for name in sorted(portless, key=name_key)]


def name_key(name):
    return (name.lower(), name)


class Pool:
    """Strings one behind the other; offset 0 is the empty one."""

    def __init__(self):
        self.offsets = {"": 0}
        self.lines = ['"\\0"']
        self.size = 1

    def add(self, text):
        if text not in self.offsets:
            self.offsets[text] = self.size
            # "??=" and its like would be trigraphs.
            literal = text.replace("\\", "\\\\").replace('"', '\\"').replace("??", "?\\?")
            self.lines.append(f'"{literal}\\0"')
            self.size += len(text) + 1
        return self.offsets[text]

    def __str__(self):
        return "".join(f"\t{line}\n" for line in self.lines)


# The tables are long: one letter per name keeps them readable and the file small.
LETTERS = ("/* clang-format off */\n"
           "#define T IANA_TCP\n#define U IANA_UDP\n#define S IANA_SCTP\n#define D IANA_DCCP\n\n")


def table_head(source, date):
    return ("/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */\n"
            "/*\n"
            " * Generated by tools/ports/generate.py, do not edit.\n"
            f" * Source: {source}\n"
            f" * Date: {date}\n")


def protocols_text(mask):
    return "|".join(name[0].upper() for name, bit in PROTOCOLS.items() if mask & bit) or "0"


def registry_render(ported, portless, date):
    pool = Pool()
    entries = ported + portless
    for entry in entries:  # these first: their offsets have 16 bits
        for text in (entry.reference, entry.unauthorized, entry.note):
            pool.add(text)
    if pool.size > 65536 or len(entries) > 65535:
        raise InputError("the registry outgrew the 16-bit offsets of struct iana_entry")
    for entry in entries:
        pool.add(entry.name)
    for entry in entries:
        pool.add(entry.text)
    names = sorted((i for i, entry in enumerate(entries) if entry.name),
                   key=lambda i: (*name_key(entries[i].name), i))
    out = [table_head("IANA Service Name and Transport Protocol Port Number Registry (CC0),\n"
                      f" *         {REGISTRY_PAGE}", date),
           f" * {len(ported)} entries with a port, {len(portless)} service names without one.\n",
           " */\n", '#include "ports/iana.h"\n\n', LETTERS,
           f'const char iana_date[] = "{date}";\n',
           f"const unsigned int iana_entry_count = {len(entries)};\n",
           f"const unsigned int iana_port_count = {len(ported)};\n",
           f"const unsigned int iana_name_count = {len(names)};\n\n",
           "/* low, high, registered, modified, reference, unauthorized, note,\n"
           " * protocols, status, name, text */\n",
           "const struct iana_entry iana_entries[] = {\n"]
    for entry in entries:
        out.append(f"\t{{ {max(entry.low, 0)}, {max(entry.high, 0)}, {entry.registered}, "
                   f"{entry.modified}, {pool.add(entry.reference)}, "
                   f"{pool.add(entry.unauthorized)}, {pool.add(entry.note)}, "
                   f"{protocols_text(entry.protocols)}, {entry.status}, "
                   f"{pool.add(entry.name)}, {pool.add(entry.text)} }},\n")
    out.append("};\n\n/* Places in iana_entries, in the order of the names without case. */\n"
               "const uint16_t iana_names[] = {\n")
    for start in range(0, len(names), 12):
        out.append("\t" + ", ".join(map(str, names[start:start + 12])) + ",\n")
    out.append("};\n\nconst char iana_strings[] =\n")
    out.append(str(pool).rstrip("\n") + ";\n")
    return "".join(out)


def uses_read(path):
    lines = text_read(path).split("\n")
    if lines[-1] != "":
        fail(path, len(lines), "expected a line end")
    match = re.fullmatch(r"# as of (.*)", lines[0])
    if not match:
        fail(path, 1, "expected '# as of YYYY-MM-DD', the date of the list")
    date = date_check(match[1], f"{path}:1")
    if lines[1:2] != ["\t".join(USES_HEADER)]:
        fail(path, 2, f"expected the heading {', '.join(USES_HEADER)} with tabs between")
    uses = []
    for number, line in enumerate(lines[2:-1], 3):
        row = line.split("\t")
        if len(row) != len(USES_HEADER):
            fail(path, number,
                 f"expected {len(USES_HEADER)} columns with tabs between, got {len(row)}")
        ports, protocol, name, note, source = (
            text_clean(cell, path, number, what) for cell, what in zip(row, USES_HEADER))
        if not name or not source:
            fail(path, number, f"expected a {'source' if name else 'name'}, got nothing")
        if protocol not in ("tcp", "udp", "tcp/udp"):
            fail(path, number, f"expected tcp, udp or tcp/udp, got {protocol!r}")
        mask = sum(PROTOCOLS[part] for part in protocol.split("/"))
        for piece in ports.split(","):
            low, high = ports_parse(piece, path, number)
            use = (low, high, mask, f"{name} ({protocol} {piece})", name, source, note)
            if use in uses:
                fail(path, number, f"expected each use once, got {use[3]!r} again")
            uses.append(use)
    if not uses:
        fail(path, len(lines), "expected at least one use, got none")
    # Most specific first; stable, so that the file's order decides among equals.
    return sorted(uses, key=lambda use: use[1] - use[0]), date


def uses_render(uses, date):
    pool = Pool()
    specific = sum(1 for use in uses if use[1] - use[0] < BROAD_PORTS)
    out = [table_head("tools/ports/known-uses.tsv, which names a source for each line", date),
           " */\n", '#include "ports/known_uses.h"\n\n', LETTERS,
           f'const char known_use_date[] = "{date}";\n',
           f"const unsigned int known_use_count = {len(uses)};\n",
           f"const unsigned int known_use_specific = {specific};\n\n",
           "/* low, high, protocols, text, name, source, note */\n",
           "const struct known_use known_use_table[] = {\n"]
    for low, high, mask, *texts in uses:
        out.append(f"\t{{ {low}, {high}, {protocols_text(mask)}, "
                   f"{', '.join(str(pool.add(text)) for text in texts)} }},\n")
    if pool.size > 65536:
        raise InputError("the known uses outgrew the 16-bit offsets of struct known_use")
    out.append("};\n\nconst char known_use_strings[] =\n")
    out.append(str(pool).rstrip("\n") + ";\n")
    return "".join(out)


def date_check(text, where):
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            raise ValueError
        datetime.date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{where}: expected a date YYYY-MM-DD, got {text!r}") from None
    return text


def registry_date(options):
    if options.date is not None:
        return date_check(options.date, "--date")
    match = re.search(r"-([0-9]{4}-[0-9]{2}-[0-9]{2})\.csv$", options.registry)
    if not match:
        raise InputError("--date: expected the registry's date, YYYY-MM-DD, since the name "
                         f"{options.registry!r} does not end in -YYYY-MM-DD.csv")
    return date_check(match[1], options.registry)


def files_write(folder, files):
    """All or none, as far as a file system can promise that: rename comes last."""
    ready = []
    try:
        for name, text in files.items():
            handle, temporary = tempfile.mkstemp(prefix=name + ".", dir=folder)
            ready.append((temporary, os.path.join(folder, name)))
            with os.fdopen(handle, "w", encoding="ascii", newline="\n") as file:
                file.write(text)
            os.chmod(temporary, 0o644)
        for temporary, name in ready:
            os.replace(temporary, name)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}") from None
    finally:
        for temporary, _ in ready:
            if os.path.exists(temporary):
                os.unlink(temporary)


def main(arguments):
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--registry", metavar="CSV", help="the registry as CSV")
    parser.add_argument("--date", metavar="YYYY-MM-DD",
                        help="date of the registry, if its file name does not end in it")
    parser.add_argument("--uses", metavar="TSV", help="the list of known uses")
    parser.add_argument("--output", metavar="DIR",
                        default=os.path.join(here, "..", "..", "user", "ports"),
                        help="where the tables go (default: user/ports)")
    options = parser.parse_args(arguments)
    if not options.registry and not options.uses:
        parser.error("expected --registry CSV, --uses TSV or both")
    if options.date is not None and not options.registry:
        parser.error("--date: is the registry's, expected --registry CSV with it")
    files = {}
    try:
        if options.registry:
            date = registry_date(options)
            files["iana_table.c"] = registry_render(*registry_read(options.registry), date)
        if options.uses:
            files["known_uses_table.c"] = uses_render(*uses_read(options.uses))
        files_write(options.output, files)
    except InputError as error:
        print(f"generate.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
