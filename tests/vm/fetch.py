#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Fetches the kernels of kernels.tsv, and what tools.tsv names, into a cache folder.

usage: fetch.py [--cache DIR] [--list | --newest] [SERIES[/ARCH]...]

Through this system's own apt and its keys, but with lists and a state of their
own: nothing is installed, no source is added to the system. The mirror is the
one of the system's own Debian sources, or of the environment: DEBIAN_MIRROR.
apt checks the archive's signature; what is pinned must also have the checksum
of the table. A pinned version that has left the archive is replaced by the
newest one of its series, and said so.
"""

import argparse
import csv
import fcntl
import fnmatch
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from functools import cmp_to_key

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
CACHE = os.path.join(TREE, ".cache", "vm")
LISTS_AGE = 3600  # s
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

Package = namedtuple("Package", "series arch name version suite sha256")
Kernel = namedtuple("Kernel", "series arch packages")
# What a guest boots: a file and a folder; release is `uname -r`; note tells of a replacement.
Unpacked = namedtuple("Unpacked", "series arch version release vmlinuz modules note")


class Failed(Exception):
    """Cannot be fetched; the reason as text."""


class Unreachable(Failed):
    """It is this machine that cannot fetch anything: no apt, no sources, no network."""


class Gone(Failed):
    """The archive does not have it, or not any more."""


def say(text):
    print(f"fetch: {text}", file=sys.stderr, flush=True)


# ---- tables ----


def packages_read(name):
    with open(os.path.join(HERE, name), encoding="utf-8", newline="") as file:
        rows = csv.reader((line for line in file if not line.startswith("#")), delimiter="\t")
        return [Package(*row) for row in rows if row]


def kernels_read():
    kernels = {}
    for package in packages_read("kernels.tsv"):
        kernels.setdefault((package.series, package.arch), []).append(package)
    return [Kernel(series, arch, packages) for (series, arch), packages in kernels.items()]


# ---- apt with a state of its own ----


def mirrors():
    """(the archive's address, the security archive's)."""
    main, security = os.environ.get("DEBIAN_MIRROR"), None
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Unreachable("needs apt-get and dpkg-deb")
    if not main:
        listed = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(SUITE)",
                                 "Created-By: Packages"], capture_output=True, text=True)
        for line in listed.stdout.splitlines():
            uri, _, rest = line.partition(" ")
            if not rest.startswith("Debian"):
                continue
            if "security" in rest or "security" in uri:
                security = security or uri
            else:
                main = main or uri
    if not main:
        raise Unreachable("this system has no Debian sources to take a mirror from; set DEBIAN_MIRROR=URL "
                          "(the address under which dists/ lies)")
    main = main.rstrip("/")
    return main, (security or main + "-security").rstrip("/")


class Apt:
    def __init__(self, cache):
        self.folder = os.path.join(cache, "apt")
        self.updated = set()

    def run(self, tool, *arguments, cwd=None):
        options = {
            "Dir::Etc::sourcelist": os.path.join(self.folder, "sources.list"),
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::State": os.path.join(self.folder, "state"),
            "Dir::State::status": os.path.join(self.folder, "status"),
            "Dir::Cache": os.path.join(self.folder, "cache"),
            "APT::Sandbox::User": "root",
            # Signatures are checked all the same; an archived suite is signed for good.
            "Acquire::Check-Valid-Until": "false",
            "Acquire::Retries": "3",
            "Acquire::Languages": "none",
        }
        command = [tool, "-q"]
        for name, value in options.items():
            command += ["-o", f"{name}={value}"]
        for arch in ("amd64", "arm64"):
            command += ["-o", f"APT::Architectures::={arch}"]
        return subprocess.run(command + list(arguments), cwd=cwd, capture_output=True, text=True)

    def update(self, wanted):
        """Reads the lists of these (suite, arch); once is enough, also for who comes soon after us."""
        self.updated |= self.lists_read()
        if wanted <= self.updated:
            return
        wanted = self.updated | wanted
        for name in ("state/lists/partial", "cache/archives/partial"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        open(os.path.join(self.folder, "status"), "w", encoding="utf-8").close()
        archive, security = mirrors()
        signed = f" signed-by={KEYRING}" if os.path.exists(KEYRING) else ""
        with open(os.path.join(self.folder, "sources.list"), "w", encoding="utf-8") as file:
            for suite in sorted({suite for suite, _ in wanted}):
                arches = ",".join(sorted(arch for one, arch in wanted if one == suite))
                uri = security if suite.endswith("-security") else archive
                file.write(f"deb [arch={arches}{signed}] {uri} {suite} main\n")
        say(f"reading the package lists of {', '.join(sorted({suite for suite, _ in wanted}))}")
        done = self.run("apt-get", "-o", "APT::Update::Error-Mode=any", "update")
        if done.returncode != 0:
            raise Unreachable(f"apt-get update: {last_words(done)}")
        self.updated = wanted
        with open(os.path.join(self.folder, "lists"), "w", encoding="utf-8") as file:
            file.writelines(f"{suite} {arch}\n" for suite, arch in sorted(wanted))

    def lists_read(self):
        """The (suite, arch) whose lists are there and young."""
        path = os.path.join(self.folder, "lists")
        if not os.path.exists(path) or time.time() - os.path.getmtime(path) > LISTS_AGE:
            return set()
        with open(path, encoding="utf-8") as file:
            return {tuple(line.split()) for line in file}

    def download(self, package, folder):
        """The path of the .deb; Gone when the archive does not have it any more."""
        os.makedirs(folder, exist_ok=True)
        want = f"{package.name}:{package.arch}={package.version}"
        before = set(os.listdir(folder))
        say(f"fetching {package.name} {package.version} ({package.arch})")
        done = self.run("apt-get", "download", want, cwd=folder)
        new = [one for one in set(os.listdir(folder)) - before if one.endswith(".deb")]
        if done.returncode != 0 or len(new) != 1:
            raise Gone(f"apt-get download {want}: {last_words(done)}")
        return os.path.join(folder, new[0])

    def download_missing(self, names, suite, folder):
        """What this system lacks to have these installed, as .deb files: they and their dependencies."""
        arch = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True).stdout.strip()
        self.update({(suite, arch)})
        os.makedirs(os.path.join(folder, "partial"), exist_ok=True)
        say(f"fetching {', '.join(names)} of {suite} and what they need")
        done = self.run("apt-get", "-o", "Dir::State::status=/var/lib/dpkg/status", "-o", "Debug::NoLocking=true",
                        "-o", f"Dir::Cache::archives={folder}", "-t", suite, "-y", "--no-install-recommends",
                        "--download-only", "--reinstall", "install", *names)
        if done.returncode != 0:
            raise Gone(f"apt-get install {' '.join(names)}: {last_words(done)}")
        return sorted(glob.glob(os.path.join(folder, "*.deb")))

    def versions(self, pattern, arch, suite):
        """[(name, version)] of all packages of a suite whose name fits, the newest first."""
        names = self.run("apt-cache", "pkgnames", pattern.split("*")[0]).stdout.split()
        found = set()
        for name in fnmatch.filter(names, pattern):
            listed = self.run("apt-cache", "madison", f"{name}:{arch}").stdout
            for line in listed.splitlines():
                # name | version | address suite/component architecture Packages
                fields = [field.strip() for field in line.split("|")]
                if len(fields) == 3 and fields[2].split()[1].partition("/")[0] == suite:
                    found.add((name, fields[1]))
        return sorted(found, key=cmp_to_key(lambda a, b: -version_compare(a[1], b[1])))


def last_words(done):
    lines = [line for line in done.stderr.strip().splitlines() if not line.startswith("W:")]
    return " / ".join(lines[-2:]) or f"status {done.returncode}"


def version_compare(one, other):
    for relation, result in (("lt", -1), ("gt", 1)):
        if subprocess.run(["dpkg", "--compare-versions", one, relation, other]).returncode == 0:
            return result
    return 0


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


# ---- into the cache ----


def cache_folder(cache, kind, packages):
    first = packages[0]
    # Without the epoch: a colon would end the path in LD_LIBRARY_PATH.
    version = first.version.partition(":")[2] or first.version
    return os.path.join(cache, kind, f"{first.series}-{first.arch}-{version}")


def unpacked_is_there(folder, packages):
    """Whether the folder was filled from exactly these packages."""
    try:
        with open(os.path.join(folder, ".done"), encoding="utf-8") as file:
            return file.read() == done_text(packages)
    except OSError:
        return False


def done_text(packages):
    return "".join(f"{one.name} {one.version} {one.arch} {one.sha256}\n" for one in packages)


def packages_unpack(apt, packages, folder):
    """Fetches, checks and unpacks all of them into a folder, or nothing."""
    making = folder + ".new"
    shutil.rmtree(making, ignore_errors=True)
    os.makedirs(making)
    for package in packages:
        deb = apt.download(package, os.path.join(making, ".deb"))
        found = sha256_of(deb)
        if package.sha256 != "-" and found != package.sha256:
            raise Failed(f"{package.name} {package.version}: sha256 {found}, pinned is {package.sha256}")
        subprocess.run(["dpkg-deb", "-x", deb, making], check=True)
        os.unlink(deb)
    os.rmdir(os.path.join(making, ".deb"))
    with open(os.path.join(making, ".done"), "w", encoding="utf-8") as file:
        file.write(done_text(packages))
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(making, folder)


def name_pattern(package):
    """linux-image-6.1.0-56-cloud-amd64 -> linux-image-6.1.*-cloud-amd64"""
    head = re.match(r"[a-z-]*", package.name).group()
    tail = re.search(r"(-cloud)?-[a-z0-9]+$", package.name).group()
    return f"{head}{package.series}.*{tail}"


def kernels_newest(apt, packages):
    """The same packages in other versions of the series, as far as the suite has them, newest first."""
    first = packages[0]
    for name, version in apt.versions(name_pattern(first), first.arch, first.suite):
        # With binary and modules apart the release in the name is what ties them.
        release = name[len(re.match(r"[a-z-]*", name).group()):]
        yield [one._replace(name=re.match(r"[a-z-]*", one.name).group() + release, version=version,
                            sha256="-") for one in packages]


def tools_newest(apt, packages):
    """Each of them in the newest version that its suite has."""
    newest = []
    for one in packages:
        found = apt.versions(one.name, one.arch, one.suite)
        newest += [one._replace(version=version, sha256="-") for _, version in found[:1]]
    if len(newest) == len(packages):
        yield newest


def packages_get(cache, apt, kind, packages):
    """(folder, note): the pinned packages, or the newest of the series."""
    folder = cache_folder(cache, kind, packages)
    if unpacked_is_there(folder, packages):
        return folder, None
    apt.update({(one.suite, one.arch) for one in packages})
    try:
        packages_unpack(apt, packages, folder)
        return folder, None
    except Gone as error:
        gone = error
    for candidate in (kernels_newest if kind == "kernel" else tools_newest)(apt, packages):
        folder = cache_folder(cache, kind, candidate)
        try:
            if not unpacked_is_there(folder, candidate):
                packages_unpack(apt, candidate, folder)
        except Gone:
            continue
        note = f"pinned {packages[0].version} is gone, running {candidate[0].version}"
        say(f"{packages[0].series} ({packages[0].arch}): {note}")
        return folder, note
    raise gone


def kernel_get(cache, apt, kernel):
    folder, note = packages_get(cache, apt, "kernel", kernel.packages)
    modules = glob.glob(os.path.join(folder, "lib/modules/*")) + \
        glob.glob(os.path.join(folder, "usr/lib/modules/*"))
    images = glob.glob(os.path.join(folder, "boot/vmlinuz-*")) + \
        glob.glob(os.path.join(folder, "usr/lib/modules/*/vmlinuz*"))
    if len(images) != 1 or len(modules) != 1:
        raise Failed(f"{kernel.packages[0].name}: {len(images)} kernels and {len(modules)} module "
                     f"folders in {folder}")
    with open(os.path.join(folder, ".done"), encoding="utf-8") as file:
        version = file.read().split()[1]
    return Unpacked(kernel.series, kernel.arch, version, os.path.basename(modules[0]), images[0],
                    modules[0], note)


# ---- QEMU ----

QEMU_LEAST = (10, 0)


def qemu_version(command):
    done = subprocess.run(command + ["--version"], capture_output=True, text=True)
    found = re.search(r"version (\d+)\.(\d+)", done.stdout)
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def tool_packages(series, arch):
    return [one for one in packages_read("tools.tsv") if (one.series, one.arch) == (series, arch)]


def busybox_get(cache, apt, arch):
    folder, _ = packages_get(cache, apt, "tools", tool_packages("busybox", arch))
    found = glob.glob(os.path.join(folder, "bin/busybox")) + glob.glob(os.path.join(folder, "usr/bin/busybox"))
    if not found:
        raise Failed(f"no busybox in {folder}")
    return found[0]


def qemu_get(cache, apt, arch):
    """The words of a command line, ready for the machine's options. A system's QEMU that is new enough
    is good enough; an older one is the last resort."""
    name = {"amd64": "qemu-system-x86_64", "arm64": "qemu-system-aarch64"}[arch]
    system = shutil.which(name)
    if system and qemu_version([system]) >= QEMU_LEAST:
        return [system]
    packages = tool_packages("qemu", "amd64") if os.uname().machine == "x86_64" else []
    try:
        if not packages:
            raise Failed(f"needs {name}: install it")
        folder, _ = packages_get(cache, apt, "tools", packages)
    except Failed as error:
        if not system:
            raise
        say(f"{error}; using {system}")
        return [system]
    usr = os.path.join(folder, "usr")
    libraries = ":".join(os.path.join(folder, part, "x86_64-linux-gnu") for part in ("usr/lib", "lib"))
    return ["env", f"LD_LIBRARY_PATH={libraries}",
            os.path.join(usr, "bin", name), "-L", os.path.join(usr, "share/qemu"),
            "-L", os.path.join(usr, "share/seabios")]


def qemu_is_racy(command):
    """Before 10.0, several threads of emulation crash guests whose text BPF patches."""
    return qemu_version(command) < QEMU_LEAST


# ---- command ----


class Lock:
    """One fetch at a time in one cache."""

    def __init__(self, cache):
        os.makedirs(cache, exist_ok=True)
        self.folder = cache
        self.file = open(os.path.join(cache, "lock"), "w", encoding="utf-8")

    def __enter__(self):
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        give_back(self.folder)
        self.file.close()


def give_back(folder):
    """What root made in a user's tree belongs to the user."""
    owner = os.stat(TREE)
    if os.geteuid() != 0 or owner.st_uid == 0 or not os.path.realpath(folder).startswith(TREE):
        return
    for parent in (os.path.dirname(folder), folder):
        os.lchown(parent, owner.st_uid, owner.st_gid)
    for parent, folders, files in os.walk(folder):
        for name in folders + files:
            os.lchown(os.path.join(parent, name), owner.st_uid, owner.st_gid)


