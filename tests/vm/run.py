#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Boots real kernels and runs the live suite in each, tier by tier.

usage: run.py [options]
Environment: KERNEL (6.12, 6.12/arm64, several with commas), TIER, CC, CROSS, DEBIAN_MIRROR.

A cell is one kernel with one tier, and one boot. A line for each situation of
each cell, then the sum; with --table the support matrix is brought up to date.
What a guest sent is left in build/vm/guest/.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TREE, "tests", "live"))

import compare  # noqa: E402  (of the live suite)
import fetch  # noqa: E402
import guest  # noqa: E402
import initramfs  # noqa: E402
import matrix  # noqa: E402
import programs  # noqa: E402
import tally_compare  # noqa: E402  (of the live suite)
import verifier  # noqa: E402

TIERS = ("fentry", "kprobe", "tracepoint")
VERIFIER = "verifier"  # a cell of its own beside the tiers
GUESTS = 2

# Cells that a kernel cannot have, so that refusing is right there.
IMPOSSIBLE = {("6.1", "arm64", "fentry"): "arm64 has no BPF trampolines before 6.4"}

SCRIPT_LINE = re.compile(r"(?P<state>ok|not ok|skip) (?P<name>[^:]*)(: (?P<reason>.*))?")
KERNEL_TROUBLE = re.compile(r"WARNING: |BUG: |Oops|general protection fault|refcount_t: |KASAN")


class Machine:
    """All that a kernel's cells have in common: fetched, built, ready to boot; or a problem."""

    def __init__(self, kernel):
        self.kernel = kernel
        self.name = f"{kernel.series}/{kernel.arch}"
        self.unpacked = self.qemu = self.programs = self.problem = None
        self.lacking = False  # the problem is this machine's, not the kernel's


class Cell:
    def __init__(self, machine, tier):
        self.machine = machine
        self.tier = tier
        self.name = f"{machine.name} {tier}"
        self.folder = os.path.join(programs.OUT, "guest", self.name.replace("/", "-").replace(" ", "-"))
        self.outcome = None


# ---- what is to be run ----


def words(text):
    return [word for word in re.split(r"[\s,]+", text or "") if word]


def with_arch(kernel):
    return kernel if "/" in kernel else kernel + "/amd64"


def tiers_known(portsnoop):
    """Those that the program knows, in our order: it names them when it is asked for nonsense."""
    try:
        done = subprocess.run([portsnoop, "trace", "--tier", "nonsense"], capture_output=True, text=True)
    except OSError:
        return TIERS
    return [tier for tier in TIERS if re.search(rf"\b{tier}\b", done.stderr)] or TIERS


def machine_prepare(machine, options, apt):
    kernel = machine.kernel
    try:
        busybox = fetch.busybox_get(options.cache, apt, kernel.arch)
        machine.programs = programs.programs_get(kernel.arch, getattr(options, kernel.arch), busybox)
        machine.unpacked = fetch.kernel_get(options.cache, apt, kernel)
        machine.qemu = fetch.qemu_get(options.cache, apt, kernel.arch)
    except (programs.Missing, fetch.Unreachable) as error:
        machine.problem, machine.lacking = str(error), True
    except fetch.Failed as error:
        machine.problem = str(error)


def cell_boot(cell, seconds):
    os.makedirs(cell.folder, exist_ok=True)
    for old in os.listdir(cell.folder):
        os.unlink(os.path.join(cell.folder, old))
    machine = cell.machine
    job = "verify" if cell.tier == VERIFIER else f"tier {cell.tier}"
    with tempfile.NamedTemporaryFile(suffix=".cpio") as initrd:
        initramfs.initramfs_make(initrd.name, machine.unpacked.modules, machine.programs, [job])
        cell.outcome = guest.guest_run(machine.qemu, fetch.qemu_is_racy(machine.qemu), machine.unpacked,
                                       initrd.name, cell.folder, seconds)
    if not cell.outcome.problem:
        os.unlink(os.path.join(cell.folder, "results.log"))
    for name, content in cell.outcome.pieces.items():
        with open(os.path.join(cell.folder, name), "wb") as file:
            file.write(content)
    return cell


# ---- what came of it ----


class Results:
    def __init__(self):
        self.tally = compare.Tally()
        self.rows = []
        self.efforts = verifier.baseline_read()
        self.measured = {}

    def add(self, cell, state, name, reason=None):
        self.tally.add(state, f"{cell.name} {name}", reason)


def reports_of(cell):
    """The reports of both factories, and what they say on stderr."""
    found = []
    for piece, prefix in (("report", ""), ("report32", "32:")):
        name = f"{piece}.{cell.tier}"
        if name not in cell.outcome.pieces:
            continue
        for report in compare.reports_from(compare.read_lines(os.path.join(cell.folder, name))):
            report.situation = prefix + report.situation
            found.append(report)
    return found


