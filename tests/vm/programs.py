# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The static programs that go into a guest: portsnoop itself and what tests it."""

import glob
import os
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
OUT = os.path.join(TREE, "build", "vm")
SYSROOT = os.path.join(TREE, "build", "sysroot-arm64")

COMPILERS = {"amd64": os.environ.get("CC") or "gcc",
             "arm64": (os.environ.get("CROSS") or "aarch64-linux-gnu-") + "gcc"}
MACHINES = {"amd64": 0x3E, "arm64": 0xB7}  # e_machine
PORTSNOOP = {"amd64": "build/portsnoop-static", "arm64": "build/arm64/portsnoop"}
OBJECTS = {"amd64": "build/portsnoop.bpf.o", "arm64": "build/arm64/portsnoop.bpf.o"}
MAKE = {"amd64": "make static", "arm64": "make arm64"}


class Missing(Exception):
    """A program that a guest needs cannot be had here; the reason as text."""


def is_fresh(path, sources):
    try:
        made = os.path.getmtime(path)
    except OSError:
        return False
    return all(os.path.getmtime(source) <= made for source in sources)


def compile_static(compiler, path, sources, flags, libraries=(), headers=()):
    if is_fresh(path, [*sources, *headers]):
        return path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    command = [compiler, "-std=gnu11", "-O1", "-g", "-static", *flags, "-o", path, *sources, *libraries]
    try:
        done = subprocess.run(command, cwd=TREE, capture_output=True, text=True)
    except OSError as error:
        raise Missing(f"{compiler}: {error.strerror}") from None
    if done.returncode != 0:
        raise Missing(f"{os.path.basename(path)} cannot be built: {(done.stderr.strip() or '?')[-400:]}")
    return path


def factory_make(arch, name="factory", flags=()):
    folder = os.path.join(TREE, "tests", "live")
    sources = sorted(glob.glob(os.path.join(folder, "factory*.c")))
    return compile_static(COMPILERS[arch], os.path.join(OUT, arch, name), sources, [*flags, "-pthread"],
                          headers=[os.path.join(folder, "factory.h")])


def factory32_make():
    """For 32-bit callers on x86-64; None where the compiler cannot make it."""
    triplet = subprocess.run([COMPILERS["amd64"], "-print-multiarch"], capture_output=True,
                             text=True).stdout.strip()
    try:
        # The kernel's headers of the machine serve both; without gcc-multilib nothing points there.
        return factory_make("amd64", "factory32", ["-m32", "-idirafter", f"/usr/include/{triplet}"])
    except Missing:
        return None


def verify_make(arch):
    bpf = os.path.join(TREE, OBJECTS[arch])
    if not os.path.exists(bpf):
        raise Missing(f"{OBJECTS[arch]} is not there: `{MAKE[arch]}` makes it")
    flags = ["-D_GNU_SOURCE", f'-DPORTSNOOP_BPF_OBJECT="{bpf}"', "-Iinclude", "-Iuser"]
    if arch == "arm64":
        include = os.path.join(SYSROOT, "usr/include")
        flags += ["-idirafter", os.path.join(include, "aarch64-linux-gnu"), "-idirafter", include,
                  "-L" + os.path.join(SYSROOT, "usr/lib/aarch64-linux-gnu")]
    sources = [os.path.join(HERE, "verify.c"), os.path.join(TREE, "user/probe/object.c")]
    return compile_static(COMPILERS[arch], os.path.join(OUT, arch, "verify"), sources, flags,
                          ["-lbpf", "-lelf", "-lz"],
                          headers=[bpf, os.path.join(TREE, "include/portsnoop/config.h")])


def least_make(arch):
    return compile_static(COMPILERS[arch], os.path.join(OUT, arch, "least"), [os.path.join(HERE, "least.c")], [])


def drain_make(arch):
    return compile_static(COMPILERS[arch], os.path.join(OUT, arch, "drain"), [os.path.join(HERE, "drain.c")], [])


def tally_reader_find():
    path = os.path.join(TREE, "build/live/tally_reader")
    if not os.path.exists(path):
        raise Missing(f"{os.path.relpath(path)} is not there: `make build/live/tally_reader` makes it")
    return path


def elf_machine(path):
    with open(path, "rb") as file:
        head = file.read(20)
    return int.from_bytes(head[18:20], "little") if head[:4] == b"\x7fELF" else None


# What a guest runs in each tier beside the situations: NAME.sh.
SCRIPTS = ("tally", "ledger", "record", "pool", "capability")


def programs_get(arch, portsnoop, busybox):
    """{name in the guest: path}; Missing when there cannot be a guest."""
    path = portsnoop or os.path.join(TREE, PORTSNOOP[arch])
    if not os.path.exists(path):
        raise Missing(f"{os.path.relpath(path)} is not there: `{MAKE[arch]}` makes it")
    if not shutil.which(COMPILERS[arch]):
        raise Missing(f"{COMPILERS[arch]} is not installed")
    programs = {"busybox": busybox, "portsnoop": path, "factory": factory_make(arch),
                "verify": verify_make(arch), "least": least_make(arch), "drain": drain_make(arch)}
    for name in programs.values():
        if elf_machine(name) != MACHINES[arch]:
            raise Missing(f"{os.path.relpath(name)} is no program for {arch}")
    if arch == "amd64" and factory32_make():
        programs["factory32"] = factory32_make()
    if arch == "amd64":
        programs["tally_reader"] = tally_reader_find()
        programs.update({f"{name}.sh": os.path.join(HERE, f"{name}.sh") for name in (*SCRIPTS, "script")})
    return programs
