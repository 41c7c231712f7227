#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A further subflow of an MPTCP connection: made by a worker of the kernel, claimed for
the process whose connection it is. In a network namespace of its own, with iproute2's
`ip mptcp` as the one that asks for it; ss says when it is there.

usage: join.py           ($PORTSNOOP, $TIER)
       join.py --work    the traced side
"""

import json
import os
import socket
import subprocess
import sys
import time

MPTCP = 262
SECOND = "127.0.0.2"


def work():
    """Prints the local ports of both subflows once the second one is established."""
    for command in ("ip link set lo up", "ip mptcp limits set subflow 2 add_addr_accepted 2",
                    f"ip mptcp endpoint add {SECOND} subflow"):
        subprocess.run(command.split(), check=True)
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM, MPTCP)
    server.bind(("127.0.0.1", 0))
    server.listen()
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM, MPTCP)
    client.connect(server.getsockname())
    accepted, _ = server.accept()
    for one, other in ((client, accepted), (accepted, client)):
        one.send(b"x")  # joins wait until both ends have spoken
        other.recv(1)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        listing = subprocess.run(["ss", "-Htn", "state", "established", "src", SECOND],
                                 capture_output=True, text=True, check=True).stdout.split()
        if listing:
            print(json.dumps({"pid": os.getpid(), "first": client.getsockname()[1],
                              "second": int(listing[2].rsplit(":", 1)[1])}), file=sys.stderr)
            return 0
    return 1


def main():
    if sys.argv[1:] == ["--work"]:
        return work()
    if os.geteuid():
        print("skip join - needs root")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, MPTCP).close()
    except OSError as error:
        print(f"skip join - no MPTCP here: {error}")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    program = os.environ.get("PORTSNOOP", "build/portsnoop")
    tier = ["--tier", os.environ["TIER"]] if os.environ.get("TIER") else []
    run = subprocess.run([program, "trace", "-o", "json", *tier, "--", "unshare", "-n", sys.executable,
                          os.path.abspath(__file__), "--work"],
                         capture_output=True, text=True, timeout=120, check=False)
    told = [json.loads(line) for line in run.stderr.splitlines() if line.startswith("{")]
    seen = []
    for line in run.stdout.splitlines():
        event = json.loads(line)
        own = event["portsnoop"]
        if event["event"]["action"].startswith("connect"):
            seen.append((event["event"]["action"], event["process"]["pid"], own["trigger"],
                         own.get("claimed"), own["local"]["ip"], own["local"]["port"],
                         event["destination"]["ip"]))
    want = []
    if told:
        pid = told[0]["pid"]
        for trigger, address, port in (("connect", "127.0.0.1", told[0]["first"]),
                                       ("subflow", SECOND, told[0]["second"])):
            want += [("connected-to", pid, trigger, True, address, port, "127.0.0.1"),
                     ("connection-established", pid, trigger, None, address, port, "127.0.0.1")]
    good = bool(want) and sorted(map(repr, want)) == sorted(map(repr, seen)) and run.returncode == 0
    print("ok join" if good else f"not ok join - exit {run.returncode}: wanted {want}, saw {seen}; {run.stderr}")
    print(f"{int(good)} passed, {int(not good)} failed, 0 skipped")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