def has_error(report):
    return any(line.get("error") for line in report.lines)


def tier_judge(cell, results, row):
    outcome = cell.outcome
    status, said = outcome.text(f"status.{cell.tier}").strip(), outcome.text(f"words.{cell.tier}").strip()
    series, arch = cell.machine.kernel.series, cell.machine.kernel.arch
    impossible = IMPOSSIBLE.get((series, arch, cell.tier))
    if not outcome.pieces.get(f"trace.{cell.tier}") and status not in ("", "0"):
        if impossible and said.startswith("portsnoop: ") and status == "1":
            row.whole = matrix.NO_TIER
            results.add(cell, "skip", "tier", f"{impossible}; portsnoop said: {said.splitlines()[-1]}")
        else:
            row.whole = matrix.FAILS
            results.add(cell, "not ok", "tier", f"portsnoop ended with status {status}: {said or 'no word'}")
        return
    if status != "0":
        results.add(cell, "not ok", "tier", f"portsnoop ended with status {status or '?'}: {said}")
    events = compare.read_lines(os.path.join(cell.folder, f"trace.{cell.tier}"))
    problems = compare.check_stream(events)
    for problem in problems:
        results.add(cell, "not ok", "stream", problem)
    if not problems:
        results.add(cell, "ok", "stream")
    by_pid, uncovered = compare.seen_by_pid(events), compare.not_covered(events)
    reports = reports_of(cell)
    if not reports:
        results.add(cell, "not ok", "factory", "told of no situation")
    for report in reports:
        state, reason = compare.verdict(report, by_pid, uncovered, True)
        row.add(matrix.kinds_of(report.situation, has_error(report)), state, reason)
        results.add(cell, state, report.situation, reason)
    if f"tally.{cell.tier}" in outcome.pieces:
        tally_judge(cell, reports, results)
    for name in programs.SCRIPTS:
        if f"{name}.sh" in cell.machine.programs:
            script_judge(cell, name, results)


def tally_judge(cell, reports, results):
    """What was counted while the situations were traced."""
    begin, reading = compare.read_lines(os.path.join(cell.folder, f"tally.{cell.tier}"))
    for report in reports:
        state, reason = tally_compare.verdict(report, reading, set(begin["not_covered"]))
        results.add(cell, state, f"tally: {report.situation}", reason)
    problems = tally_compare.sums_check(reading)
    if any(any(rest.values()) for rest in reading["rest"]):
        problems.append(f"found no room: {reading['rest']}")
    results.add(cell, "not ok" if problems else "ok", "tally: sums", "; ".join(problems) or None)


def script_judge(cell, name, results):
    """What NAME.sh says; without its last line it did not come to its end."""
    lines = cell.outcome.text(f"{name}.report.{cell.tier}").splitlines()
    for line in lines:
        found = SCRIPT_LINE.fullmatch(line)
        if found:
            results.add(cell, found["state"], f"{name}: {found['name']}", found["reason"])
    if lines[-1:] != ["end"] or len(lines) < 2:
        results.add(cell, "not ok", name, "no end: " + "~".join(lines[-3:]))


def verifier_judge(cell, results):
    series, arch = cell.machine.kernel.series, cell.machine.kernel.arch
    efforts, explained = verifier.efforts_from(cell.outcome.text("verify"))
    if not efforts:
        results.add(cell, "not ok", "programs", cell.outcome.text("verify").strip() or "no report")
    for program, effort in efforts.items():
        results.measured[series, arch, program] = effort
        state, reason = verifier.effort_judge(results.efforts.get((series, arch, program)), effort,
                                              (series, arch, "fentry") not in IMPOSSIBLE)
        if state == "not ok":
            reason = "\n    ".join([reason] + explained.get(program, []))
        results.add(cell, state, program, reason)


def cell_judge(cell, results):
    machine = cell.machine
    row = matrix.Row(machine.kernel.series, machine.kernel.arch, cell.tier)
    if machine.problem:
        results.add(cell, "skip" if machine.lacking else "not ok", "boot", machine.problem)
        return
    outcome = cell.outcome
    if outcome.problem:
        row.whole = matrix.FAILS
        results.add(cell, "not ok", "boot", f"{outcome.problem}; see {os.path.relpath(cell.folder)}")
    if cell.tier != VERIFIER:
        results.rows.append(row)
    try:
        if cell.tier == VERIFIER:
            verifier_judge(cell, results)
        elif not outcome.problem or f"trace.{cell.tier}" in outcome.pieces:
            tier_judge(cell, results, row)
    except (compare.Broken, OSError, KeyError, ValueError) as error:
        results.add(cell, "not ok", "pieces", f"{type(error).__name__}: {error}")
    trouble = [line for line in outcome.text("dmesg").splitlines() if KERNEL_TROUBLE.search(line)]
    if trouble:
        results.add(cell, "not ok", "kernel log", "\n    ".join(trouble[:5]))
    if outcome.text("modules.refused"):
        print(f"# {cell.name}: modules that did not load: {outcome.text('modules.refused').split()}")


