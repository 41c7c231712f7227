# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Bad input: one line that names the option, the value and what is accepted."""

import os

from behavior_tool import check, equal, room, run, test

PORT = "a port (0-65535)"
PID = "a process id (1-4194304)"
TIME = "a duration above zero"
RING = "a power of two from 4k to 1G"
COUNT = "a whole number from 1"
NETNS = "a network namespace: its inode number, a file"
FILTERS = {
    "--port": (PORT, ("80abc", "", "65536", "-1", " 80", "80 ", "80,", ",80", "80,,81", "80-", "-80",
                      "90-80", "80-70000", "http", "+80", "0x50", "80;81", "99999999999999999999")),
    "--pid": (PID, ("", "0", "-1", "4194305", "1a", "1,", "self", "1-2")),
    "--comm": ("the name of a process", ("", "sixteen-letters!")),
    "--uid": ("a user id (0-4294967294) or the name", ("", "-1", "4294967295", "no-such-user", "0,", "1x")),
    "--proto": ("tcp, udp", ("", "tcpp", "6", "tcp,", "tcp udp", "sctp4")),
    "--family": ("4, 6, ipv4 or ipv6", ("", "5", "inet", "46", "4,6")),
    "--cgroup": ("the path of a cgroup", ("", "system.slice", "./x")),
    "--netns": (NETNS, ("", "0", "-1", "4294967296", "no-such-name", "/proc/self/ns/mnt", "/dev/null",
                        "/etc/passwd", "/proc/self/ns", "/proc/0/ns/net", "../../etc/passwd")),
    "--trigger": ("bind, connect, listen, send, subflow", ("", "accept", "BIND", "bind,", "bind connect")),
    "--count": (COUNT, ("", "0", "-1", "1.5", "1k", "ten", "18446744073709551616")),
    "--output": ("table, ecs (or json), otlp, ocsf or csv", ("", "xml", "JSON", "json,csv")),
    "--fields": ("a comma-separated list of fields", ("", "no.such.field", "process.pid,", "process",
                                                      "process.pid,,message", "process.pid message")),
    "--columns": ("a comma-separated list of fields", ("", "NOPE", "PID,", "PID,NOPE")),
}
TRACE = {
    "--duration": (TIME, ("", "0", "0s", "-1s", "10x", "s", "1.s", ".5s", "1 s", "1e3", "0.0000000001s",
                          "999999999999d")),
    "--tier": ("auto, ", ("", "magic", "TRACEPOINT", "auto,tracepoint")),
    "--ring": (RING, ("", "5000", "0", "2k", "2G", "4095", "-4096", "8M8", "3M", "1T", "16E", "8MB")),
    "--save": ("a text that is not empty", ("",)),
}


def refused(words, *parts, one_line=True):
    result = run(*words)
    what = " ".join(map(repr, words))
    equal(result.status, 2, f"exit status of {what}, it said {result.words()!r}")
    equal(result.out, b"", f"output of {what}")
    text = result.words()
    check(text.endswith("\n") and (text.count("\n") == 1) == one_line, "not one line:", text)
    for part in parts:
        check(part in text, "not in the words of", what, ":", part, ":", text[:300])


def refused_values(command, table, behind=()):
    for option, (expected, values) in table.items():
        for value in values:
            parts = (f"portsnoop {command}: ", option, f"'{value}'", f"expected {expected}")
            refused([command, option, value, *behind], *parts)
            refused([command, f"{option}={value}", *behind], *parts)


@test("refuse: wrong values of trace's filters and outputs")
def trace_filters():
    refused_values("trace", FILTERS)


@test("refuse: wrong values of trace's own options")
def trace_own():
    refused_values("trace", TRACE)


@test("refuse: wrong values of replay's options")
def replay_values():
    path = os.path.join(room(), "none")
    refused_values("replay", FILTERS, (path,))


