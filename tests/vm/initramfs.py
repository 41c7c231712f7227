# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Makes a guest's initramfs: an uncompressed cpio archive, without any tool."""

import glob
import lzma
import os
import re
import stat
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDERS = ("bin", "dev", "modules", "proc", "root", "run", "sys", "tmp")
# What the situations need that is not built in, by kernel; what one lacks is left out.
MODULES = ("inet_diag", "tcp_diag", "udp_diag", "mptcp_diag", "sctp", "dummy", "veth", "vxlan")


class Cpio:
    """The format "newc"; every entry belongs to root and has the time 0."""

    def __init__(self):
        self.parts = []
        self.inode = 0

    def entry(self, name, mode, data=b"", device=(0, 0)):
        self.inode += 1
        path = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
        for part in (head, data):
            self.parts += [part, b"\0" * (-len(part) % 4)]

    def folder(self, name):
        self.entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode=0o755):
        self.entry(name, stat.S_IFREG | mode, data)

    def write(self, path):
        self.entry("TRAILER!!!", 0)
        with open(path, "wb") as file:
            file.writelines(self.parts)


def file_read(path):
    with open(path, "rb") as file:
        return file.read()


def module_read(path):
    """A module as the kernel wants it."""
    if path.endswith(".xz"):
        return lzma.decompress(file_read(path))
    if path.endswith(".zst"):
        return subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True).stdout
    return file_read(path)


def module_needs(data):
    """From .modinfo, which is nothing but strings: no modules.dep comes with a package."""
    found = re.search(rb"\0depends=([^\0]*)\0", data)
    return [name for name in found.group(1).decode().split(",") if name] if found else []


def modules_load(folder):
    """[(name, content)] in an order that insmod can follow."""
    paths = {}
    for path in glob.glob(os.path.join(folder, "kernel", "**", "*.ko*"), recursive=True):
        paths[os.path.basename(path).partition(".ko")[0].replace("-", "_")] = path
    order = {}

    def add(name):
        name = name.replace("-", "_")
        if name in order or name not in paths:
            return
        data = module_read(paths[name])
        for need in module_needs(data):
            add(need)
        order[name] = data

    for name in MODULES:
        add(name)
    return list(order.items())


def initramfs_make(path, modules, programs, jobs):
    """`modules`: a kernel's folder of them; `programs`: {name in /bin: path}; `jobs`: lines for init."""
    cpio = Cpio()
    for name in FOLDERS:
        cpio.folder(name)
    cpio.entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    cpio.entry("dev/null", stat.S_IFCHR | 0o666, device=(1, 3))
    cpio.file("init", file_read(os.path.join(HERE, "init.sh")))
    for name, source in programs.items():
        cpio.file(f"bin/{name}", file_read(source))
    loaded = modules_load(modules)
    for name, data in loaded:
        cpio.file(f"modules/{name}.ko", data, 0o644)
    cpio.file("modules/order", "".join(f"{name}.ko\n" for name, _ in loaded).encode(), 0o644)
    cpio.file("jobs", "".join(f"{job}\n" for job in jobs).encode(), 0o644)
    cpio.write(path)
