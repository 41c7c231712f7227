#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The Debian package: built, judged, installed, run as a service, removed.

usage: package.py [PATTERN...]
PATTERN: names of tests, as globs. Each test that installs it boots a machine of its own.
"""

import functools
import glob
import json
import os
import re
import shutil
import subprocess
import sys

from behavior_tool import Reader, Skip, await_true, check, equal, get, parse_events, room, suite_run, test
from package_machine import Machine

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
UNIT = "portsnoop.service"
DATABASE = "/var/lib/portsnoop/history.db"
SECONDS = 400  # for a build
CAP_SYS_RESOURCE = 24


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            raise Skip(f"needs {tool}")


def done(*words, status=0, env=None):
    """stdout of a command that is run in the tree."""
    result = subprocess.run(words, cwd=TREE, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            timeout=SECONDS, check=False, env=dict(os.environ, **(env or {})))
    if status is not None:
        equal(result.returncode, status, f"exit status of {' '.join(words)}, it said "
                                         f"{(result.stdout + result.stderr)[-2000:]!r}")
    return result.stdout


@functools.lru_cache(maxsize=1)
def build():
    """(the package, why there is none)"""
    result = subprocess.run(["make", "-s", "deb"], cwd=TREE, stdin=subprocess.DEVNULL, capture_output=True,
                            text=True, timeout=SECONDS, check=False)
    if result.returncode:
        return None, result.stderr[-2000:]
    return os.path.join(TREE, result.stdout.splitlines()[-1]), ""


def built():
    need("dpkg-buildpackage", "dh")
    package, why = build()
    check(package, "make deb failed:", repr(why))
    return package


@test("deb: make deb builds it, with a dependency on each library")
def builds():
    depends = done("dpkg-deb", "--field", built(), "Depends")
    for library in ("libc6", "libbpf", "libelf1", "zlib1g", "libsqlite3-0", "libseccomp2", "libcap-ng0"):
        check(library in depends, f"no dependency on {library}:", depends)
    equal(done("dpkg-deb", "--field", built(), "Recommends").strip(), "libcurl3-gnutls | libcurl4", "what it recommends")


@test("deb: lintian finds nothing")
def lintian():
    need("lintian")
    # What others than Debian 12's take as worth telling, nobody can know.
    strict = done("lintian", "--version").split()[1].startswith("v2.116.")
    words = ("lintian", "--allow-root", *(("--display-info", "--pedantic") if strict else ()))
    for file in (built(), built().replace(".deb", ".changes")):
        equal(done(*words, file, status=None), "", f"lintian of {os.path.basename(file)}")


def installed(folder, *words):
    done("make", "-s", f"DESTDIR={folder}", *words)
    return {os.path.relpath(os.path.join(path, name), folder)
            for path, _, names in os.walk(folder) for name in names}


@test("deb: has what make install installs, and documentation")
def same_files():
    folder = room()
    ours = installed(folder, "PREFIX=/usr", "SYSTEMD=/lib/systemd", "install")
    lines = done("dpkg-deb", "--contents", built()).splitlines()
    theirs = {line.split()[5][2:] for line in lines if not line.startswith("d")}
    theirs = {name[:-3] if "/man/" in name else name for name in theirs 
              if "/doc/" not in name and "/lintian/" not in name}
    theirs = {name.removeprefix("usr/") if "/systemd/system/" in name else name for name in theirs}
    equal(sorted(theirs), sorted(ours), "files of the package, and of make install")


@test("install: to a prefix, and uninstall leaves what the user changed, and nothing else")
def install():
    folder = room()
    files = installed(folder, "install")
    for name in ("usr/local/bin/portsnoop", "usr/local/share/man/man8/portsnoop-trace.8",
                 "usr/local/share/man/man5/portsnoop-fields.5",
                 "usr/local/share/bash-completion/completions/portsnoop",
                 "usr/local/share/zsh/site-functions/_portsnoop", "etc/portsnoop/portsnoop.conf",
                 "usr/local/lib/systemd/system/portsnoop.service"):
        check(name in files, f"{name} is missing in", sorted(files))
    with open(f"{folder}/usr/local/lib/systemd/system/portsnoop.service", encoding="utf-8") as unit:
        check("ExecStart=/usr/local/bin/portsnoop record\n" in unit.read(), "ExecStart")
    with open(f"{folder}/etc/portsnoop/portsnoop.conf", "a", encoding="utf-8") as configuration:
        configuration.write("max-size = 2G\n")
    installed(folder, "install")
    with open(f"{folder}/etc/portsnoop/portsnoop.conf", encoding="utf-8") as configuration:
        check("max-size = 2G\n" in configuration.read(), "the configuration was overwritten")
    equal(installed(folder, "uninstall"), {"etc/portsnoop/portsnoop.conf"}, "files that stay")


@test("unit: systemd-analyze security is 2.0 at most")
def security():
    need("systemd-analyze")
    done("systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=20",
         "tools/packaging/portsnoop.service")


@test("unit: systemd-analyze finds no fault in it")
def verify():
    need("systemd-analyze")
    folder = room()
    installed(folder, "PREFIX=/usr", "install")
    with open(f"{folder}/usr/lib/systemd/system/{UNIT}", encoding="utf-8") as unit:
        text = unit.read().replace("/usr/bin/portsnoop", f"{folder}/usr/bin/portsnoop")
    with open(f"{folder}/{UNIT}", "w", encoding="utf-8") as unit:
        unit.write(text)
    done("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"{folder}/{UNIT}")


# ---- in a machine ----


def installed_machine():
    package = built()
    machine = Machine()
    inside = f"/run/{os.path.basename(package)}"
    shutil.copyfile(package, machine.path(inside))
    machine.package = inside
    machine.ask("dpkg", "--install", inside)
    return machine


def active_machine():
    machine = installed_machine()
    check_active(machine)
    return machine


def check_active(machine):
    state = await_true("the service's start or failure",
                       lambda: settled(machine.show(UNIT, "ActiveState")))
    equal(state, "active", f"state of the service, which said {machine.journal(UNIT)!r}")


def settled(state):
    return state if state in ("active", "failed", "inactive") else None


def status_of(machine):
    with open(f"/proc/{host_pid(machine)}/status", encoding="utf-8") as file:
        return dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)


def host_pid(machine):
    """The service's process as seen from here."""
    folder = machine.show(UNIT, "ControlGroup")
    with open(f"{machine.cgroup}{folder}/cgroup.procs", encoding="ascii") as processes:
        return int(processes.read().split()[0])


