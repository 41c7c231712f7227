# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Runs portsnoop as a person or a script would, and waits for what it does.

Everything that is waited for is an event with a limit; what did not come by then
is a failure that says what was waited for.
"""

import atexit
import contextlib
import errno
import fcntl
import fnmatch
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
import traceback

import compare
import tracer

# s, for anything that should happen at once; machines can be busy.
PATIENCE = int(os.environ.get("PATIENCE", "40"))
HERE = os.path.dirname(os.path.abspath(__file__))
TOTALS = re.compile(r"^portsnoop: (\d+) seen = (\d+) delivered \+ (\d+) filtered \+ (\d+) lost"
                    r"(?: \+ (\d+) behind --count)?$", re.M)
# What a terminal obeys. Ours are colors only.
ESCAPE = re.compile(rb"\x1b\[[0-9;]*m")


class Failure(Exception):
    pass


class Skip(Exception):
    pass


def check(truth, *words):
    if not truth:
        raise Failure(" ".join(str(word) for word in words))


def equal(have, want, what):
    if have != want:
        raise Failure(f"{what}: {have!r}, expected {want!r}")


def with_tier(words):
    """TIER chooses the tier of every trace and recording that does not choose by itself."""
    tier = os.environ.get("TIER")
    if not tier or words[:1] not in (("trace",), ("record",), ("rate",)) or {"--tier", "--status"} & set(words):
        return words
    return (words[0], "--tier", tier, *words[1:])


def program():
    return os.path.abspath(os.environ.get("PORTSNOOP", "build/portsnoop"))


# ---- tests ----

TESTS = []


def test(name):
    def add(function):
        TESTS.append((name, function))
        return function

    return add


def _place_of(failure):
    """The line of the test: the innermost one that is not in this file."""
    frames = [frame for frame in traceback.extract_tb(failure.__traceback__)
              if os.path.basename(frame.filename) != os.path.basename(__file__)]
    return f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else "?"


def test_run(tally, name, function):
    own = os.getpid()
    try:
        function()
        state, reason = "ok", None
    except Skip as skip:
        state, reason = "skip", str(skip)
    except Exception as failure:  # the others still run
        known = isinstance(failure, (Failure, compare.Broken))
        state = "not ok"
        reason = f"{_place_of(failure)}: {'' if known else repr(type(failure))} {failure}"
    finally:
        if os.getpid() == own:
            clean_up()
    tally.add(state, name, reason)


def suite_run(name):
    """All tests, or those that the arguments name as globs, as a suite of its own."""
    tracer.terminate_by_exception()
    tracer.need_root(name)
    tally = compare.Tally()
    for title, function in TESTS:
        if not sys.argv[1:] or any(fnmatch.fnmatchcase(title, one) for one in sys.argv[1:]):
            test_run(tally, title, function)
    return tally.finish()


_cleanups = contextlib.ExitStack()


def at_end(function, *arguments):
    """To be called when the test is over, last one first."""
    _cleanups.callback(function, *arguments)


def clean_up():
    _cleanups.close()


def room():
    """A folder for the test, which everybody may look into."""
    path = tempfile.mkdtemp(prefix="portsnoop-behavior.")
    os.chmod(path, 0o755)
    at_end(shutil.rmtree, path, True)
    return path


def folder_kept():
    """A folder for several tests: gone with this process."""
    path = tempfile.mkdtemp(prefix="portsnoop-behavior.")
    atexit.register(shutil.rmtree, path, True)
    return path


# ---- processes ----


def await_true(what, ready, seconds=PATIENCE):
    """For what cannot be waited for in another way."""
    deadline = time.monotonic() + seconds
    while True:
        value = ready()
        if value:
            return value
        check(time.monotonic() < deadline, "did not happen:", what)
        select.select([], [], [], 0.01)


def await_exit(process, seconds=PATIENCE):
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise Failure(f"did not end within {seconds} s: {process.args}") from None


def end(process):
    if process.poll() is None:
        process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


class Reader:
    """Lines of a pipe or terminal, each waited for."""

    def __init__(self, fd):
        self.fd = fd
        self.bytes = b""
        self.ended = False
        self.all = b""
        os.set_blocking(fd, False)

    def fill(self, deadline, what):
        left = deadline - time.monotonic()
        ready = left > 0 and select.select([self.fd], [], [], left)[0]
        check(ready, "did not come:", what, "; so far:", self.all[-500:])
        try:
            more = os.read(self.fd, 65536)
        except BlockingIOError:
            return
        except OSError as error:  # a terminal whose other side was closed
            if error.errno != errno.EIO:
                raise
            more = b""
        self.ended = not more
        self.bytes += more
        self.all += more

    def line(self, what="a line", seconds=PATIENCE):
        """Without its newline. None: the end."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self.bytes:
            if self.ended:
                check(not self.bytes, "the last line is cut:", self.bytes[-200:])
                return None
            self.fill(deadline, what)
        line, _, self.bytes = self.bytes.partition(b"\n")
        return line

    def available(self):
        """Lines that are there already."""
        while not self.ended and select.select([self.fd], [], [], 0)[0]:
            self.fill(time.monotonic() + PATIENCE, "what is there")
        lines = self.bytes.split(b"\n")
        self.bytes = lines.pop()
        return lines

    def until(self, matches, what):
        """Lines up to the first that matches."""
        lines = []
        deadline = time.monotonic() + PATIENCE
        while True:
            line = self.line(what, deadline - time.monotonic())
            check(line is not None, "ended before:", what)
            lines.append(line)
            if matches(line):
                return lines

    def rest(self, seconds=PATIENCE):
        """Lines up to the end."""
        deadline = time.monotonic() + seconds
        while not self.ended:
            self.fill(deadline, "the end of the output")
        lines, self.bytes = self.bytes.split(b"\n"), b""
        check(not lines[-1], "the last line is cut:", lines[-1][-200:])
        return lines[:-1]


