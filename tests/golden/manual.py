#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The manual pages and completions, as strict readers see them, and against --help.

Environment: PORTSNOOP (program). They lie in build/manual/ of the tree.
"""

import contextlib
import glob
import json
import os
import pty
import re
import select
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MANUAL = os.path.join(TREE, "build", "manual")
PROGRAM = os.path.abspath(os.environ["PORTSNOOP"])
ENVIRONMENT = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": "/nonexistent", "TERM": "dumb"}
PATIENCE = 30
COUNTS = {"ok": 0, "not ok": 0, "skip": 0}


class Skip(Exception):
    pass


def need(tool):
    if not shutil.which(tool):
        raise Skip(f"needs {tool}")


def run(*words, env=None, text=None):
    return subprocess.run(words, input=text, stdin=subprocess.DEVNULL if text is None else None,
                          capture_output=True, text=True, timeout=PATIENCE, check=False,
                          env=dict(ENVIRONMENT, **(env or {})))


def test(name, function, *arguments):
    try:
        wrong = function(*arguments)
        state, why = ("not ok", wrong) if wrong else ("ok", None)
    except Skip as skip:
        state, why = "skip", str(skip)
    except Exception as error:  # the others still run
        state, why = "not ok", repr(error)
    COUNTS[state] += 1
    print(f"{state} {name}" + (f": {why}" if why else ""), flush=True)


def pages():
    return sorted(glob.glob(os.path.join(MANUAL, "*.[58]")))


# ---- pages ----


def silent(page, *words):
    """A tool that says what it does not like."""
    need(words[0])
    said = run(*words, page, env={"MANROFFSEQ": "", "MANWIDTH": "80"})
    # mandoc says it on stdout, and its status tells of the line as well that is long
    # because whatis wants one line: NAME.
    strict = words[0] == "mandoc"
    lines = [line for line in (said.stdout if strict else said.stderr).splitlines()
             if "input text line longer than" not in line or ":5:" not in line]
    return "; ".join(lines) or (said.returncode and not strict and f"status {said.returncode}")


def rendered(page):
    """As text, each paragraph in one line."""
    need("man")
    out = run("man", "-E", "UTF-8", "-l", page, env={"MANWIDTH": "5000", "MAN_KEEP_FORMATTING": ""}).stdout
    return [" ".join(line.split()) for line in re.sub(".\b", "", out).splitlines()]


def helped(*words):
    """--help, its options as (label, sentence)."""
    lines = run(PROGRAM, *words).stdout.splitlines()
    options = []
    for line in lines[lines.index("Options:") + 1:]:
        if re.match(r"  (-.,|   ) --", line):
            label, _, sentence = line.strip().partition("  ")
            options.append([label, sentence.strip()])
        elif line.strip() and options:
            options[-1][1] = f"{options[-1][1]} {line.strip()}".strip()
    return lines, [tuple(option) for option in options]


def commands():
    lines = run(PROGRAM, "--help").stdout.splitlines()
    first = lines.index("Commands:") + 1
    names = []
    for line in lines[first:]:
        if not line:
            break
        if re.match(r"  [a-z]", line):
            names.append(line.split()[0])
    return [name for name in names if name != "help"]


def every_command():
    have = {os.path.basename(page) for page in pages()}
    want = {"portsnoop.8", "portsnoop-fields.5"} | {f"portsnoop-{name}.8" for name in commands()}
    return "" if have == want else f"{sorted(have)}, expected {sorted(want)}"


def same_words(name):
    lines, options = helped(name, "--help")
    text = rendered(os.path.join(MANUAL, f"portsnoop-{name}.8"))
    if len(options) < 2:
        return f"{len(options)} options in --help"
    for label, sentence in options[:-1]:  # the last one is --help
        if f"{label} {sentence}" in text:  # a short one has its sentence beside it
            continue
        if label not in text:
            return f"{label!r} is not in the page"
        if text[text.index(label) + 1] != sentence:
            return f"{label}: {text[text.index(label) + 1]!r}, --help says {sentence!r}"
    if f"portsnoop-{name} - {lines[2]}" not in text:
        return f"NAME is not {lines[2]!r}"
    return "" if lines[0].replace("Usage: ", "") in text else "SYNOPSIS is not the usage"


def structure(name):
    """What each page has, in this order, and what each command's page is to have."""
    with open(os.path.join(MANUAL, name), encoding="utf-8") as page:
        headings = re.findall(r"^\.SH (.*)$", page.read(), re.M)
    fixed = [one for one in headings if one in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS",
                                                "EXAMPLES", "SEE ALSO")]
    want = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS"] if name.endswith(".8") else [
        "NAME", "DESCRIPTION"]
    if fixed[:len(want)] != want or headings[-1] != "SEE ALSO":
        return f"sections: {headings}"
    return ""


