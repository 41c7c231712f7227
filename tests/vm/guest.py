# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Boots one kernel with one initramfs and hands back what its init sent."""

import base64
import gzip
import os
import re
import signal
import subprocess

SECONDS = 400

MACHINES = {
    # q35: microvm machines hang now and then. la57 and mitigations cost time and mean nothing here.
    "amd64": {"options": ["-M", "q35,usb=off,sata=off,smbus=off,vmport=off", "-cpu", "max,la57=off"],
              "console": "ttyS0", "append": "mitigations=off"},
    "arm64": {"options": ["-M", "virt", "-cpu", "max,pauth-impdef=on"],
              "console": "ttyAMA0", "append": ""},
}
APPEND = "panic=-1 nokaslr quiet lsm=landlock,lockdown,yama,bpf"


class Outcome:
    """pieces: {name: bytes}; problem: why the guest did not do all its jobs, or None."""

    def __init__(self):
        self.pieces = {}
        self.problem = None
        self.console = ""

    def text(self, name):
        return self.pieces.get(name, b"").decode(errors="replace")


def pieces_split(data):
    """{name: content} of the pieces that are whole."""
    pieces, name, lines = {}, None, []
    for line in data.decode("ascii", errors="replace").splitlines():
        line = line.strip()
        if line.startswith("@@begin "):
            name, lines = line[8:], []
        elif line.startswith("@@end ") and name == line[6:]:
            try:
                pieces[name] = gzip.decompress(base64.b64decode("".join(lines), validate=True))
            except (ValueError, EOFError, OSError):
                pass  # a broken piece counts as missing, and missing ones are told of
            name = None
        elif name is not None:
            lines.append(line)
    return pieces


def command_make(qemu, racy, kernel, initrd, folder):
    machine = MACHINES[kernel.arch]
    threads = "single" if racy else "multi"
    return qemu + machine["options"] + [
        "-accel", f"tcg,thread={threads}", "-smp", "2", "-m", "1G", "-display", "none", "-no-reboot",
        "-nodefaults", "-serial", "file:" + os.path.join(folder, "console.log"),
        "-serial", "file:" + os.path.join(folder, "results.log"), "-kernel", kernel.vmlinuz,
        "-initrd", initrd, "-append", f"console={machine['console']} {APPEND} {machine['append']}"]


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def boot(command, folder, seconds):
    outcome = Outcome()
    late = False
    with open(os.path.join(folder, "qemu.log"), "wb") as words:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=words, stderr=words,
                                   start_new_session=True)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            late = True
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    outcome.pieces = pieces_split(read(os.path.join(folder, "results.log")))
    outcome.console = read(os.path.join(folder, "console.log")).decode(errors="replace")
    if "end" not in outcome.pieces:
        outcome.problem = guest_problem(outcome, late, seconds, read(os.path.join(folder, "qemu.log")))
    return outcome


def oops(console):
    found = re.search(r"(Oops|BUG|Kernel panic|general protection fault|Unable to handle)[^\n]*", console)
    return found.group().strip() if found else None


def guest_problem(outcome, late, seconds, words):
    reached = "reached init" if "uname" in outcome.pieces else "did not reach init"
    if late:
        return f"{reached}, stopped after {seconds} s"
    if oops(outcome.console):
        return f"{reached}, {oops(outcome.console)}"
    last = words.decode(errors="replace").strip().splitlines()[-1:] or ["it ended without a word"]
    return f"{reached}, {last[0]}"


def guest_run(qemu, racy, kernel, initrd, folder, seconds=SECONDS):
    """Once more only if the kernel fell over before there was an init: that is the emulator's fault."""
    command = command_make(qemu, racy, kernel, initrd, folder)
    outcome = boot(command, folder, seconds)
    if outcome.problem and "uname" not in outcome.pieces and oops(outcome.console):
        outcome = boot(command, folder, seconds)
    return outcome
