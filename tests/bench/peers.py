#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What do portsnoop and its peers see of the same claims, side by side in one guest?

usage: peers.py [--readme FILE] [--alone] [--keep DIR] [--judge] [--verbose]

Boots a Debian kernel, starts every watcher in it, puts sockets into every
situation of the factory while they look on, and judges what each wrote by what
the callers themselves know. Prints the table; with --readme it is also written
between two marks of the file. What a guest sent is left in build/bench/peers/.
Environment: CC, DEBIAN_MIRROR.
"""

import argparse
import datetime
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(TREE, "tests", part) for part in ("live", "vm")]

import compare  # noqa: E402  (of the live suite)
import fetch  # noqa: E402    (of the guests)
import guest  # noqa: E402
import initramfs  # noqa: E402
import programs  # noqa: E402
import tracer  # noqa: E402

import sightings  # noqa: E402
import verdict  # noqa: E402

KERNEL = "6.12/amd64"
CACHE = os.path.join(TREE, ".cache", "bench")
OUT = os.path.join(TREE, "build", "bench", "peers")
BEGIN, END = "<!-- peers -->", "<!-- /peers -->"
MEMORY = "2G"   # bpftrace brings LLVM
SECONDS = 600   # of a boot; --alone needs as many factories as there are watchers

# Name, command line, package: each with the options that make it show the most.
WATCHERS = [
    ("portsnoop", "portsnoop trace -o json --release --tier fentry", None),
    ("bindsnoop", "/usr/sbin/bindsnoop-libbpf -x", "libbpf-tools"),
    ("tcpconnect", "/usr/sbin/tcpconnect-libbpf -s", "libbpf-tools"),
    ("tcptracer", "/usr/sbin/tcptracer-libbpf", "libbpf-tools"),
    ("solisten", "/usr/sbin/solisten-libbpf", "libbpf-tools"),
    ("tcpstates", "/usr/sbin/tcpstates-libbpf -w", "libbpf-tools"),
    ("bpftrace", "/usr/bin/bpftrace -q /peers/peers.bt", "bpftrace"),
]
NAMES = [name for name, _, _ in WATCHERS]
LIBRARIES = "usr/lib/x86_64-linux-gnu"
LOADER = "usr/lib64/ld-linux-x86-64.so.2"


class Failed(Exception):
    """No table can be made; the reason as text."""


# ---- the guest ----


def libraries_of(folder, program):
    """The shared libraries that a program of an unpacked folder needs, as its own loader finds them."""
    done = subprocess.run([os.path.join(folder, LOADER), "--library-path", os.path.join(folder, LIBRARIES),
                           "--list", os.path.join(folder, program)], capture_output=True, text=True)
    found = re.findall(r"=> (\S+) \(", done.stdout)
    strangers = [path for path in found if not path.startswith(folder)]
    if done.returncode != 0 or strangers or "not found" in done.stdout:
        raise Failed(f"{program}: libraries that peers.tsv does not bring: {done.stdout}{done.stderr}")
    return {os.path.basename(path): path for path in found if os.path.basename(path) != os.path.basename(LOADER)}


def peers_add(path, folder):
    """Appends a second archive to the initramfs: the kernel unpacks one after the other."""
    cpio = initramfs.Cpio()
    for name in ("lib64", "peers", "usr", "usr/bin", "usr/sbin", "usr/lib", LIBRARIES):
        cpio.folder(name)
    libraries = {}
    for name, command, package in WATCHERS:
        cpio.file(f"peers/{name}", command.encode() + b"\n", 0o644)
        if package:
            program = command.split()[0].lstrip("/")
            cpio.file(program, initramfs.file_read(os.path.join(folder, program)))
            libraries.update(libraries_of(folder, program))
    for name, source in libraries.items():
        cpio.file(f"{LIBRARIES}/{name}", initramfs.file_read(source))
    cpio.file("lib64/" + os.path.basename(LOADER), initramfs.file_read(os.path.join(folder, LOADER)))
    for name in ("peers.bt", "peers.sh"):
        cpio.file(f"peers/{name}", initramfs.file_read(os.path.join(HERE, name)))
    with tempfile.NamedTemporaryFile() as second:
        cpio.write(second.name)
        with open(path, "ab") as file:
            file.write(b"\0" * (-os.path.getsize(path) % 512) + initramfs.file_read(second.name))


def guest_boot(machine, folder, peers, groups, seconds):
    jobs = [f"run sh /peers/peers.sh {group} {' '.join(names)}" for group, names in groups.items()]
    with tempfile.NamedTemporaryFile(suffix=".cpio") as initrd:
        initramfs.initramfs_make(initrd.name, machine["kernel"].modules, machine["programs"], jobs)
        peers_add(initrd.name, peers)
        qemu = machine["qemu"]
        command = guest.command_make(qemu, fetch.qemu_is_racy(qemu), machine["kernel"], initrd.name, folder)
        command[command.index("-m") + 1] = MEMORY
        return guest.boot(command, folder, seconds)


def machine_prepare():
    """Everything that a guest is made of, fetched and built."""
    machine = {}
    kernel = fetch.kernels_select(fetch.kernels_read(), [KERNEL])[0]
    with fetch.Lock(fetch.CACHE):
        apt = fetch.Apt(fetch.CACHE)
        machine["programs"] = programs.programs_get("amd64", None, fetch.busybox_get(fetch.CACHE, apt, "amd64"))
        machine["kernel"] = fetch.kernel_get(fetch.CACHE, apt, kernel)
        machine["qemu"] = fetch.qemu_get(fetch.CACHE, apt, "amd64")
    return machine


def peers_get():
    """(folder, {package: version}) of the peers."""
    packages = fetch.packages_read(os.path.join(HERE, "peers.tsv"))
    with fetch.Lock(CACHE):
        folder, _ = fetch.packages_get(CACHE, fetch.Apt(CACHE), "tools", packages)
    with open(os.path.join(folder, ".done"), encoding="utf-8") as file:
        return folder, dict(line.split()[:2] for line in file)


def pieces_keep(outcome, folder):
    for name, content in outcome.pieces.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)


# ---- what came of it ----


def reports_read(folder):
    reports = []
    for name, prefix in (("report", ""), ("report32", "32:")):
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            continue
        for report in compare.reports_from(compare.read_lines(path)):
            report.situation = prefix + report.situation
            reports.append(report)
    if not reports:
        raise Failed(f"the factory told of no situation; see {os.path.relpath(folder)}")
    failed = [report.situation for report in reports if report.result == "failed"]
    if failed:
        raise Failed(f"situations that did not come about: {', '.join(failed)}; see {os.path.relpath(folder)}")
    return reports


def text_read(path):
    try:
        with open(path, encoding="utf-8", errors="replace", newline="\n") as file:
            return file.read()
    except OSError:
        return ""


def watcher_judge(name, folder):
    """The kinds as this watcher saw them, and a word on what it said of itself."""
    words = text_read(os.path.join(folder, f"{name}.words")).strip()
    if "peers: not ready" in words:
        raise Failed(f"{name} did not start to watch: {words[-400:]}")
    status = text_read(os.path.join(folder, f"{name}.status")).strip()
    if status != "0":
        raise Failed(f"{name} ended with status {status or '?'}: {words[-400:]}")
    seen = sightings.read(name, os.path.join(folder, f"{name}.out"))
    if not seen:
        raise Failed(f"{name} wrote nothing that we can read; see {os.path.relpath(folder)}/{name}.out")
    lost = re.findall(r"(?i)^.*\blost\b.*$", words, re.M)
    return verdict.judge(reports_read(folder), seen), lost if name != "portsnoop" else []


def table_make(folders, facts):
    """Lines of Markdown."""
    judged, notes = {}, []
    for name in NAMES:
        judged[name], lost = watcher_judge(name, folders[name])
        notes += [f"{name} said: {line}" for line in lost]
    lines = ["| a claim (how many calls) | " + " | ".join(NAMES) + " |", "|" + "---|" * (len(NAMES) + 1)]
    for kind in verdict.KINDS:
        calls = judged[NAMES[0]].get(kind.name, [])
        cells = [verdict.cell(judged[name].get(kind.name, [])) for name in NAMES]
        lines.append(f"| {kind.name} ({len(calls)}) | " + " | ".join(cells) + " |")
    totals = [verdict.total(judged[name]) for name in NAMES]
    lines.append(f"| all: in full / in part / not seen ({sum(totals[0])}) | "
                 + " | ".join(" / ".join(map(str, total)) for total in totals) + " |")
    return facts + [""] + lines + ([""] + notes if notes else []), judged


def facts_make(machine, versions, alone):
    commands = []
    for _, command, package in WATCHERS:
        # As a person would type it, where the package is installed.
        typed = " ".join(os.path.basename(word) for word in command.split())
        commands.append(f"`{typed}`" + (f" ({package} {versions[package]})" if package else ""))
    how = "one after the other" if alone else "all at the same time"
    return [f"Linux {machine['kernel'].release} (Debian {machine['kernel'].version}), x86-64, "
            f"{datetime.date.today().isoformat()}. Watching {how}: {', '.join(commands)}."]


def readme_write(path, lines):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise Failed(f"{path} has no lines {BEGIN} and {END}, in this order, to write between")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + after)


# ---- command ----


def run(options):
    groups = {name: [name] for name in NAMES} if options.alone else {"all": NAMES}
    folders = {name: os.path.join(options.keep, group) for group, names in groups.items() for name in names}
    if not options.judge:
        machine = machine_prepare()
        peers, versions = peers_get()
        os.makedirs(options.keep, exist_ok=True)
        with fetch.Lock(options.keep):
            outcome = guest_boot(machine, options.keep, peers, groups, options.seconds)
            pieces_keep(outcome, options.keep)
        if outcome.problem:
            raise Failed(f"the guest: {outcome.problem}; see {os.path.relpath(options.keep)}")
        facts = facts_make(machine, versions, options.alone)
        with open(os.path.join(options.keep, "facts"), "w", encoding="utf-8") as file:
            file.write("\n".join(facts) + "\n")
    lines, judged = table_make(folders, text_read(os.path.join(options.keep, "facts")).splitlines())
    print("\n".join(lines))
    if options.verbose:
        verdict.explain(judged)
    if options.readme:
        readme_write(options.readme, lines)
    holes = verdict.holes(judged["portsnoop"])
    for hole in holes:
        print(f"peers.py: portsnoop: {hole}", file=sys.stderr)
    return 1 if holes else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--readme", metavar="FILE", help=f"Markdown with {BEGIN} and {END}")
    parser.add_argument("--alone", action="store_true", help="one watcher at a time, each with a factory")
    parser.add_argument("--keep", metavar="DIR", default=OUT, help="what the guest sent; default build/bench/peers")
    parser.add_argument("--judge", action="store_true", help="boot nothing, judge what an earlier run kept")
    parser.add_argument("--verbose", action="store_true", help="each call that was not seen in full")
    parser.add_argument("--seconds", type=int, default=SECONDS, metavar="N", help="limit of the boot")
    tracer.terminate_by_exception()
    try:
        return run(parser.parse_args())
    except (Failed, fetch.Failed, programs.Missing, compare.Broken) as error:
        print(f"peers.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