class Tool:
    """A portsnoop that runs. `stdout`: a descriptor instead of a pipe."""

    def __init__(self, *arguments, stdout=None, env=None, prefix=(), stdin=subprocess.DEVNULL,
                 pass_fds=()):
        self.errors = tempfile.TemporaryFile()
        words = dict(os.environ, **(env or {}))
        words = {key: value for key, value in words.items() if value is not None}
        self.process = subprocess.Popen(
            [*prefix, program(), *with_tier(arguments)], stdin=stdin,
            stdout=subprocess.PIPE if stdout is None else stdout, stderr=self.errors, env=words,
            start_new_session=True, pass_fds=pass_fds)
        self.pid = self.process.pid
        self.reader = Reader(self.process.stdout.fileno()) if stdout is None else None
        at_end(self.close)

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)  # a command that it runs, too
        end(self.process)
        self.errors.close()

    def words(self):
        self.errors.seek(0)
        return self.errors.read().decode("utf-8", "backslashreplace")

    def send(self, number):
        self.process.send_signal(number)

    def pause(self):
        """Until SIGCONT."""
        self.send(signal.SIGSTOP)
        done, status = os.waitpid(self.pid, os.WUNTRACED)
        check(done == self.pid and os.WIFSTOPPED(status), "it did not pause:", status)

    def started(self):
        """Everything is attached once the heading, or stream-start, is there."""
        try:
            line = self.reader.line("the first line")
        except Failure as failure:
            raise Failure(f"{failure}; it says: {self.words()!r}") from None
        if line is None:
            raise Failure(f"ended with status {await_exit(self.process)}: {self.words()!r}")
        return line

    def status(self, seconds=PATIENCE):
        return await_exit(self.process, seconds)

    def stop(self, number=signal.SIGINT):
        """Ends it; the lines that were not read yet."""
        self.send(number)
        lines = self.reader.rest()
        equal(self.status(), 0, f"exit status, it said {self.words()!r}")
        return lines

    def totals(self):
        """(seen, delivered, filtered, lost, behind --count), which add up."""
        found = TOTALS.findall(self.words())
        equal(len(found), 1, f"totals in {self.words()!r}")
        numbers = [int(number or 0) for number in found[0]]
        equal(numbers[0], sum(numbers[1:]), "seen and the sum of the totals")
        return numbers