def references():
    """A page of ours that is named is there."""
    have = {os.path.basename(page) for page in pages()}
    for page in pages():
        for name, part in re.findall(r"(portsnoop(?:-[a-z]+)?)\((\d)\)", "\n".join(rendered(page))):
            if f"{name}.{part}" not in have:
                return f"{os.path.basename(page)} refers to {name}({part})"
    return ""


# ---- what the pages say of other things ----


def recorded(folder):
    database = os.path.join(folder, "history.db")
    said = run(PROGRAM, "record", "--replay", os.path.join(TREE, "tests/golden/stream/blocked.rec"), "--db", database)
    if said.returncode:
        raise AssertionError(said.stderr)
    return sqlite3.connect(f"file:{database}?mode=ro", uri=True)


def sql_columns():
    """portsnoop-history(8) has the columns of each view, all of them."""
    with open(os.path.join(MANUAL, "portsnoop-history.8"), encoding="utf-8") as file:
        page = file.read().split(".SH SQL\n")[1].split(".SH ")[0]
    page = page.replace("\\(aq", "'").replace("\\", "")
    parts = re.split(r"^The view ([a-z]+) ", page, flags=re.M)
    said = {name: {word for line in re.findall(r"^\.TP\nfB(.*)fP$", text, re.M) for word in line.split(", ")}
            for name, text in zip(parts[1::2], parts[2::2])}
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(recorded(folder)) as database:
        views = [row[0] for row in database.execute("SELECT name FROM sqlite_schema WHERE type = 'view'")]
        have = {view: {row[1] for row in database.execute(f"PRAGMA table_info({view})")} for view in views}
    for view in sorted(have.keys() | said.keys()):
        if said.get(view) != have.get(view):
            return (f"{view}: only the page has {sorted(said.get(view, set()) - have.get(view, set()))}, only the "
                    f"database {sorted(have.get(view, set()) - said.get(view, set()))}")
    return ""


def sql_examples():
    """Those of portsnoop-history(8) run, and one of them finds something."""
    found = []
    page = "\n".join(rendered(os.path.join(MANUAL, "portsnoop-history.8")))
    queries = re.findall(r'sqlite3 -readonly [^"]*"([^"]*)"', page)
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(recorded(folder)) as database:
        for query in queries:
            found += database.execute(query).fetchall()
    return "" if len(queries) == 2 and found else f"{len(queries)} queries, {len(found)} rows"


def leaves(value, path=""):
    """Dotted paths of an object; a list is a value."""
    if type(value) is not dict:
        return {path}
    return set().union(*(leaves(part, f"{path}.{name}" if path else name) for name, part in value.items()))