CLAIM = """
import socket, sys
one = socket.socket()
one.bind(("127.0.0.1", 0))
one.listen()
print(one.getsockname()[1], flush=True)
sys.stdin.read()
"""


def claimed(machine):
    """python3 that listens on a port until its input ends, and the port."""
    process = machine.start("python3", "-c", CLAIM, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    return process, int(process.stdout.readline())


def claim(machine):
    """A port that python3 has listened on."""
    process, port = claimed(machine)
    process.communicate(b"")
    return port


def history(machine, *words, user=None):
    out = machine.ask("portsnoop", "history", "-o", "json", *words, status=None, user=user)
    return [json.loads(line) for line in out.splitlines()]


def history_of(machine, port):
    return await_true(f"port {port} in the history",
                      lambda: [row for row in history(machine, str(port))
                               if get(row, "portsnoop.local.port") == port])


@test("service: installing starts it, as a user of its own that has no privileges")
def privileges():
    machine = active_machine()
    status = status_of(machine)
    uid = machine.ask("id", "-u", "portsnoop").strip()
    check(uid != "0" and status["Uid"].split() == [uid] * 4, "uid:", status["Uid"], "user:", uid)
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        equal(int(status[name], 16), 0, name)
    equal((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"), "NoNewPrivs, Seccomp")
    equal(machine.show(UNIT, "UnitFileState"), "enabled", "at the next boot")
    said = machine.journal(UNIT).splitlines()
    equal([line for line in said if not line.startswith("portsnoop: ")], [], "words that are not ours")
    mode = machine.ask("stat", "-c", "%U:%G %a", "/var/lib/portsnoop", DATABASE).splitlines()
    equal(mode, ["portsnoop:portsnoop 750", "portsnoop:portsnoop 640"], "the database, and its folder")


@test("service: the thread that empties the ring has the highest priority")
def priority():
    machine = active_machine()
    with open(f"/proc/{machine.init}/status", encoding="utf-8") as status:
        may = int(re.search(r"^CapBnd:\s*(\w+)", status.read(), re.M).group(1), 16) >> CAP_SYS_RESOURCE & 1
    if not may:
        # Where systemd cannot raise its limit, another right must do; its sandbox is the same.
        machine.write(f"/etc/systemd/system/{UNIT}.d/test.conf",
                      "[Service]\nCapabilityBoundingSet=CAP_SYS_NICE\nAmbientCapabilities=CAP_SYS_NICE\n")
        machine.ask("systemctl", "daemon-reload")
        machine.ask("systemctl", "restart", UNIT)
        check_active(machine)
    nice = []
    for task in glob.glob(f"/proc/{host_pid(machine)}/task/*/stat"):
        with open(task, encoding="utf-8") as file:
            nice.append(int(file.read().rpartition(")")[2].split()[16]))
    equal(sorted(nice), [-20, os.getpriority(os.PRIO_PROCESS, machine.init)], "priorities of its threads")


@test("service: a claim is in the history, with its process; who and --status get answers")
def records():
    machine = active_machine()
    process, port = claimed(machine)
    holding = json.loads(machine.ask("portsnoop", "who", str(port), "-o", "json").splitlines()[0])
    equal((get(holding, "portsnoop.claimant.name"), get(holding, "portsnoop.trigger")), ("python3", "bind"),
          f"claimant, as who says: {holding}")
    process.communicate(b"")
    row = history_of(machine, port)[0]
    equal((get(row, "process.name"), get(row, "portsnoop.trigger")), ("python3", "bind"), "in the history")
    out = machine.ask("portsnoop", "record", "--status", "-o", "json")
    check(json.loads(out), "status:", out)


@test("service: reload reads the configuration, and the recording goes on")
def reload():
    machine = active_machine()
    pid = machine.show(UNIT, "MainPID")
    machine.ask("sed", "-i", "$amax-size = 77M", "/etc/portsnoop/portsnoop.conf")
    machine.ask("systemctl", "reload", UNIT)
    await_true("the new limit", lambda: str(77 << 20) in machine.ask(
        "portsnoop", "record", "--status", "-o", "json"))
    equal(machine.show(UNIT, "MainPID"), pid, "process")
    history_of(machine, claim(machine))


ASK = """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=20).read().decode())
"""


def sandbox_open(machine, what):
    """As the configuration says that it is done."""
    with open("tools/packaging/portsnoop.conf", encoding="utf-8") as file:
        told = [part for part in re.findall(r"^#   \[Service\]\n(?:#   .*\n)+", file.read(), re.M) if what in part]
    equal(len(told), 1, f"places that tell of {what!r}")
    machine.write(f"/etc/systemd/system/{UNIT}.d/sandbox.conf", told[0].replace("#   ", ""))
    machine.ask("systemctl", "daemon-reload")
    machine.ask("systemctl", "restart", UNIT)
    check_active(machine)


@test("service: metrics are served once its sandbox allows them, and before it says what is missing")
def metrics():
    machine = active_machine()
    machine.ask("sed", "-i", "$ametrics = 0", "/etc/portsnoop/portsnoop.conf")
    machine.ask("systemctl", "restart", UNIT, status=None)
    await_true("what is missing", lambda: "RestrictAddressFamilies=AF_INET AF_INET6" in machine.journal(UNIT))
    sandbox_open(machine, "RestrictAddressFamilies=AF_INET AF_INET6\n#   IPAddressAllow=localhost")
    url = await_true("where they are", lambda: re.search(r"metrics at (http://\S+)", machine.journal(UNIT)))[1]
    check("\nportsnoop_claims_total{" in machine.ask("python3", "-c", ASK, url), "the page")
    history_of(machine, claim(machine))


RECEIVER = """
import socket, sys
one = socket.socket()
one.bind(("127.0.0.1", 0))
one.listen()
print(one.getsockname()[1], flush=True)
while True:
    connection, _ = one.accept()
    for line in connection.makefile("r"):
        print(line, end="", flush=True)
"""


def couriers(machine):
    folder = machine.show(UNIT, "ControlGroup")
    with open(f"{machine.cgroup}{folder}/cgroup.procs", encoding="ascii") as processes:
        words = [dict(line.split(":\t", 1) for line in open(f"/proc/{pid}/status", encoding="utf-8")
                      .read().splitlines() if ":\t" in line) for pid in processes.read().split()]
    return [one for one in words if one["Name"] == "portsnoop-sink"]


@test("service: sinks: a file that logrotate turns over, the journal; the network once its sandbox allows it")
def sinks():
    machine = active_machine()
    receiver = machine.start("python3", "-c", RECEIVER, stdout=subprocess.PIPE)
    reader = Reader(receiver.stdout.fileno())
    port = int(reader.line("the receiver's port"))
    machine.ask("sed", "-i", f"$asink = file:/var/log/portsnoop/events.json\\nsink = journald\\n"
                f"sink = tcp:127.0.0.1:{port}", "/etc/portsnoop/portsnoop.conf")
    machine.ask("systemctl", "restart", UNIT, status=None)
    await_true("what is missing", lambda: "RestrictAddressFamilies=AF_INET AF_INET6" in machine.journal(UNIT))
    sandbox_open(machine, "RestrictAddressFamilies=AF_INET AF_INET6\n#   IPAddressAllow=any")
    equal([(one["CapPrm"], one["NoNewPrivs"], one["Seccomp"]) for one in couriers(machine)],
          [("0" * 16, "1", "2")] * 3, "what its couriers have given up")

    def events():
        out = machine.ask("sh", "-c", "cat /var/log/portsnoop/events.json*", status=None)
        return [json.loads(line) for line in out.splitlines()]

    def await_port(number):
        await_true(f"port {number} in the file", lambda: any(
            get(event, "portsnoop.local.port") == number for event in events()))

    first, pid = claim(machine), machine.show(UNIT, "MainPID")
    await_port(first)
    await_true("the same in the journal", lambda: f":{first}" in machine.ask(
        "journalctl", "--output=cat", "SYSLOG_IDENTIFIER=portsnoop"))
    check("portsnoop has seen" in machine.ask("journalctl", "--catalog", "SYSLOG_IDENTIFIER=portsnoop"),
          "the catalog explains no entry")
    if shutil.which("logrotate", path=os.environ["PATH"] + ":/usr/sbin"):
        machine.ask("logrotate", "--force", "/etc/logrotate.d/portsnoop")
        await_port(claim(machine))
        check("events.json.1" in machine.ask("ls", "/var/log/portsnoop"), "the old file")
    equal(machine.show(UNIT, "MainPID"), pid, "process")
    machine.ask("systemctl", "stop", UNIT)
    # The reload made a new connection: what was on its way came once more.
    came = {get(event, "event.id"): event for event in parse_events(
        reader.until(lambda line: b'"stream-end"' in line, "the end of the stream"))}
    equal([get(event, "event.sequence") for event in came.values()], list(range(1, len(came) + 1)),
          "numbers of the events that came by TCP")
    equal(sorted(came), sorted(get(event, "event.id") for event in events()), "events in the files")


@test("service: a wrong configuration is refused, and named in the journal")
def refused():
    machine = active_machine()
    machine.write("/etc/portsnoop/portsnoop.conf", "max-size = lots\n")
    machine.ask("systemctl", "restart", UNIT, status=1)
    # Not "activating": it would be tried again.
    equal((machine.show(UNIT, "ActiveState"), machine.show(UNIT, "ExecMainStatus")), ("failed", "2"),
          "state, and exit status")
    said = machine.journal(UNIT)
    check("portsnoop.conf" in said and "max-size" in said and "lots" in said, "journal:", said)


@test("service: one that hangs is started anew by the watchdog, and the gap is recorded")
def watchdog():
    machine = installed_machine()
    machine.write(f"/etc/systemd/system/{UNIT}.d/test.conf", "[Service]\nWatchdogSec=3s\n")
    machine.ask("systemctl", "daemon-reload")
    machine.ask("systemctl", "restart", UNIT)
    check_active(machine)
    machine.kill(UNIT, "STOP")
    await_true("the restart", lambda: machine.show(UNIT, "NRestarts") == "1")
    check_active(machine)
    gaps = await_true("the gap", lambda: [row for row in history(machine)
                                          if "killed" in json.dumps(row)])
    equal(len(gaps), 1, "gaps")
    history_of(machine, claim(machine))


@test("service: killed, it comes back; what it had recorded is there")
def killed():
    machine = active_machine()
    port = claim(machine)
    history_of(machine, port)
    machine.kill(UNIT, "KILL")
    await_true("the restart", lambda: machine.show(UNIT, "NRestarts") == "1")
    check_active(machine)
    history_of(machine, port)


@test("service: stops in order, without a complaint")
def stops():
    machine = active_machine()
    machine.ask("systemctl", "stop", UNIT)
    equal((machine.show(UNIT, "Result"), machine.show(UNIT, "ExecMainStatus")), ("success", "0"),
          f"how it ended; it said {machine.journal(UNIT)!r}")


@test("service: members of its group may read the history, others may not")
def group():
    machine = active_machine()
    history_of(machine, claim(machine))
    for name, groups in (("member", ["--groups", "portsnoop"]), ("stranger", [])):
        machine.ask("useradd", *groups, name)
    check(history(machine, user="member"), "a member sees nothing:", machine.errors)
    machine.ask("portsnoop", "history", user="stranger", status=2)
    check("ermission denied" in machine.errors or "not allowed" in machine.errors,
          "to a stranger it said:", machine.errors)


@test("service: logrotate rotates streams that are kept in its folder")
def logrotate():
    need("logrotate")
    machine = active_machine()
    machine.ask("setpriv", "--reuid=portsnoop", "--regid=portsnoop", "--init-groups", "sh", "-c",
                "echo '{}' >/var/log/portsnoop/stream.json")
    pid = machine.show(UNIT, "MainPID")
    machine.ask("logrotate", "--force", "/etc/logrotate.d/portsnoop")
    equal(machine.ask("ls", "/var/log/portsnoop").split(), ["stream.json.1"], "files")
    equal(machine.show(UNIT, "MainPID"), pid, "process")
    await_true("the reload", lambda: "read the configuration again" in machine.journal(UNIT))
    history_of(machine, claim(machine))


# What dpkg, systemd and the users' tables keep about what was there.
KEPT = ("/var/lib/dpkg/", "/var/log/", "/var/cache/", "/var/lib/systemd/", "/etc/passwd", "/etc/group",
        "/etc/shadow", "/etc/gshadow", "/var/backups/", "/etc/.pwd.lock", "/run/", "/etc/subuid",
        "/etc/subgid", "/var/tmp/")


# Below these a package may put files. Elsewhere others are at work: the machine's own disk
# is seen through this one.
PLACES = ("/etc", "/opt", "/run", "/srv", "/usr", "/var")


def files(machine):
    out = machine.ask("find", *PLACES, "-xdev")
    return {name for name in out.splitlines() if not name.startswith(KEPT) or "portsnoop" in name}


@test("deb: removed, the history stays; purged, nothing does")
def purge():
    package = built()
    machine = Machine()
    before = files(machine)
    shutil.copyfile(package, machine.path("/run/package.deb"))
    machine.ask("dpkg", "--install", "/run/package.deb")
    check_active(machine)
    machine.ask("dpkg", "--remove", "portsnoop")
    left = {name for name in files(machine) - before if not name.startswith("/var/lib/dpkg/")}
    check({DATABASE, "/etc/portsnoop/portsnoop.conf"} <= left, "after the removal:", left)
    equal([name for name in left if name.startswith(("/usr/", "/lib/", "/run/"))], [], "files that stay")
    equal(machine.show(UNIT, "ActiveState"), "inactive", "service")
    machine.ask("dpkg", "--purge", "portsnoop")
    left = files(machine)
    equal(sorted(left - before), [], "files that stay")
    equal(sorted(before - left), [], "files that went as well")


if __name__ == "__main__":
    sys.exit(suite_run("package"))
