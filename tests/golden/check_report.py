#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the page of `portsnoop report` must be: well-formed, ours alone, and right.

usage: check_report.py structure FILE
       check_report.py recount FILE DB SINCE UNTIL   (seconds since 1970; TZ=UTC)
       check_report.py browser FILE DOM              (DOM: what a browser made of it)
"""

import collections
import heapq
import html.parser
import re
import sqlite3
import sys
import unicodedata
import xml.etree.ElementTree as ElementTree

SECOND = 10**9
TOP = 12
COMMON = {"id", "class"}
# Each element that the page may have, and its attributes.
ALLOWED = {
    "html": {"lang"}, "head": set(), "meta": {"charset", "http-equiv", "content", "name"}, "title": {"id"},
    "style": set(), "body": set(), "header": set(), "main": set(), "section": {"aria-labelledby", "aria-label", "style"},
    "h1": set(), "h2": set(), "h3": set(), "p": set(), "dl": set(), "dt": set(), "dd": set(), "a": {"href"},
    "b": set(), "i": set(), "small": set(), "strong": set(), "span": {"style"}, "br": set(),
    "ul": {"aria-label"}, "li": set(), "figure": set(), "figcaption": set(), "details": set(), "summary": set(),
    "div": {"tabindex", "role", "aria-label", "aria-labelledby"}, "footer": set(),
    "table": set(), "caption": set(), "thead": set(), "tbody": set(), "tr": set(), "td": {"colspan"}, "th": {"scope"},
    "svg": {"viewBox", "role", "aria-labelledby", "aria-hidden", "width", "height", "style"}, "desc": set(),
    "defs": set(), "pattern": {"width", "height", "patternUnits", "patternTransform"},
    "rect": {"x", "y", "width", "height", "rx", "fill", "fill-opacity"},
    "circle": {"cx", "cy", "r", "fill"}, "line": {"x1", "x2", "y1", "y2"}, "path": {"d"},
    "text": {"x", "y", "text-anchor"},
}
# What an attribute that means something to a browser may say.
VALUES = {
    "style": r"width:[0-9.]+%|margin-top:0|position:absolute",
    "href": r"#[a-z-]+",
    "id": r"[a-z-]+",
    "class": r"[a-zA-Z0-9 -]+",
    "fill": r"var\(--[a-z]+\)",
    "d": r"[MLHVZhvz0-9. -]+",
}
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def check(truth, *words):
    if not truth:
        raise SystemExit(" ".join(str(word) for word in words))


# ---- structure ----

def attributes_check(element):
    for name, value in element.attrib.items():
        check(name in ALLOWED[element.tag] | COMMON, "attribute", name, "of", element.tag)
        if name in VALUES:
            check(re.fullmatch(VALUES[name], value), element.tag, name, repr(value))
        if name not in ("content", "aria-label"):
            check("url" not in value.lower() and "script" not in value.lower(), name, value)


def references_check(root):
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    check(len(ids) == len(set(ids)), "an id twice:", [i for i in ids if ids.count(i) > 1])
    for element in root.iter():
        for wanted in (element.get("aria-labelledby") or "").split():
            check(wanted in ids, "no element has the id", wanted)
        if element.get("href"):
            check(element.get("href")[1:] in ids, element.get("href"), "leads nowhere")


def accessible_check(root):
    level = 0
    for element in root.iter():
        if element.tag in ("h1", "h2", "h3"):
            check(int(element.tag[1]) <= level + 1, "a heading left out before", "".join(element.itertext()))
            level = int(element.tag[1])
        elif element.tag == "svg" and not element.get("aria-hidden"):
            check(element.find("title") is not None and element.find("desc") is not None, "an SVG without words")
            check(element.get("role") == "img", "an SVG without a role")
        elif element.tag == "th":
            check(element.get("scope") in ("row", "col"), "a heading of a table without a scope")
        elif element.tag == "table":
            width = len(element.find("thead/tr"))
            for row in element.findall("tbody/tr"):
                check(sum(int(cell.get("colspan", "1")) for cell in row) == width, "a row of another width",
                      "".join(row.itertext()))
    check(root.find("body/main") is not None and root.get("lang"), "no main, or no language")


def text_check(text):
    for character in text:
        check(character in "\n" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp"),
              "a character that nobody sees:", hex(ord(character)))
        check(character not in "\ufffe\uffff", "a character that is none:", hex(ord(character)))


def structure(path):
    with open(path, encoding="utf-8", newline="") as file:
        text = file.read()
    text_check(text)
    check(text.startswith("<!DOCTYPE html>\n"), "no doctype")
    root = ElementTree.fromstring(text)
    for element in root.iter():
        check(element.tag in ALLOWED, "element", element.tag)
        attributes_check(element)
    metas = root.findall("head/meta")
    check(metas[0].get("charset") == "utf-8", "no character set")
    check(metas[1].get("http-equiv") == "Content-Security-Policy" and metas[1].get("content") == POLICY, "no policy")
    style = root.find("head/style").text
    check("url(" not in style.replace("url(#hatch)", "").replace("url(#dots)", "") and "@import" not in style,
          "the style refers to something else")
    check(len(list(root.iter("style"))) == 1, "more than one style")
    references_check(root)
    accessible_check(root)


# ---- recount ----

def words(element):
    return " ".join("".join(element.itertext()).split())


def number(text):
    return int(text.replace(",", ""))


def page_table(root, name):
    """Rows of texts, and of the first word's lines."""
    table = next((t for t in root.iter("table") if t.get("id") == name), None)
    if table is None:
        return []
    return [[words(cell) for cell in row] for row in table.findall("tbody/tr")]


