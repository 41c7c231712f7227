# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Reads what `--save FILE` wrote: user/stream/recording.h, include/portsnoop/wire.h."""

import collections
import ipaddress
import struct

import compare

CALL, OUTCOME, RELEASE, SEED = 2, 3, 4, 5
KERNEL_LAST, STREAM_END = 63, 67
CLAIMED, IN_PROGRESS = 1 << 0, 1 << 1
REUSEADDR, REUSEPORT, V6ONLY, MPTCP = 1 << 5, 1 << 6, 1 << 7, 1 << 9
TIME_WAIT, NO_CLAIMANT, TIME_WAIT_OVER = 1 << 12, 1 << 14, 1 << 19

FILE_HEADER, FRAME_HEADER = 32, struct.Struct("=4I")
RECORD_HEADER = struct.Struct("=HHIQQ")
EVENT = struct.Struct("=HHIQQ4Q8I6H4B16s16s16s")
Event = collections.namedtuple("Event", "type size lost cpu_sequence time socket start duration cgroup pid tid uid "
                               "exec netns error flags device local_port other_port pool_low pool_high "
                               "unprivileged protocol family trigger origin state local other comm")
END = struct.Struct("=24x6Q")
End = collections.namedtuple("End", "seen lost filtered untracked unseen skipped")


def ip(family, data):
    """As compare.py writes it."""
    return str(ipaddress.ip_address(data[:4] if family == 4 else data))


class Recording:
    """`events`: those of sockets, seeds among them. `received`: records of the kernel.
    `end`: None, or the totals."""

    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        self.events, self.end, self.received = [], None, 0
        at = FILE_HEADER
        while at < len(data):
            _, length, _, _ = FRAME_HEADER.unpack_from(data, at)
            self._frame(data[at + 16:at + FRAME_HEADER.size + length])
            at += FRAME_HEADER.size + length
        if self.end is None:
            raise compare.Broken(f"{path}: the stream has no end")

    def _frame(self, payload):
        at = 0
        while at < len(payload):
            kind, size, *_ = RECORD_HEADER.unpack_from(payload, at)
            self.received += kind <= KERNEL_LAST
            if CALL <= kind <= SEED:
                event = Event(*EVENT.unpack_from(payload, at))
                self.events.append(event._replace(comm=event.comm.rstrip(b"\0").decode()))
            elif kind == STREAM_END:
                self.end = End(*END.unpack_from(payload, at))
            at += size

    def of(self, kind):
        return [event for event in self.events if event.type == kind]
