# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""usage: history_follow.py PORTSNOOP MAKE_HISTORY FOLDER

`portsnoop history --follow` against a recording that make_history writes line by line.
Prints the name of each thing that held; whatever does not come is waited for until the
alarm ends the test.
"""

import json
import os
import select
import signal
import subprocess
import sys

PORTSNOOP, MAKE_HISTORY, FOLDER = sys.argv[1:]
PATIENCE = 60


class Writer:
    def __init__(self, path):
        self.process = subprocess.Popen([MAKE_HISTORY, path, "live"], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == "ready\n"

    def do(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "written\n"

    def close(self):
        self.process.stdin.close()
        assert self.process.wait() == 0

    def kill(self):
        self.process.kill()
        self.process.wait()


class Follower:
    def __init__(self, path, *arguments, stdout=subprocess.PIPE):
        self.process = subprocess.Popen(
            [PORTSNOOP, "history", "--db", path, "-f", "-o", "json", *arguments],
            stdout=stdout, stderr=subprocess.PIPE)

    def next(self):
        line = self.process.stdout.readline()
        assert line, self.process.communicate()
        return json.loads(line)

    def leases(self, *wanted):
        """The next rows that are no gap: (port, ending or errno)."""
        rows = []
        while len(rows) < len(wanted):
            event = self.next()
            own = event["portsnoop"]
            if "gap" in own:
                continue
            port = own.get("local", own.get("requested"))["port"]
            rows.append((port, own["ending"] if "ending" in own else event["error"]["code"]))
        assert rows == list(wanted), f"{rows} instead of {wanted}"

    def end(self, signals=(signal.SIGTERM,), status=0):
        for number in signals:
            self.process.send_signal(number)
        out, err = self.process.communicate()
        assert self.process.returncode == status, (self.process.returncode, err)
        return out, err


def what_comes(path):
    writer = Writer(path)
    for port in range(1001, 1013):
        writer.do(f"open {port}")
    follower = Follower(path)
    follower.leases(*[(port, "open") for port in range(1003, 1013)])
    print("the last 10 come first", flush=True)
    writer.do("open 2000")
    follower.leases((2000, "open"))
    writer.do("close 2000")
    follower.leases((2000, "released"))
    writer.do("fail 2001")
    follower.leases((2001, "EACCES"))
    writer.do("gap")
    while "gap" not in follower.next()["portsnoop"]:
        pass
    print("what is written comes at once", flush=True)
    few = Follower(path, "1012", "2002", "-n", "1")
    few.leases((1012, "open"))
    one = Follower(path, "-n", "1", "--failed")
    one.leases((2001, "EACCES"))
    writer.do("open 2003")
    writer.do("open 2002")
    writer.do("fail 2002")
    few.leases((2002, "open"), (2002, "EACCES"))
    one.leases((2002, "EACCES"))
    follower.leases((2003, "open"), (2002, "open"), (2002, "EACCES"))
    print("conditions hold", flush=True)
    out, err = follower.end((signal.SIGINT,))
    assert (out, err) == (b"", b""), (out, err)
    few.end()
    one.end()
    print("SIGINT and SIGTERM end it quietly", flush=True)
    only_new(path, writer)
    writer.close()


def only_new(path, writer):
    """Nothing tells that it has begun, but its first row."""
    follower = Follower(path, "-n", "0")
    port = 5000
    while not select.select([follower.process.stdout], [], [], 0.05)[0]:
        port += 1
        writer.do(f"fail {port}")
    assert follower.next()["portsnoop"]["requested"]["port"] > 5000
    print("with -n 0 only what is new comes", flush=True)
    follower.end()


def beginnings(path):
    """While it begins, the recording goes on."""
    writer = Writer(path)
    port = 0
    for _ in range(8):
        last = port + 40
        follower = Follower(path, "-n", "3", f"{port + 1}-{last}")
        while port < last:
            port += 1
            writer.do(f"open {port}")
        shown = []
        while not shown or shown[-1] != last:
            event = follower.next()["portsnoop"]
            if "gap" not in event:
                shown.append(event["local"]["port"])
        assert shown == list(range(shown[0], last + 1)), shown
        follower.end()
    writer.close()
    print("while it begins, no row comes twice and none is missing", flush=True)


def another_database(path):
    writer = Writer(path)
    writer.do("open 3000")
    follower = Follower(path)
    follower.leases((3000, "open"))
    writer.kill()
    for end in ("", "-wal", "-shm"):
        if os.path.exists(path + end):
            os.rename(path + end, path + ".old" + end)
    writer = Writer(path)
    writer.do("open 3001")
    follower.leases((3001, "open"))
    writer.do("close 3001")
    follower.leases((3001, "released"))
    _, err = follower.end()
    assert err.count(b"\n") == 1 and b"is another database now" in err, err
    writer.close()
    print("another database in its place is followed", flush=True)


def no_reader(path):
    writer = Writer(path)
    writer.do("open 4000")
    follower = Follower(path)
    follower.leases((4000, "open"))
    follower.process.stdout.close()
    assert follower.process.wait() == 0
    assert follower.process.stderr.read() == b""
    print("a reader that goes away ends it quietly, without a write", flush=True)
    writer.close()


def main():
    signal.alarm(PATIENCE)
    for test in (what_comes, beginnings, another_database, no_reader):
        folder = os.path.join(FOLDER, test.__name__)
        os.mkdir(folder)
        test(os.path.join(folder, "history.db"))


main()