class Result:
    def __init__(self, status, out, words):
        self.status, self.out, self.words = status, out, words

    def lines(self):
        check(not self.out or self.out.endswith(b"\n"), "the last line is cut:", self.out[-200:])
        return self.out.split(b"\n")[:-1]

    totals = Tool.totals


def run(*arguments, env=None, prefix=(), stdin=subprocess.DEVNULL, seconds=PATIENCE,
        command=None):
    """portsnoop from start to end."""
    words = dict(os.environ, **(env or {}))
    words = {key: value for key, value in words.items() if value is not None}
    try:
        done = subprocess.run([*prefix, command or program(), *with_tier(arguments)],
                              stdin=stdin, capture_output=True, env=words, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise Failure(f"did not end within {seconds} s: {arguments}") from None
    result = Result(done.returncode, done.stdout, None)
    words = done.stderr.decode("utf-8", "backslashreplace")
    result.words = lambda: words
    return result


class Claimer:
    """A process of behavior_claimer.py, run by `prefix`, from another file than
    Python's if `executable` names one; `arguments` are for others to see."""

    def __init__(self, *arguments, executable=None, prefix=(), pass_fds=()):
        command = [*prefix, executable or sys.executable, os.path.join(HERE, "behavior_claimer.py"),
                   *arguments]
        env = dict(os.environ, PYTHONHOME=sys.base_prefix) if executable else None
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env,
                                        pass_fds=pass_fds)
        at_end(end, self.process)
        self.reader = Reader(self.process.stdout.fileno())
        self.pid = self.ask("pid")

    def tell(self, *words):
        self.process.stdin.write(json.dumps(words).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self):
        line = self.reader.line("a claimer's answer")
        check(line is not None, "a claimer has ended")
        return json.loads(line)

    def ask(self, *words):
        self.tell(*words)
        return self.answer()

    def done(self):
        self.process.stdin.close()
        equal(await_exit(self.process), 0, "a claimer's exit status")


# ---- what the output says ----


def parse_events(lines):
    """JSON lines, each judged as any reader would."""
    events = []
    for line in lines:
        try:
            text = line.decode("utf-8")
            event = json.loads(text)
        except ValueError as error:
            raise Failure(f"{error}: {line[:300]!r}") from None
        check(isinstance(event, dict), "not an object:", line[:300])
        check(not any(byte < 0x20 or byte == 0x7F for byte in line), "a control byte:", line[:300])
        events.append(event)
    return events


def get(event, path):
    return compare.get(event, path)


def action(event):
    return get(event, "event.action")


def is_event(event):
    """Of a socket, not of the stream about itself."""
    return action(event) in compare.ACTIONS


def is_port(port, pid=None, wanted="bound-socket"):
    """A matcher for lines of JSON."""

    def matches(line):
        event = json.loads(line)
        return (action(event) == wanted and get(event, "portsnoop.local.port") == port
                and (pid is None or get(event, "process.pid") == pid))

    return matches


def find(events, port, wanted="bound-socket"):
    """The one event of that kind on that port."""
    found = [event for event in events
             if get(event, "portsnoop.local.port") == port and action(event) == wanted]
    equal(len(found), 1, f"events {wanted} of port {port}")
    return found[0]


def bytes_waiting(fd):
    """In a pipe."""
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4), sys.byteorder)


def owned_ids(pid):
    """{("prog", 17), ("link", 4), ...}: what of BPF a process holds."""
    ids = set()
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/fdinfo/{fd}", encoding="utf-8") as info:
                ids.update((kind, int(number)) for kind, number in
                           re.findall(r"^(prog|map|link)_id:\s*(\d+)$", info.read(), re.M))
    return ids