def tile(root, name):
    element = next(e for e in root.iter("li") if e.get("id") == name)
    return words(element.find("strong")), words(element.find("small"))


class Lease:
    """A row of the view, with what the times of its recording make of it."""

    def __init__(self, row, runs, now):
        self.__dict__.update(row)
        self.least = self.trigger is None or self.ending in ("unseen", "evicted")
        self.until = self.ended
        if self.ending == "open":
            last = max(runs)
            run = runs[self.run]
            alive = self.run == last and run["ended"] is None and run["alive"] >= now - 30 * SECOND
            self.until = None if alive else max(run["ended"] or run["alive"], self.claimed)
            self.least = True
        # What is held is so for a nanosecond at least.
        self.end = 2**63 if self.until is None else max(self.until, self.claimed + 1)
        self.waits = self.end
        if self.lingered_raw == -1:
            self.waits = min(self.end, max(self.claimed, (now if self.until is None else self.until) - 60 * SECOND))
        elif self.lingered_raw and self.until is not None:
            self.waits = min(self.end, max(self.claimed, self.until - self.lingered_raw))


def database_read(path, since, until):
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    database.row_factory = sqlite3.Row
    runs = {row["id"]: dict(row) for row in database.execute("SELECT * FROM runs")}
    leases = []
    # The view has no word for "in TIME_WAIT now".
    waiting = {row[0] for row in database.execute("SELECT id FROM open_lease WHERE lingered = -1")}
    for row in database.execute("SELECT * FROM leases"):
        fields = dict(row)
        fields["lingered_raw"] = -1 if fields["ending"] == "open" and fields["id"] in waiting else fields["lingered"]
        leases.append(Lease(fields, runs, until))
    leases = [l for l in leases if l.claimed <= until and (l.claimed >= since or l.end > since and
              not (l.until is not None and l.until <= since))]
    failures = [dict(row) for row in database.execute("SELECT * FROM failures WHERE time BETWEEN ? AND ?",
                                                      (since, until))]
    return sorted(leases, key=lambda l: l.claimed), failures


def claims_of(leases, since):
    return [l for l in leases if l.trigger is not None and l.claimed >= since]


def sweep(leases, since, until):
    """(time, held, lingering) after each change, in order; ends before beginnings."""
    events = []
    for place, lease in enumerate(leases):
        begin = max(lease.claimed, since)
        events.append((begin, 2, place))
        if lease.end <= until:
            events.append((lease.end, 0, place))
        if lease.waits < lease.end and lease.waits <= until:
            # One that waits already does so from the first moment on.
            if lease.waits > begin:
                events.append((lease.waits, 1, place))
    heapq.heapify(events)
    held = lingering = 0
    waiting = set()
    while events:
        time, what, place = heapq.heappop(events)
        if what == 2:
            held += 1
        if what == 1 or what == 2 and leases[place].waits <= time < leases[place].end:
            lingering += 1
            waiting.add(place)
        elif what == 0:
            held -= 1
            lingering -= place in waiting
        yield time, held, lingering