@test("refuse: short options name the long one")
def short_options():
    for words in (["-p", "80abc"], ["-p80abc"], ["trace", "-p", "80abc"]):
        refused(words, "--port", "'80abc'", PORT)
    refused(["-n", "0"], "--count", "'0'", COUNT)
    refused(["-o", "xml"], "--output", "'xml'", "table, ecs (or json), otlp, ocsf or csv")


@test("refuse: an option without its value")
def no_value():
    for option in list(FILTERS) + list(TRACE):
        refused(["trace", option], option, "has no value")
    refused(["trace", "-p"], "--port", "has no value")


@test("refuse: a flag with a value")
def flag_value():
    for option in ("--failed", "--ephemeral", "--release", "--help"):
        refused(["trace", f"{option}=yes"], option, "takes no value")


@test("refuse: unknown and ambiguous options")
def unknown_options():
    for command in ("trace", "replay", "doctor", "explain"):
        refused([command, "--nonsense"], f"portsnoop {command}: ", "--nonsense", "is no option", "--help")
        refused([command, "--nonsense=5"], "--nonsense", "is no option")
        refused([command, "-Z"], "-Z", "is no option")
    refused(["--nonsense"], "--nonsense", "is no option")
    refused(["trace", "--p", "1"], "--p", "--port", "--pid", "--proto")
    refused(["trace", "--c", "1"], "--c", "--count", "--columns", "--comm", "--cgroup")


@test("refuse: unknown commands and stray operands")
def operands():
    refused(["nonsense"], "'nonsense'", "trace, who, rate, pool, record, history, report, "
                          "explain, replay, doctor, help")
    refused([""], "''", "trace")
    refused(["TRACE"], "'TRACE'", "trace")
    refused(["help", "nonsense"], "'nonsense'")
    refused(["help", "trace", "replay"], "replay")
    refused(["trace", "60002"], "portsnoop trace: ", "'60002'")
    refused(["trace", "ls", "-l"], "'ls'", "--")
    refused(["--port", "80", "ls"], "'ls'", "--")
    refused(["doctor", "trace"], "'trace'")
    refused(["doctor", "-o", "csv"], "--output", "'csv'", "text or json")
    refused(["replay"], "portsnoop replay: ", "FILE")
    refused(["replay", "a", "b"], "'b'")
    refused(["explain"], "portsnoop explain: ")


@test("refuse: explain's operands")
def explain_operands():
    for value in ("80abc", "65536", "-1", "", "90-80", "80/", "80/tcpp", "80-", "/tcp", "1-2-3"):
        refused(["explain", "--", value], "portsnoop explain: ", f"'{value}'")


@test("refuse: hostile words cannot speak to the terminal")
def hostile_words():
    for words in (["trace", "--port", "\x1b]0;owned\x07\n\r\x9b"], ["trace", "--\x1b[2J\nforged: line"],
                  ["\x1b[31m\nforged"], ["trace", "\u202eevil\n"], ["explain", "\x1b[2J\n"]):
        result = run(*words)
        equal(result.status, 2, "exit status")
        equal(result.words().count("\n"), 1, f"lines of {result.words()!r}")
        check(not any(character < " " or character in "\x7f\x9b\u202e"
                      for character in result.words()[:-1]), "a control character:", repr(result.words()))


@test("refuse: before anything is done")
def nothing_done():
    path = os.path.join(room(), "saved")
    refused(["trace", "--save", path, "--port", "80abc"], "--port")
    refused(["trace", "--save", path, "--port", "80", "--", "echo", "ran"][:5] + ["stray"], "'stray'")
    check(not os.path.exists(path), "the file was made")


@test("refuse: --help and --version are no failure, and go to stdout")
def asked_for():
    for words in (["--help"], ["-h"], ["help"], ["help", "trace"], ["trace", "--help"], ["trace", "-h"],
                  ["replay", "--help"], ["doctor", "--help"], ["explain", "--help"], ["--version"], ["-V"]):
        result = run(*words)
        equal((result.status, result.words()), (0, ""), f"status and words of {words}")
        check(result.lines(), "nothing on stdout:", words)
        check(b"\x1b" not in result.out, "an escape:", words)