def attributes(request):
    record = request["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    resource = request["resourceLogs"][0]["resource"]["attributes"]
    return {f"attribute: {one['key']}" for one in record["attributes"]} | {
        f"resource: {one['key']}" for one in resource} | {f": {name}" for name in record}


def field_names():
    """portsnoop-fields(5) has every name that portsnoop writes, in each format, and what it has is written."""
    with open(os.path.join(MANUAL, "portsnoop-fields.5"), encoding="utf-8") as file:
        page = file.read()
    entries = re.findall(r"^\.TP\n\\fB(\S+)\\fP\n((?:[^.].*\n)*)", page.split(".SH FIELDS\n")[1].split(".SH ")[0], re.M)
    said = {"ecs": {name.replace("\\", "") for name, _ in entries}, "otlp": set(), "ocsf": set()}
    for _, words in entries:
        words = " ".join(words.replace("\\", "").split())
        said["otlp"] |= {f"{kind.strip()}: {name}" for kind, name in re.findall(r"OTLP( attribute| resource|): (\S+?)\.(?: |$)", words)}
        said["ocsf"] |= set(re.findall(r"OCSF: (\S+?)\.(?: |$)", words))
    written = {"ecs": set(), "otlp": set(), "ocsf": set()}
    for recording in glob.glob(os.path.join(TREE, "tests/golden/stream/*.rec")):
        for kind, names in written.items():
            for line in run(PROGRAM, "replay", "--release", "-o", kind, recording).stdout.splitlines():
                names |= (attributes if kind == "otlp" else leaves)(json.loads(line))
    # what these formats have beyond the fields
    written["otlp"] -= {": observedTimeUnixNano", ": severityNumber", ": severityText", ": eventName", ": attributes",
                        "resource: service.name", "resource: service.version", "resource: service.instance.id",
                        "resource: portsnoop.stream.boot_id"}
    for kind in ("ecs", "otlp"):
        if written[kind] - said[kind]:
            return f"{kind}: not in the page: {sorted(written[kind] - said[kind])}"
    # no recording has everything, but most
    for kind, names in said.items():
        if len(names & written[kind]) < len(names) * 0.85:
            return f"{kind}: only in the page: {sorted(names - written[kind])}"
    return ""


def configuration():
    """Each option of record that a file can have is in it, and what it says is accepted."""
    with open(os.path.join(TREE, "tools/packaging/portsnoop.conf"), encoding="utf-8") as file:
        text = file.read()
    with tempfile.TemporaryDirectory() as folder:
        recorded(folder).close()
        path = os.path.join(folder, "portsnoop.conf")
        names = re.findall(r"^#([a-z-]+) = ", text, re.M)
        with open(path, "w", encoding="utf-8") as file:
            file.write(re.sub(r"^#([a-z-]+ = )", r"\1", re.sub(r"^#(sink|spool|format) = .*", "", text, flags=re.M),
                              flags=re.M))
        words = ("--config", path, "--replay", os.path.join(TREE, "tests/golden/stream/blocked.rec"))
        said = run(PROGRAM, "record", "--db", os.path.join(folder, "history.db"), *words)
        if said.returncode:
            return said.stderr
        # Nobody is to be sent anything: they are understood, and then find no place.
        with open(path, "w", encoding="utf-8") as file:
            file.write(re.sub(r"^#((?:sink|format) = )", r"\1", text, flags=re.M))
        said = run(PROGRAM, "record", "--spool", os.path.join(folder, "none/spool"), *words)
    if said.returncode != 1 or "the spool " not in said.stderr:
        return said.stderr
    # What is said in one line and then is over has no place in a file.
    options = {re.search(r"--([a-z-]+)", label).group(1) for label, _ in helped("record", "--help")[1]}
    want = options - {"config", "replay", "status", "output", "help"}
    return "" if set(names) == want else f"{sorted(names)}, expected {sorted(want)}"


# ---- bash ----

HARNESS = r"""
compopt() { :; }
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
COMP_LINE="$*"
COMP_POINT=${#COMP_LINE}
[[ $(complete -p portsnoop) == 'complete -F _portsnoop portsnoop' ]] || exit 3
_portsnoop portsnoop "$2" "$1"
printf '%s\n' "${COMPREPLY[@]}"
"""


def completed(*words):
    need("bash")
    result = run("bash", "--norc", "-c", HARNESS, "bash", os.path.join(MANUAL, "portsnoop.bash"), "portsnoop",
                 *words)
    if result.returncode or result.stderr:
        raise AssertionError(f"status {result.returncode}, {result.stderr!r}")
    return {line for line in result.stdout.splitlines() if line}


def offers(words, have, lack=()):
    found = completed(*words)
    missing, wrong = set(have) - found, set(lack) & found
    return f"{sorted(found)[:40]} lacks {sorted(missing)}, has {sorted(wrong)}" if missing or wrong else ""


def only(words, want):
    found = completed(*words)
    return "" if found == set(want) else f"{sorted(found)[:40]}, expected {sorted(want)}"


def bash_options(name):
    """All of --help, and nothing else."""
    want = set()
    for label, _ in helped(name, "--help")[1]:
        want |= set(re.findall(r"(?<!\S)--?[a-zA-Z][a-z-]*", label.partition(" ")[0].rstrip(",") + " " + label))
    return only((name, "-"), want)


def bash_values(name):
    """Each word that is offered for a value is one that the program takes."""
    for label, _ in helped(name, "--help")[1]:
        option = re.search(r"--[a-z-]+", label).group()
        if not label.endswith(("FORMAT", "TIER", "CALL", "4|6")) and option != "--proto":
            continue
        values = completed(name, option, "")
        if not values:
            return f"nothing is offered for {option}"
        for value in values:
            said = run(PROGRAM, name, option, value, "--no-such-option").stderr
            if "--no-such-option" not in said:
                return f"{option} {value}: {said!r}"
        said = run(PROGRAM, name, option, "no-such-value").stderr
        if "no-such-value" not in said:
            return f"{option} takes anything: {said!r}"
    return ""


def bash_files():
    folder = tempfile.mkdtemp()
    try:
        for name in ("one.psn", "two words"):
            open(os.path.join(folder, name), "w", encoding="utf-8").close()
        os.mkdir(os.path.join(folder, "three"))
        names = {os.path.join(folder, name) for name in ("one.psn", "two words", "three")}
        return (only(("replay", folder + "/"), names) or only(("trace", "--save", folder + "/"), names)
                or only(("explain", "--proc", folder + "/"), {os.path.join(folder, "three")}))
    finally:
        shutil.rmtree(folder)


# ---- zsh ----


def zsh_offers(line, *wanted):
    """What Tab shows behind a line, in a terminal."""
    need("zsh")
    folder = tempfile.mkdtemp()
    process, terminal = pty.fork()
    if not process:
        os.environ.clear()
        os.environ.update(ENVIRONMENT, ZDOTDIR=folder, COLUMNS="200", LINES="100")
        os.execvp("zsh", ["zsh", "-f", "-i"])
    try:
        setup = (f"PS1='ready> '; fpath=({MANUAL} $fpath); autoload -Uz compinit; compinit -u -D; "
                 "zstyle ':completion:*' list-prompt ''; LISTMAX=1000; unsetopt beep zle_bracketed_paste; "
                 "stty cols 200 rows 100\n")
        talk(terminal, setup, "ready> ")
        said = talk(terminal, line + "\t", *wanted)
        missing = [word for word in wanted if word not in said]
        return f"{said[-1500:]!r} lacks {missing}" if missing else ""
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)
        os.close(terminal)
        shutil.rmtree(folder)


