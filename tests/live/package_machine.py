# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A machine that systemd has booted, in namespaces of this one: package_boot."""

import os
import shutil
import subprocess
import tempfile

from behavior_tool import HERE, Failure, Skip, at_end, await_true, check, end, equal

SYSTEMD = "/lib/systemd/systemd"


def cgroup_root():
    """Where cgroup v2 is mounted whole."""
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        for line in mounts:
            before, _, behind = line.partition(" - ")
            if behind.startswith("cgroup2 ") and before.split()[3] == "/":
                return before.split()[4]
    raise Skip("no cgroup v2 is mounted")


def need_machine():
    for tool in (SYSTEMD, "unshare", "nsenter", "pivot_root", "setpriv", "dpkg"):
        if not shutil.which(tool):
            raise Skip(f"needs {tool}")
    with open("/proc/filesystems", encoding="utf-8") as names:
        if "overlay" not in names.read().split():
            raise Skip("this kernel has no overlay file system")


class Machine:
    """Boots. What is run in it is a process of the machine, in a cgroup of its own."""

    def __init__(self):
        need_machine()
        self.folder = tempfile.mkdtemp(prefix="portsnoop-machine.")
        at_end(shutil.rmtree, self.folder, True)
        self.cgroup = os.path.join(cgroup_root(), os.path.basename(self.folder))
        os.mkdir(self.cgroup)
        at_end(self.cgroup_remove)
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--cgroup", "--uts", "--ipc",
             "--net", "sh", os.path.join(HERE, "package_boot"), self.folder],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            preexec_fn=lambda: self.enter(self.cgroup))
        at_end(end, self.process)
        self.visitors = os.path.join(self.cgroup, "visitors")
        self.init = await_true("the first process of the machine", self.first)
        await_true("the boot", self.booted)

    @staticmethod
    def enter(cgroup):
        with open(os.path.join(cgroup, "cgroup.procs"), "w", encoding="ascii") as processes:
            processes.write("0")

    def said(self):
        self.log.seek(0)
        return self.log.read().decode("utf-8", "backslashreplace")[-2000:]

    def first(self):
        check(self.process.poll() is None, "the machine did not boot:", self.said())
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, check=False)
        return int(found.stdout) if found.stdout.strip() else 0

    def booted(self):
        check(self.process.poll() is None, "the machine did not boot:", self.said())
        with open(f"/proc/{self.init}/comm", encoding="utf-8") as name:
            if name.read().strip() != "systemd":
                return False
        os.makedirs(self.visitors, exist_ok=True)
        return self.ask("systemctl", "is-system-running", status=None).strip() == "running"

    def cgroup_remove(self):
        def removed():
            for path, _, _ in os.walk(self.cgroup, topdown=False):
                try:
                    os.rmdir(path)
                except OSError:
                    return False
            return True

        await_true("the end of the machine", removed)

    def path(self, inside):
        """The same file as seen from here."""
        return f"/proc/{self.init}/root{inside}"

    def command(self, *words, user=None):
        drop = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        return ["nsenter", f"--target={self.init}", "--all", "/usr/bin/env", "-i",
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", *drop, *words]

    def start(self, *words, user=None, **keywords):
        return subprocess.Popen(self.command(*words, user=user),
                                preexec_fn=lambda: self.enter(self.visitors), **keywords)

    def ask(self, *words, status=0, user=None, seconds=60):
        """What a command says on stdout. With `status` None it may fail."""
        process = self.start(*words, user=user, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        try:
            out, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise Failure(f"did not end within {seconds} s: {words}") from None
        errors = errors.decode("utf-8", "backslashreplace")
        if status is not None:
            equal(process.returncode, status, f"exit status of {' '.join(words)}, it said {errors!r}")
        self.errors = errors
        return out.decode("utf-8", "backslashreplace")

    def show(self, unit, name):
        """A property of a unit."""
        return self.ask("systemctl", "show", "-P", name, unit).strip()

    def journal(self, unit):
        return self.ask("journalctl", "--no-pager", "-o", "cat", "-u", unit)

    def write(self, inside, text):
        os.makedirs(os.path.dirname(self.path(inside)), exist_ok=True)
        with open(self.path(inside), "w", encoding="utf-8") as file:
            file.write(text)

    def kill(self, unit, number):
        pid = int(self.show(unit, "MainPID"))
        self.ask("kill", f"-{number}", str(pid))
        return pid