def peaks(leases, since, until, origin, width, count):
    """The most held in each part, with how many of it were in TIME_WAIT; and what was at the end."""
    parts = [(0, 0)] * count
    entered, before = -1, (0, 0)
    for time, *now in sweep(leases, since, until):
        part = min((time - origin) // width, count - 1)
        while entered < part:
            entered += 1
            parts[entered] = before
        if now[0] > parts[part][0]:
            parts[part] = tuple(now)
        before = tuple(now)
    while entered < count - 1:
        entered += 1
        parts[entered] = before
    return parts, before[0]


def key_process(row):
    return row["comm"], row["exe"]


def key_unit(row):
    return (row["container"] is not None, row["container"] if row["container"] is not None else row["unit"])


def key_user(row):
    return row["user"], row["uid"]


def key_destination(row):
    return (row["protocol"], row["remote_ip"], row["remote_port"]) if row["remote_port"] else None


KEYS = {"top-processes": key_process, "top-units": key_unit, "top-users": key_user,
        "top-destinations": key_destination}
DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:([\d.]+)(ns|us|ms|s))?")
UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": SECOND}


def duration(text):
    """(ns, how exact it is)"""
    match = DURATION.fullmatch(text)
    check(match and text, "no duration:", text)
    days, hours, minutes = (int(group or 0) for group in match.groups()[:3])
    value = ((days * 24 + hours) * 60 + minutes) * 60 * SECOND
    exact = 3600 * SECOND if days else 60 * SECOND if hours else SECOND
    if match[4]:
        value += round(float(match[4]) * UNITS[match[5]])
        if not (days or hours or minutes):
            exact = UNITS[match[5]] // 10 if match[5] != "ns" else 1
    return value, exact


