# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The counted side of tally.py: python3 tally_claimer.py SCENE [NUMBER]

Does what the scene says and tells, in one line of JSON, what it did, and what the kernel
counted meanwhile.
"""

import contextlib
import errno
import json
import os
import socket
import subprocess
import sys

LOOPBACK = "127.0.0.1"
PROCESSES_UID = 987654


def tell(**told):
    print(json.dumps(dict(told, pid=os.getpid(), netns=os.stat("/proc/self/ns/net").st_ino)), flush=True)


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def listener(address=LOOPBACK):
    server = socket.socket()
    server.bind((address, 0))
    server.listen(64)
    return server


def kernel_counters():
    """{"Tcp.ActiveOpens": number, ...} of this network namespace."""
    counters = {}
    with open("/proc/net/snmp", encoding="ascii") as file:
        lines = file.read().splitlines()
    for names, values in zip(lines[::2], lines[1::2]):
        prefix = names.partition(":")[0]
        counters.update(zip((f"{prefix}.{name}" for name in names.split()[1:]), map(int, values.split()[1:])))
    return counters


def connections():
    """Client and server, who closes first; refused ones. In a network namespace of its own."""
    run("ip", "link", "set", "lo", "up")
    server = listener()
    closed = listener()
    nobody = closed.getsockname()
    closed.close()
    before = kernel_counters()
    for number in range(40):
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
        first, second = (client, accepted) if number % 4 else (accepted, client)
        first.close()
        second.recv(1)
        second.close()
    for _ in range(25):
        with socket.socket() as client, contextlib.suppress(ConnectionRefusedError):
            client.connect(nobody)
    after = kernel_counters()
    # The server's ends are not claims of anybody.
    lingering = [line.split()[2] for line in run("ss", "-Htan", "state", "time-wait").splitlines()]
    own = sum(not line.endswith(f":{server.getsockname()[1]}") for line in lingering)
    tell(opened=after["Tcp.ActiveOpens"] - before["Tcp.ActiveOpens"],
         failed=after["Tcp.AttemptFails"] - before["Tcp.AttemptFails"],
         time_waits=own, server=server.getsockname()[1], nobody=nobody[1])
    server.close()


def error_of(function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return None


def exhaustion():
    """A range of ten ports, used up by each kind of allocation, and three calls more."""
    run("ip", "link", "set", "lo", "up")
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w", encoding="ascii") as file:
        file.write("40000 40009")
    held, failed = [], []
    server = socket.socket()
    server.bind((LOOPBACK, 999))
    server.listen(64)
    other = socket.socket()
    other.bind((LOOPBACK, 998))
    other.listen(64)
    for target, count in ((server, 13), (other, 4)):
        for _ in range(count):
            client = socket.socket()
            held.append(client)
            failed.append(("connect", target.getsockname()[1], error_of(client.connect, target.getsockname())))
    for one in held:
        one.close()
    binds = []
    for _ in range(13):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        binds.append(one)
        failed.append(("bind", 0, error_of(one.bind, (LOOPBACK, 0))))
    for one in binds:
        one.close()
    sends = []
    for _ in range(13):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sends.append(one)
        failed.append(("send", 0, error_of(one.sendto, b"x", (LOOPBACK, 9))))
    tell(calls=failed)


def users(count):
    """As many user ids, each with a claim of its own; the last `count // 3` fail, too."""
    taken = listener()
    os.setresuid(0, 0, 0)
    for uid in range(1, count + 1):
        os.setresuid(uid, -1, -1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.bind((LOOPBACK, 0))
        if uid > count - count // 3:
            with socket.socket() as one, contextlib.suppress(OSError):
                one.bind(taken.getsockname())
    taken.close()
    tell(claims=count, failures=count // 3)


def destinations(count):
    """As many destinations: all refuse."""
    for number in range(count):
        with socket.socket() as one, contextlib.suppress(ConnectionRefusedError):
            one.connect((f"127.1.{number // 250}.{number % 250 + 1}", 1))
    tell(connects=count)


def processes(count):
    """Short-lived processes, some at a time, each with three claims, of a user of their own."""
    os.setresuid(PROCESSES_UID, -1, -1)
    for _ in range(count // 8):
        children = []
        for _ in range(8):
            child = os.fork()
            if not child:
                for _ in range(3):
                    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
                        one.bind((LOOPBACK, 0))
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)
    tell(claims=count // 8 * 8 * 3)


def heritage():
    """A socket that its claimant leaves to a child, who ends when stdin does. Tells of both."""
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind((LOOPBACK, 0))
    child = os.fork()
    if child:
        tell(child=child)
        os._exit(0)
    sys.stdin.read()


if __name__ == "__main__":
    globals()[sys.argv[1]](*map(int, sys.argv[2:]))
