#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A bind and a connect that a BPF policy refuses: EPERM, with the address asked for.

In a cgroup of its own two programs that say no are attached; a command in it tries.

usage: policy.py           ($PORTSNOOP, $TIER)
       policy.py --work    the traced side
"""

import ctypes
import json
import os
import platform
import re
import socket
import struct
import subprocess
import sys

BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
PROG_LOAD, PROG_ATTACH = 5, 8
CGROUP_SOCK_ADDR, INET4_BIND, INET4_CONNECT = 18, 8, 10
REFUSE = struct.pack("<BBhi", 0xB7, 0, 0, 0) + struct.pack("<BBhi", 0x95, 0, 0, 0)  # return 0
PORT = 60716

libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes.ljust(144, b"\0"), 144)
    result = libc.syscall(BPF, command, buffer, len(buffer))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def refuse(cgroup, attach_type):
    program, licence = ctypes.create_string_buffer(REFUSE, len(REFUSE)), ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack("<IIQQIIQII16sII", CGROUP_SOCK_ADDR, len(REFUSE) // 8, ctypes.addressof(program),
                             ctypes.addressof(licence), 0, 0, 0, 0, 0, b"refuse", 0, attach_type)
    loaded = bpf(PROG_LOAD, attributes)
    bpf(PROG_ATTACH, struct.pack("<IIII", cgroup, loaded, attach_type, 0))
    os.close(loaded)


def work():
    told = []
    for call in ("bind", "connect"):
        try:
            getattr(socket.socket(), call)(("127.0.0.1", PORT))
            told.append([call, None])
        except OSError as error:
            told.append([call, error.strerror])
    print(json.dumps({"pid": os.getpid(), "told": told}), file=sys.stderr)
    return 0


def mount_point():
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        for line in mounts:
            found = re.match(r"\S+ \S+ \S+ / (\S+) .* - cgroup2 ", line)
            if found:
                return found[1]
    return None


def check(folder):
    cgroup = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for attach_type in (INET4_BIND, INET4_CONNECT):
        refuse(cgroup, attach_type)
    os.close(cgroup)
    tier = ["--tier", os.environ["TIER"]] if os.environ.get("TIER") else []
    enter = 'echo $$ >"$1/cgroup.procs" && exec "$2" "$3" --work'
    run = subprocess.run([os.environ.get("PORTSNOOP", "build/portsnoop"), "trace", "-o", "json", *tier, "--", "sh",
                          "-c", enter, "sh", folder, sys.executable, os.path.abspath(__file__)],
                         capture_output=True, text=True, timeout=120, check=False)
    told = [json.loads(line) for line in run.stderr.splitlines() if line.startswith("{")]
    if not told or [why for _, why in told[0]["told"]] != [os.strerror(1)] * 2:
        return f"the policy did not refuse: {told} {run.stderr}"
    seen = []
    for event in map(json.loads, run.stdout.splitlines()):
        own = event["portsnoop"]
        if "trigger" in own:
            asked = own.get("requested") or event.get("destination")
            seen.append((event["process"]["pid"], own["trigger"], own["claimed"], event.get("error", {}).get("code"),
                         asked and asked["ip"], asked and asked["port"]))
    want = [(told[0]["pid"], "bind", True, "EPERM", "127.0.0.1", PORT),
            (told[0]["pid"], "connect", False, "EPERM", "127.0.0.1", PORT)]
    return None if seen == want else f"wanted {want}, saw {seen}"


def main():
    if sys.argv[1:] == ["--work"]:
        return work()
    above = mount_point()
    why = "needs root" if os.geteuid() else None if above else "no cgroup v2 is mounted"
    if why:
        print(f"skip policy - {why}")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    folder = os.path.join(above, f"portsnoop-test-{os.getpid()}")
    os.mkdir(folder)
    try:
        wrong = check(folder)
    finally:
        os.rmdir(folder)
    print(f"not ok policy - {wrong}" if wrong else "ok policy")
    print(f"{int(not wrong)} passed, {int(bool(wrong))} failed, 0 skipped")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