def quantile_check(where, text, lifetimes, permille):
    if not lifetimes:
        check(text == "–", where, "has a lifetime out of nothing")
        return
    lifetimes.sort()
    rank = max(1, -(-len(lifetimes) * permille // 1000))
    truth = lifetimes[rank - 1]
    value, exact = duration(text)
    check(truth * 0.998 - exact - 1 <= value <= truth * 1.002 + 1, where, "shows", text, "for", truth)


def lifetimes_of(leases):
    return [l.held for l in leases if l.ending in ("released", "estimated")]


def held_peak(leases, since, until):
    return max((held for _, held, _ in sweep(leases, since, until)), default=0)


def plain(text):
    return isinstance(text, str) and text.isascii() and text.isprintable() and "\\" not in text and len(text) < 100


def top_truth(leases, failures, name, since, until):
    """{key: [claims, kernel, requested, failed, refused, peak, lifetimes]}"""
    key = KEYS[name]
    claims, held, failed = (collections.defaultdict(list) for _ in range(3))
    for lease in leases:
        held[key(lease.__dict__)].append(lease)
    for lease in claims_of(leases, since):
        claims[key(lease.__dict__)].append(lease)
    for failure in failures:
        failed[key(failure)].append(failure)
    truth = {}
    for found in set(held) | set(failed):
        if found is None:
            continue
        mine = claims[found]
        truth[found] = [len(mine), sum(l.origin == "kernel" for l in mine), sum(l.origin == "requested" for l in mine),
                        len(failed[found]), sum(l.outcome == "failed" for l in mine),
                        held_peak(held[found], since, until), lifetimes_of(mine)]
    return truth


def named(name, key, shown):
    """Whether the row may be the key's; names that had to be escaped are not compared."""
    wanted = {"top-processes": key[0], "top-units": key[1] and str(key[1])[:12], "top-users": key[0],
              "top-destinations": f"{key[1]}:{key[2]}{key[0]}" if name == "top-destinations" else None}[name]
    return not plain(wanted) or shown.replace("[", "").replace("]", "").startswith(wanted)


def top_check(root, leases, failures, name, since, until):
    truth = top_truth(leases, failures, name, since, until)
    rows = page_table(root, name)
    others = rows.pop() if len(truth) > TOP else None
    check(len(rows) == min(len(truth), TOP), name, "has", len(rows), "rows instead of", min(len(truth), TOP))
    order = sorted(truth.items(), key=lambda item: (-item[1][0] - item[1][3], -item[1][5]))
    left = dict(truth)
    for place, row in enumerate(rows):
        found = [number(text) for text in row[1:7]]
        wanted = order[place][1]
        check((found[0] + found[3], found[5]) == (wanted[0] + wanted[3], wanted[5]), name, "row", place, row, wanted)
        match = [key for key, value in left.items() if value[:6] == found and named(name, key, row[0])]
        check(match, name, "row", place, row, "is nobody's")
        if len(match) == 1:
            quantile_check(row, row[7], left[match[0]][6], 500)
            quantile_check(row, row[8], left[match[0]][6], 950)
        left.pop(match[0])
    if others:
        check([number(text) for text in others[1:6]] == [sum(value[i] for value in left.values()) for i in range(5)],
              name, "others", others)


def totals_check(root, leases, failures, since, until):
    claims = claims_of(leases, since)
    check(number(tile(root, "claimed")[0]) == len(claims), "claimed", tile(root, "claimed"), len(claims))
    for origin, word in (("kernel", "chosen by the kernel"), ("requested", "requested")):
        shown = number(re.search(r"([\d,]+) " + word, tile(root, "claimed")[1])[1])
        check(shown == sum(l.origin == origin for l in claims), origin, shown)
    check(number(tile(root, "failed")[0]) == len(failures), "failed", tile(root, "failed"), len(failures))
    check(number(tile(root, "refused")[0]) == sum(l.outcome == "failed" for l in claims), "refused")
    rate = max(collections.Counter(l.claimed // SECOND for l in claims).values(), default=0)
    check(number(tile(root, "rate")[0]) == rate, "rate", tile(root, "rate"), rate)
    check(number(tile(root, "peak")[0]) == held_peak(leases, since, until), "peak", tile(root, "peak"))
    longest = max((min(l.end if l.until is None else l.until, until) - l.claimed for l in leases), default=0)
    if longest > 0:
        shown, exact = duration(tile(root, "longest")[0].removeprefix("≥ "))
        check(shown <= longest < shown + exact, "longest", shown, longest)
    held = sum(max(0, min(l.end, until) - max(l.claimed, since)) for l in leases)
    waiting = sum(max(0, min(l.end, until) - max(l.waits, since)) for l in leases if l.waits < l.end)
    if held and waiting / held >= 0.1:
        check(tile(root, "waiting")[0] == f"{int(waiting / held * 100 + 1e-9)} %", "waiting", tile(root, "waiting"),
              waiting / held)


def moment(text):
    import calendar
    import time
    return calendar.timegm(time.strptime(text, "%Y-%m-%d %H:%M:%S")) * SECOND


def numbers_check(root, leases, failures, since, until):
    rows = page_table(root, "numbers")
    begins = [moment(row[0]) for row in rows]
    width = begins[2] - begins[1] if len(begins) > 2 else until - since
    origin = begins[1] - width if len(begins) > 2 else since
    count = len(rows)
    sums = [[0] * 5 for _ in range(count)]
    for lease in claims_of(leases, since):
        part = sums[min((lease.claimed - origin) // width, count - 1)]
        part[{"kernel": 0, "requested": 1}.get(lease.origin, 2)] += 1
        part[4] += lease.outcome == "failed"
    for failure in failures:
        sums[min((failure["time"] - origin) // width, count - 1)][3] += 1
    held, end = peaks(leases, since, until, origin, width, count)
    for place, row in enumerate(rows):
        found = [number(text) for text in row[1:]]
        check(found[:5] == sums[place] and tuple(found[5:]) == held[place], "part", row, sums[place], held[place])
    caption = next(words(f) for f in root.iter("figcaption") if "at the end" in words(f))
    check(number(re.search(r"([\d,]+) at the end", caption)[1]) == end, caption, end)


def lifetimes_check(root, leases, since):
    lifetimes = lifetimes_of(claims_of(leases, since))
    rows = page_table(root, "lifetime-numbers")
    check(sum(number(row[2]) for row in rows) == len(lifetimes), "lifetimes", len(lifetimes))
    check(sum(number(row[1]) for row in rows) == len(lifetimes), "times in use")
    units = {"µs": 1000, "ms": 10**6, "s": SECOND, "min": 60 * SECOND, "h": 3600 * SECOND, "d": 86400 * SECOND}

    def edge(text):
        count, unit = text.split()
        return int(count) * units[unit]

    for row in rows:
        low, high = 0, 2**63
        if row[0].startswith("below "):
            high = edge(row[0].removeprefix("below "))
        elif row[0].endswith(" and longer"):
            low = edge(row[0].removesuffix(" and longer"))
        else:
            low, high = map(edge, row[0].split(" to "))
        check(number(row[2]) == sum(low <= held < high for held in lifetimes), "lifetimes", row)


def pools_check(root, leases, since, until):
    pools = collections.defaultdict(list)
    for lease in leases:
        kind = "tcp" if lease.protocol == "mptcp" else lease.protocol
        if lease.pool_low and lease.pool_low <= lease.local_port <= lease.pool_high and not kind.startswith("icmp"):
            pools[(f"{kind} {lease.pool_low}–{lease.pool_high}", str(lease.netns))].append(lease)
    truth = collections.Counter()
    for pool, members in pools.items():
        ports, used, most = collections.Counter(), 0, 0
        events = []
        for lease in members:
            events.append((max(lease.claimed, since), 1, lease.local_port))
            if lease.end <= until:
                events.append((lease.end, 0, lease.local_port))
        for _, begins, port in sorted(events):
            if begins:
                used += not ports[port]
                ports[port] += 1
            else:
                ports[port] -= 1
                used -= not ports[port]
            most = max(most, used)
        truth[pool + (most,)] += 1
    shown = collections.Counter((row[0], row[1], number(row[3])) for row in page_table(root, "pools"))
    check(shown == truth, "pools", shown, truth)


def groups_check(root, rows, name):
    shown = page_table(root, name)
    sizes = collections.Counter()
    for row in rows:
        local = name == "failed-claims" and (row["trigger"] in ("bind", "listen") or not row["remote_port"])
        sizes[tuple(row[key] for key in ("comm", "exe", "trigger", "error", "protocol")) +
              (row["local_ip"] if local else row["remote_ip"], row["local_port"] if local else row["remote_port"])] += 1
    check(sum(number(row[3]) for row in shown) == sum(sizes.values()), name, shown)
    if len(sizes) <= 40:
        check(sorted(number(row[3]) for row in shown) == sorted(sizes.values()), name, "groups", shown, sizes)


def blockers_check(root, failures):
    """Each failure of one process names its blockers."""
    import json
    shown = " ".join(row[5] for row in page_table(root, "failed-claims"))
    for failure in failures:
        for blocker in json.loads(failure["blocked_by"])[:1]:
            if plain(blocker["comm"]):
                check(blocker["comm"] in shown, blocker, "is not in", shown)


def recount(path, db, since, until):
    since, until = int(since) * SECOND, int(until) * SECOND
    root = ElementTree.parse(path).getroot()
    leases, failures = database_read(db, since, until)
    totals_check(root, leases, failures, since, until)
    numbers_check(root, leases, failures, since, until)
    for name in KEYS:
        top_check(root, leases, failures, name, since, until)
    lifetimes_check(root, leases, since)
    pools_check(root, leases, since, until)
    groups_check(root, failures, "failed-claims")
    groups_check(root, [l.__dict__ for l in claims_of(leases, since) if l.outcome == "failed"], "failed-connects")
    blockers_check(root, failures)
    used = {l.local_port for l in leases}
    shown = number(words(next(e for e in root.iter("span") if e.get("id") == "ports-used")))
    check(shown == len(used), "ports used", shown, len(used))
    listening = {(l.local_port, l.protocol, l.local_ip, l.comm, l.container if l.container is not None else l.unit,
                  l.user) for l in leases if l.outcome == "listening"}
    check(len(page_table(root, "listening")) == min(len(listening), 200), "listeners", len(listening))
    print(len(leases), len(failures))


# ---- browser ----

class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags = []
        self.texts = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, sorted(name for name, _ in attrs)))

    handle_startendtag = handle_starttag

    def handle_data(self, data):
        self.texts.append(data)


def tags_read(path):
    tags = Tags()
    with open(path, encoding="utf-8") as file:
        tags.feed(file.read())
    tags.close()
    return tags.tags, " ".join("".join(tags.texts).split())


def browser(path, dom):
    """As HTML it is what it is as XML, and the browser has changed nothing."""
    tags, text = tags_read(path)
    root = ElementTree.parse(path).getroot()
    xml = [(element.tag.lower(), sorted(name.lower() for name in element.attrib)) for element in root.iter()]
    check(tags == xml, "HTML and XML disagree")
    shown, shown_text = tags_read(dom)
    check(shown == tags, "the browser made other elements of it",
          [(a, b) for a, b in zip(tags, shown) if a != b][:3], len(tags), len(shown))
    check(shown_text == text, "the browser shows other words")


if __name__ == "__main__":
    {"structure": structure, "recount": recount, "browser": browser}[sys.argv[1]](*sys.argv[2:])