def kernels_select(kernels, patterns):
    """Those named: 6.12, 6.12/arm64, */arm64; all without a name."""
    for pattern in patterns:
        if not any(kernel_fits(kernel, pattern) for kernel in kernels):
            known = ", ".join(f"{one.series}/{one.arch}" for one in kernels)
            raise Failed(f"no kernel {pattern!r}; there are {known}")
    return [one for one in kernels if not patterns or any(kernel_fits(one, two) for two in patterns)]


def kernel_fits(kernel, pattern):
    series, _, arch = pattern.partition("/")
    return fnmatch.fnmatchcase(kernel.series, series) and fnmatch.fnmatchcase(kernel.arch, arch or "*")


def print_newest(apt, kernels):
    """The table as it would be if it were pinned today, without checksums."""
    apt.update({(one.suite, one.arch) for kernel in kernels for one in kernel.packages})
    for kernel in kernels:
        for one in next(kernels_newest(apt, kernel.packages), kernel.packages):
            print(*one, sep="\t")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", default=CACHE, help="folder, default .cache/vm")
    parser.add_argument("--list", action="store_true", help="name the kernels, fetch nothing")
    parser.add_argument("--newest", action="store_true", help="print what a new pin would be")
    parser.add_argument("kernels", nargs="*", metavar="SERIES[/ARCH]")
    options = parser.parse_args()
    try:
        kernels = kernels_select(kernels_read(), options.kernels)
        if options.list:
            for kernel in kernels:
                print(kernel.series, kernel.arch, kernel.packages[0].version, sep="\t")
            return 0
        with Lock(options.cache):
            apt = Apt(options.cache)
            if options.newest:
                print_newest(apt, kernels)
                return 0
            for kernel in kernels:
                print(*kernel_get(options.cache, apt, kernel)[:6], sep="\t", flush=True)
            for arch in sorted({kernel.arch for kernel in kernels}):
                print("qemu", arch, *qemu_get(options.cache, apt, arch), sep="\t")
    except Failed as error:
        print(f"fetch: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
