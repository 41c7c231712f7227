# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What each kernel's verifier makes of each program, against what it made of it before."""

import os
from collections import namedtuple

BASELINE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "verifier.tsv")
HEAD = "# kernel\tarch\tprogram\tinstructions\tload\tattach\n"
GROWTH = 1.2
ENOTSUPP = "524"
NOISE = 50  # instructions; small programs may double

Effort = namedtuple("Effort", "insns load attach")


def baseline_read(path=BASELINE):
    efforts = {}
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                if not line.startswith("#"):
                    series, arch, program, insns, load, attach = line.rstrip("\n").split("\t")
                    efforts[series, arch, program] = Effort(insns, load, attach)
    except FileNotFoundError:
        pass
    return efforts


def baseline_write(efforts, path=BASELINE):
    def order(key):
        return key[1], [int(part) for part in key[0].split(".")], key[2]

    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD)
        for key in sorted(efforts, key=order):
            file.write("\t".join((*key, *efforts[key])) + "\n")


def efforts_from(text):
    """({program: Effort}, {program: the lines that explain a refusal}) of the guest's report."""
    efforts, words, last = {}, {}, None
    for line in text.splitlines():
        if line.startswith("verifier\t"):
            _, last, *rest = line.split("\t")
            efforts[last] = Effort(*rest)
        elif last and line.startswith("| "):
            words.setdefault(last, []).append(line[2:])
    return efforts, words


def effort_judge(old, new, trampolines=True):
    """(state, reason). Without trampolines a kernel may refuse to attach with ENOTSUPP, which has no
    name in user space."""
    if not trampolines and (new.load, new.attach) == ("ok", ENOTSUPP):
        return "skip", "this kernel has no trampolines"
    if "absent" in (new.load, new.attach) and (not old or "absent" in (old.load, old.attach)):
        return "skip", "this kernel has no such hook"
    for what, was, now in (("load", old.load if old else "ok", new.load),
                           ("attach", old.attach if old else "ok", new.attach)):
        if now not in ("ok", "-", was):  # "-": not tried
            return "not ok", f"{what}: {now}"
    if not old:
        return "ok", f"{new.insns} instructions, not in the baseline yet"
    if "-" not in (old.insns, new.insns):
        was, now = int(old.insns), int(new.insns)
        if now > was * GROWTH and now - was > NOISE:
            return "not ok", f"the verifier needs {now} instructions, it was {was}: " \
                             f"{100 * (now - was) // was} % more"
    return "ok", None if new.attach in ("ok", "-") else f"attach: {new.attach}, as it was"
