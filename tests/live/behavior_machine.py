# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Machines that lack something, what is left behind on all of them, doctor and
explain."""

import json
import os
import re
import shutil
import signal
import subprocess

from behavior_tool import (PATIENCE, Claimer, Skip, Tool, at_end, await_exit, await_true, check, equal, get,
                           owned_ids, parse_events, program, room, run, test)


def reachable_program():
    """A copy that everybody may run, wherever the tree lies."""
    path = os.path.join(room(), "portsnoop")
    shutil.copy(program(), path)
    os.chmod(path, 0o755)
    return path


def in_mounts(script, *words):
    """portsnoop in a mount namespace of its own, behind what the script does there."""
    return subprocess.run(["unshare", "-m", "sh", "-c", f'{script} && exec "$0" "$@"', program(), *words],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
                          check=False)


# ---- what is missing ----


def refused(done_status, out, words, *parts):
    equal(done_status, 1, f"exit status, it said {words!r}")
    check(not out, "output:", out)
    equal(words.count("\n"), 1, f"lines of {words!r}")
    for part in parts:
        check(part in words, "not in the words:", part, ":", words)


@test("machine: without root")
def not_root():
    tool = reachable_program()
    for prefix in (("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"),
                   ("setpriv", "--bounding-set", "-all")):
        for words in (["trace"], ["trace", "-o", "json", "--", "sh", "-c", "echo ran >&2"]):
            result = run(*prefix[1:], tool, *words, command=prefix[0])
            refused(result.status, result.out, result.words(), "CAP_BPF", "root", "sudo")


@test("machine: replay and explain need no root")
def no_root_needed():
    tool = reachable_program()
    path = os.path.join(room(), "saved")
    equal(run("trace", "--save", path, "--", "true").status, 0, "exit status of trace")
    os.chmod(path, 0o644)
    prefix = ("--reuid", "65534", "--regid", "65534", "--clear-groups")
    for words in (["replay", "-o", "json", path], ["explain", "80"]):
        result = run(*prefix, tool, *words, command="setpriv")
        equal((result.status, bool(result.out)), (0, True), f"status and output of {words[0]}")


@test("machine: without BTF")
def no_btf():
    done = in_mounts(f"mount --bind {room()} /sys/kernel/btf", "trace")
    refused(done.returncode, done.stdout, done.stderr, "/sys/kernel/btf/vmlinux",
            "CONFIG_DEBUG_INFO_BTF=y", "/sys must be mounted")


def without(kind):
    """A script that takes away every mount of a file system."""
    return (f"grep -E -- ' - {kind} ' /proc/self/mountinfo | cut -d ' ' -f 5 | "
            'while read -r point; do umount -l "$point" || exit 1; done')


@test("machine: without a mount of cgroup v2")
def no_cgroup():
    done = in_mounts(without("cgroup2"), "trace", "--tier", "tracepoint")
    refused(done.returncode, done.stdout, done.stderr, "cgroup v2", "mount -t cgroup2")


@test("machine: without a mount of tracefs, it makes its own")
def no_tracefs():
    script = f"{without('tracefs')} && {without('debugfs')}"
    done = in_mounts(script, "trace", "-o", "json", "--tier", "tracepoint", "--", "sh", "-c",
                     "grep -c tracefs /proc/mounts; true")
    equal(done.returncode, 0, f"exit status, it said {done.stderr!r}")
    lines = done.stdout.encode().split(b"\n")[:-1]
    equal([line for line in lines if not line.startswith(b"{")], [b"0"], "mounts that others see")
    check("seen = " in done.stderr, "words:", done.stderr)


@test("machine: a tracefs that is mounted is used")
def with_tracefs():
    done = in_mounts("mount -t tracefs tracefs /sys/kernel/tracing", "trace", "-o", "json", "--tier",
                     "tracepoint", "--", "true")
    equal(done.returncode, 0, f"exit status, it said {done.stderr!r}")


@test("machine: closed standard files are not mixed up with others")
def closed_files():
    path = os.path.join(room(), "saved")
    # With stdout closed, the recording must not become the output.
    done = subprocess.run(["sh", "-c", 'exec "$0" trace --save "$1" --duration 100ms <&- >&-', program(),
                           path], capture_output=True, text=True, timeout=PATIENCE, check=False)
    equal(done.returncode, 1, f"exit status, it said {done.stderr!r}")
    check("standard output: Bad file descriptor\n" in done.stderr, "words:", done.stderr)
    equal(run("replay", path).status, 0, "exit status of replay")
    done = subprocess.run(["sh", "-c", 'exec "$0" trace --save "$1" --duration 100ms 2>&-', program(),
                           path], capture_output=True, timeout=PATIENCE, check=False)
    equal(done.returncode, 0, "exit status without stderr")
    equal(run("replay", path).status, 0, "exit status of replay")


# ---- what is left behind ----


def ids_there():
    there = set()
    for kind in ("prog", "map", "link"):
        done = subprocess.run(["bpftool", "-j", kind, "show"], capture_output=True, text=True, check=False)
        # One that ends while the list is made is no failure of the list.
        for match in re.finditer(r'"id":(\d+),', done.stdout):
            there.add((kind, int(match.group(1))))
    return there


def left_behind(finish, *words):
    if not shutil.which("bpftool"):
        raise Skip("there is no bpftool")
    tool = Tool("trace", *words)
    tool.started()
    owned = owned_ids(tool.pid)
    check({kind for kind, _ in owned} == {"prog", "map", "link"}, "it holds only", owned)
    check(owned <= ids_there() | {one for one in owned if one[0] == "link"},
          "bpftool does not know", owned - ids_there())
    finish(tool)
    await_true(f"the end of {len(owned)} objects", lambda: not owned & ids_there())


@test("left behind: nothing after SIGINT")
def left_by_stop():
    left_behind(lambda tool: tool.stop())


@test("left behind: nothing after SIGKILL")
def left_by_kill():
    left_behind(lambda tool: (tool.send(signal.SIGKILL), await_exit(tool.process)))


@test("left behind: nothing after SIGKILL of a command's trace")
def left_by_kill_command():
    def finish(tool):
        with open(f"/proc/{tool.pid}/task/{tool.pid}/children", encoding="ascii") as children:
            child = int(children.read().split()[0])
        at_end(os.kill, child, signal.SIGKILL)
        tool.send(signal.SIGKILL)
        await_exit(tool.process)

    left_behind(finish, "--", "sleep", "1000")


@test("left behind: no folder, no mount, no pin")
def left_on_disk():
    def look():
        kinds = "tracefs", "debugfs", "bpf", "cgroup2"
        with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
            mine = sorted(line.split()[4] for line in mounts
                          if line.split(" - ")[1].split()[0] in kinds and "/tmp/" not in line)
        pins = os.listdir("/sys/fs/bpf") if os.path.isdir("/sys/fs/bpf") else []
        return mine, [name for name in pins if "portsnoop" in name]

    before = look()
    equal(run("trace", "--", "true").status, 0, "exit status")
    equal(run("doctor").status, 0, "exit status of doctor")
    equal(look(), before, "mounts and pins")


# ---- doctor ----


def not_covered(tier):
    start = parse_events(run("trace", "-o", "json", "--tier", tier, "--", "true").lines())[0]
    return get(start, "portsnoop.stream.not_covered"), get(start, "portsnoop.stream.tier")


@test("doctor: says what a stream says, and what it can load it can use")
def doctor_agrees():
    result = run("doctor", "-o", "json")
    equal((result.status, result.words()), (0, ""), "status and words")
    equal(len(result.lines()), 1, "lines")
    told = parse_events(result.lines())[0]
    usable = [tier for tier in told["tiers"] if tier["usable"]]
    check(usable, "no tier is usable")
    for tier in usable:
        missing = [name for name, seen in tier["claims"].items() if not seen]
        equal(not_covered(tier["name"]), (missing, tier["name"]), "not_covered of " + tier["name"])
        check(any(hook["attached"] for hook in tier["hooks"]), "no hook of", tier["name"])
    equal(not_covered("auto")[1], usable[0]["name"], "tier that auto takes")
    for feature in told["features"]:
        check(feature["ok"] or feature["needs"], "says not what to do:", feature)


@test("doctor: text tells the same")
def doctor_text():
    told = json.loads(run("doctor", "-o", "json").out)
    result = run("doctor")
    equal((result.status, result.words()), (0, ""), "status and words")
    text = result.out.decode()
    used = next(tier["name"] for tier in told["tiers"] if tier["usable"])
    for tier in told["tiers"]:
        words = ("in use" if tier["name"] == used else "usable") if tier["usable"] else "no"
        check(re.search(rf"^  {words} +{tier['name']} ", text, re.M), "told otherwise:", words, tier["name"])
    for feature in told["features"]:
        check(re.search(rf"^  {'ok' if feature['ok'] else 'missing'} +{re.escape(feature['name'])}", text,
                        re.M), "told otherwise:", feature)
    check("\x1b" not in text, "an escape")


@test("doctor: without what it needs, the status is 1 and all is said")
def doctor_fails():
    tool = reachable_program()
    result = run("--bounding-set", "-all", tool, "doctor", "-o", "json", command="setpriv")
    equal(result.status, 1, "exit status")
    told = json.loads(result.out)
    check(not any(tier["usable"] for tier in told["tiers"]), "usable without capabilities")
    check([one for one in told["features"] if not one["ok"] and "sudo" in one["needs"]], "no advice")
    result = run("--bounding-set", "-all", tool, "doctor", command="setpriv")
    equal(result.status, 1, "exit status of text")
    check(b"missing capability CAP_BPF" in result.out, "text:", result.out)


@test("doctor: does not disturb a trace that runs")
def doctor_beside():
    claimer = Claimer()
    tool = Tool("trace", "-o", "json", "--pid", str(claimer.pid))
    tool.started()
    claimer.ask("claim", "udp4", "127.0.0.1", 0)
    equal(run("doctor").status, 0, "exit status")
    claimer.ask("claim", "udp4", "127.0.0.1", 0)
    equal(len(tool.stop()), 3, "lines")


@test("doctor: two traces at once both see everything")
def two_traces():
    claimer = Claimer()
    tools = [Tool("trace", "-o", "json", "--pid", str(claimer.pid)) for _ in range(2)]
    for tool in tools:
        tool.started()
    ports = [claimer.ask("claim", "tcp4", "127.0.0.1", 0)[1] for _ in range(20)]
    for tool in tools:
        events = parse_events(tool.stop())[:-1]
        equal([get(event, "portsnoop.local.port") for event in events], ports, "ports")


# ---- explain ----


@test("explain: exit statuses")
def explain_statuses():
    for words, status in ((["80"], 0), (["ssh"], 0), (["60002"], 0), (["no-such-service-here"], 1),
                          (["80", "no-such-service-here"], 1), (["0"], 0), (["49152-65535"], 0),
                          (["80/udp"], 0), (["-o", "json", "80", "443"], 0),
                          (["-o", "json", "no-such-service-here"], 1), (["70000"], 2)):
        equal(run("explain", *words).status, status, f"exit status of explain {' '.join(words)}")


@test("explain: JSON is one object a port")
def explain_json():
    lines = run("explain", "-o", "json", "80", "ssh", "60002").lines()
    equal(len(lines), 3, "lines")
    parse_events(lines)


@test("explain: into a full disk, and into a pipe that nobody reads")
def explain_outputs():
    for words, status in ((["explain", "80"], 2), (["doctor"], 1), (["--help"], 1)):
        with open("/dev/full", "wb") as full:
            tool = Tool(*words, stdout=full)
            equal(tool.status(), status, f"exit status of {words} into a full disk")
        check("No space left on device" in tool.words(), "words:", tool.words())
        here, there = os.pipe()
        os.close(here)
        tool = Tool(*words, stdout=there)
        os.close(there)
        check(tool.status() in (0, 141), "exit status of", words, "without a reader:", tool.status())
        equal(tool.words(), "", f"words of {words} without a reader")