def cells_choose(machines, tiers, options):
    """Every machine in every tier; with --cells, those alone, in the order given."""
    if not options.cells:
        return [Cell(machine, tier) for machine in machines for tier in tiers]
    named = {f"{machine.kernel.series}/{machine.kernel.arch}": machine for machine in machines}
    return [Cell(named[machine], tier) for machine, tier in options.cells]


def cells_run(machines, tiers, options, results):
    cells = cells_choose(machines, tiers, options)
    pool = ThreadPoolExecutor(options.guests)
    running = [cell if cell.machine.problem else pool.submit(cell_boot, cell, options.seconds)
               for cell in cells]
    announced = set()
    try:
        for cell, future in zip(cells, running):
            if future is not cell:
                future.result()
            if cell.machine not in announced and cell.machine.unpacked:
                announced.add(cell.machine)
                unpacked = cell.machine.unpacked
                print(f"# {cell.machine.name}: {unpacked.version} ({unpacked.release})"
                      + (f", {unpacked.note}" if unpacked.note else ""))
            cell_judge(cell, results)
    finally:
        pool.shutdown(cancel_futures=True)


# ---- command ----


def options_parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kernel", default=os.environ.get("KERNEL"), metavar="LIST",
                        help="SERIES means x86-64, SERIES/ARCH says which; default all")
    parser.add_argument("--tier", default=os.environ.get("TIER"), metavar="LIST",
                        help=f"of {', '.join(TIERS)} and {VERIFIER}; default all")
    parser.add_argument("--cells", default=os.environ.get("CELLS"), metavar="LIST",
                        help="KERNEL:TIER each, instead of all that --kernel and --tier make")
    parser.add_argument("--amd64", metavar="FILE", help="portsnoop for x86-64, static")
    parser.add_argument("--arm64", metavar="FILE", help="portsnoop for arm64, static")
    parser.add_argument("--cache", default=fetch.CACHE, metavar="DIR")
    parser.add_argument("--table", metavar="FILE", help=f"Markdown with {matrix.BEGIN} and {matrix.END}")
    parser.add_argument("--update-verifier", action="store_true", help="make what was measured the baseline")
    parser.add_argument("--guests", type=int, default=GUESTS, metavar="N", help="at a time")
    parser.add_argument("--seconds", type=int, default=guest.SECONDS, metavar="N", help="limit of a boot")
    return parser.parse_args()


def main():
    options = options_parse()
    results = Results()
    portsnoop = options.amd64 or os.path.join(TREE, programs.PORTSNOOP["amd64"])
    patterns = [with_arch(word) for word in words(options.kernel)]
    tiers = words(options.tier) or [*tiers_known(portsnoop), VERIFIER]
    if options.cells:
        options.cells = [(with_arch(kernel), tier) for kernel, _, tier in
                         (word.partition(":") for word in words(options.cells))]
        patterns = list(dict.fromkeys(kernel for kernel, _ in options.cells))
        tiers = list(dict.fromkeys(tier for _, tier in options.cells))
    unknown = [tier for tier in tiers if tier not in (*TIERS, VERIFIER)]
    if unknown:
        print(f"run.py: TIER: '{unknown[0]}' is not accepted; expected {', '.join(TIERS)} or {VERIFIER}",
              file=sys.stderr)
        return 2
    try:
        kernels = fetch.kernels_select(fetch.kernels_read(), patterns)
    except fetch.Failed as error:
        print(f"run.py: KERNEL: {error}", file=sys.stderr)
        return 2
    machines = [Machine(kernel) for kernel in kernels]
    with fetch.Lock(options.cache):
        apt = fetch.Apt(options.cache)
        for machine in machines:
            machine_prepare(machine, options, apt)
    with fetch.Lock(programs.OUT):  # the guests' folders are there
        cells_run(machines, tiers, options, results)
    if options.update_verifier:
        verifier.baseline_write({**results.efforts, **results.measured})
    if options.table:
        matrix.table_update(options.table, results.rows)
    return results.tally.finish()


if __name__ == "__main__":
    sys.exit(main())