def talk(terminal, text, *wanted):
    os.write(terminal, text.encode())
    said, deadline = "", time.monotonic() + PATIENCE
    while time.monotonic() < deadline and not all(word in said for word in wanted):
        if not select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
            break
        said += os.read(terminal, 65536).decode("utf-8", "replace")
    return said


def accepts(*words):
    need(words[0])
    said = run(*words)
    return (said.stdout + said.stderr).strip() or said.returncode


def main():
    test("manual: a page for each command", every_command)
    for page in pages():
        name = os.path.basename(page)
        test(f"{name}: man has no warning", silent, page, "man", "--warnings", "-E", "UTF-8", "-l")
        test(f"{name}: groff has no warning", silent, page, "groff", "-man", "-ww", "-z", "-Tutf8")
        test(f"{name}: mandoc has no complaint", silent, page, "mandoc", "-T", "lint")
        test(f"{name}: has its sections", structure, name)
    test("manual: the pages of ours that pages refer to are there", references)
    for name in commands():
        test(f"portsnoop-{name}.8: says what --help says", same_words, name)
        test(f"bash: all options of {name}", bash_options, name)
        test(f"bash: values of the options of {name}", bash_values, name)
    test("portsnoop-history.8: the columns of the views", sql_columns)
    test("portsnoop-history.8: the queries run", sql_examples)
    test("portsnoop-fields.5: the names that are written", field_names)
    test("portsnoop.conf: has the options of record, with values that are accepted", configuration)
    test("bash: shellcheck", accepts, "shellcheck", os.path.join(MANUAL, "portsnoop.bash"))
    test("bash: commands", only, ("",), {*commands(), "help"})
    test("bash: the beginning of a command", only, ("wh",), {"who"})
    test("bash: options without a command are those of trace", offers, ("--",),
         {"--port", "--save", "--version"}, {"--wait"})
    test("bash: help, and a command", only, ("help", "ex"), {"explain"})
    test("bash: the value behind =", only, ("trace", "--output", "=", "j"), {"json"})
    test("bash: nothing yet behind =", only, ("trace", "--tier", "="),
         {"auto", "fentry", "kprobe", "tracepoint"})
    test("bash: kinds of sinks", offers, ("trace", "--sink", "sys"),
         {"syslog", "syslog:unix:", "syslog:udp:", "syslog:tcp:"})
    test("bash: the next word of a list", only, ("trace", "--proto", "tcp,udpl"), {"tcp,udplite"})
    test("bash: a value without a command", only, ("--tier", "f"), {"fentry"})
    test("bash: users", offers, ("trace", "-u", "ro"), {"root"})
    test("bash: processes", offers, ("trace", "--pid", ""), {str(os.getpid())})
    test("bash: files, folders, names with blanks", bash_files)
    test("bash: the command that is traced", offers, ("trace", "--", "bas"), {"bash"})
    test("bash: behind -- it is not an option of ours", only, ("trace", "--", "true", "--por"), set())
    test("bash: no command of ours", only, ("nonsense", "-"), set())
    test("zsh: it parses", accepts, "zsh", "-n", os.path.join(MANUAL, "_portsnoop"))
    test("zsh: commands, with what they do", zsh_offers, "portsnoop ", "explain",
         "say who has a port now, or wait for it")
    test("zsh: options, with what they do", zsh_offers, "portsnoop who --", "--wait-free",
         "wait until the ports are given back, TIME_WAIT included")
    test("zsh: kinds of sinks", zsh_offers, "portsnoop record --sink=", "clickhouse", "journald")
    test("zsh: values", zsh_offers, "portsnoop trace --output=", "table", "json", "csv")
    test("zsh: the next word of a list", zsh_offers, "portsnoop trace --proto tcp,udpl", "tcp,udplite")
    test("zsh: options without a command are those of trace", zsh_offers, "portsnoop --tie", "--tier=")
    print(f"{COUNTS['ok']} passed, {COUNTS['not ok']} failed, {COUNTS['skip']} skipped")
    return 1 if COUNTS["not ok"] else 0


if __name__ == "__main__":
    sys.exit(main())
