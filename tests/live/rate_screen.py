# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A terminal that knows just what `rate` and `pool` may ask of it: everything else is a failure, as it
would have to be undone."""

import fcntl
import os
import pty
import re
import struct
import termios

from behavior_tool import Failure, Reader, Tool, at_end, await_true

PIECE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b|\r|\n|[^\x1b\r\n]")


def terminal(height, width):
    """(our side, its side)"""
    ours, theirs = pty.openpty()
    terminal_size(theirs, height, width)
    at_end(os.close, ours)
    return ours, theirs


def terminal_size(fd, height=None, width=None):
    """((height, width), modes); with a size, sets it, which its programs are told."""
    if height:
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    size = struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8)))[:2]
    return size, termios.tcgetattr(fd)


class Screen:
    def __init__(self, height, width):
        self.height, self.width = height, width
        self.lines = [""] * height
        self.row = self.column = 0
        self.sgr = b""  # in force
        self.colors = False
        self.rest = b""

    def resize(self, height, width):
        self.height, self.width = height, width
        self.lines = ([line[:width] for line in self.lines] + [""] * height)[:height]
        self.row = min(self.row, height - 1)

    def text(self):
        """Down to the last line that is not empty."""
        lines = [line.rstrip() for line in self.lines]
        while lines and not lines[-1]:
            lines.pop()
        return lines or [""]

    def feed(self, data):
        data = self.rest + data
        # What is cut in the middle waits for its other half.
        cut = len(data)
        escape = data.rfind(b"\x1b")
        if escape >= 0 and not re.match(rb"\x1b\[[0-9;?]*[A-Za-z]", data[escape:]):
            cut = escape
        while cut and data[:cut].decode("utf-8", "ignore").encode() != data[:cut]:
            cut -= 1
            if len(data) - cut > 16:
                raise Failure(f"not UTF-8: {data[-40:]!r}")
        self.rest = data[cut:]
        for piece in PIECE.finditer(data[:cut].decode()):
            self.take(piece)

    def take(self, piece):
        text = piece[0]
        if text == "\r":
            self.column = 0
        elif text == "\n":
            self.row += 1
            if self.row == self.height:
                self.row -= 1
                self.lines = self.lines[1:] + [""]
        elif not text.startswith("\x1b"):
            if self.column >= self.width:
                raise Failure(f"wider than {self.width}: {self.lines[self.row]!r}")
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[:self.column] + text + line[self.column + 1:]
            self.column += 1
        elif piece[2] == "H" and not piece[1]:
            self.row = self.column = 0
        elif piece[2] == "K" and not piece[1]:
            self.lines[self.row] = self.lines[self.row][:self.column]
        elif piece[2] == "J" and not piece[1]:
            self.lines[self.row] = self.lines[self.row][:self.column]
            self.lines[self.row + 1:] = [""] * (self.height - self.row - 1)
        elif piece[2] == "m":
            self.sgr = b"" if piece[1] in ("", "0") else piece[1].encode()
            self.colors = True
        else:
            raise Failure(f"the terminal is asked for {text!r}")


class LiveScreen:
    """A program on a terminal of its own, which Ctrl-C reaches."""

    command = None

    def __init__(self, height, width, *words, env=None):
        self.ours, theirs = terminal(height, width)
        self.screen = Screen(height, width)
        self.theirs = os.dup(theirs)  # to look at it when the program has gone
        at_end(os.close, self.theirs)
        self.reader = Reader(self.ours)
        tool = Tool(self.command, *words, stdout=theirs, stdin=theirs, prefix=("setsid", "--ctty", "--wait"),
                    env=dict({"TERM": "xterm"}, **(env or {})))
        os.close(theirs)
        self.tool = tool

    def pid(self):
        """Of the program: setsid has made a child for it."""
        with open(f"/proc/{self.tool.pid}/task/{self.tool.pid}/children", encoding="ascii") as children:
            return int(children.read())

    def until(self, what, ready):
        """The screen, once it is as wanted."""

        def look():
            self.screen.feed(self.bytes())
            return ready(self.screen.text())

        await_true(what, look)
        return self.screen.text()

    def bytes(self):
        self.reader.available()
        new, self.reader.all = self.reader.all, b""
        return new
