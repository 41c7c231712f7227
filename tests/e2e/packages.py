#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Debian packages that a test needs and that must not be installed: unpacked into .cache/e2e.

usage: packages.py NAME   (of packages.tsv: prints the folder)

Through the system's own apt and its keys: see tests/vm/fetch.py. Each set comes with what
this system lacks of its dependencies, so that its files, laid over /usr, make it complete.
"""

import glob
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
CACHE = os.path.join(TREE, ".cache", "e2e")

sys.path.insert(0, os.path.join(TREE, "tests", "vm"))

import fetch  # noqa: E402


def own_suite():
    """Debian's name of the release that runs here."""
    with open("/etc/os-release", encoding="utf-8") as file:
        words = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', file.read(), re.M))
    if words.get("ID") != "debian" or not words.get("VERSION_CODENAME"):
        raise fetch.Unreachable(f"needs Debian's packages, this is {words.get('PRETTY_NAME', 'something else')}")
    return words["VERSION_CODENAME"]


def table_read():
    """{name: (suite, [package])}"""
    with open(os.path.join(HERE, "packages.tsv"), encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file if line.strip() and line[0] != "#"]
    return {name: (suite, packages.split()) for name, suite, packages in rows}


def unpack(debs, folder):
    for deb in debs:
        subprocess.run(["dpkg-deb", "-x", deb, folder], check=True)
        os.unlink(deb)
    # As on a system where these are links.
    for name in ("bin", "sbin", "lib", "lib64"):
        part = os.path.join(folder, name)
        if os.path.isdir(part) and not os.path.islink(part):
            shutil.copytree(part, os.path.join(folder, "usr", name), symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(part)


def get(name):
    """The folder with the set; fetch.Failed with the reason if it cannot be had."""
    folder = os.path.join(CACHE, name)
    done = os.path.join(folder, ".done")
    suite, names = table_read()[name]
    if suite == "own":
        suite = own_suite()
    wanted = f"{suite} {' '.join(names)}\n"
    with fetch.Lock(CACHE):
        if os.path.exists(done):
            with open(done, encoding="utf-8") as file:
                if file.readline() == wanted:
                    return folder
        making = folder + ".new"
        shutil.rmtree(making, ignore_errors=True)
        debs = fetch.Apt(CACHE).download_missing(names, suite, os.path.join(making, ".deb"))
        words = [os.path.basename(deb) for deb in debs]
        unpack(debs, making)
        shutil.rmtree(os.path.join(making, ".deb"))
        with open(os.path.join(making, ".done"), "w", encoding="utf-8") as file:
            file.write(wanted + "".join(f"{word}\n" for word in words))
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(making, folder)
    return folder


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in table_read():
        print(f"usage: packages.py NAME, one of {', '.join(table_read())}", file=sys.stderr)
        return 2
    try:
        print(get(sys.argv[1]))
    except fetch.Failed as error:
        print(f"packages: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
