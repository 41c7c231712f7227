#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""rsyslog and syslog-ng take what portsnoop feeds them, with the configurations of tools/shippers/.

usage: syslog.py [PATTERN...]
"""

import glob
import json
import os
import sys

from back_end import (BackEnd, Feed, arrived_equal, await_true, check, equal, free_port, get, lines_of, listening,
                      parse_events, recording, recording_of, replay, replayed, room, shipper, suite_run, test, without)


class Server(BackEnd):
    """One that writes the lines to `out`, and what it cannot parse to `odd`. `source` is the file of events
    that it reads; `sinks` are what feeds it otherwise. `written`: what it writes of a message instead of the
    configuration's own."""

    def __init__(self, written=None):
        folder = room()
        self.out, self.odd, self.source = f"{folder}/out", f"{folder}/odd", f"{folder}/events.json"
        socket, port, lines = f"{folder}/socket", free_port(), free_port()
        self.sinks = {"tcp": f"syslog:tcp:127.0.0.1:{port}", "udp": f"syslog:udp:127.0.0.1:{port}",
                      "unix": f"syslog:unix:{socket}", "lines": f"tcp:127.0.0.1:{lines}"}
        replaced = {"/var/log/portsnoop/events.json": self.source, "6514": port, "5514": port, "5170": lines}
        command = self.configure(folder, socket, {**replaced, **({self.usual: written} if written else {})})
        super().__init__(*command, packages=self.name,
                         ready=lambda: os.path.exists(socket) and listening(port) and listening(lines))

    def arrived(self, count):
        """The lines, when there are so many different ones."""
        await_true(f"{count} events in {self.name}", lambda: len(set(lines_of(self.out))) >= count)
        equal(lines_of(self.odd), [], f"lines that {self.name} could not parse")
        return lines_of(self.out)


class Rsyslog(Server):
    name = "rsyslog"
    usual = 'property(name="msg")'
    parsed = 'property(name="$!all-json-plain")'
    header = ' constant(value=" ") '.join((
        'property(name="hostname")', 'property(name="app-name")', 'property(name="procid")', 'property(name="msgid")',
        'property(name="timereported" dateFormat="rfc3339" date.inUTC="on" position.to="26")'))

    def configure(self, folder, socket, replaced):
        text = shipper("rsyslog/portsnoop.conf", **{
            "/run/portsnoop-rsyslog.sock": socket, "/var/log/portsnoop-rsyslog.json": self.out,
            "/var/log/portsnoop-rsyslog.odd": self.odd, **replaced})
        with open(f"{folder}/rsyslog.conf", "w", encoding="utf-8") as file:
            file.write(f'global(workDirectory="{folder}")\n{text}')
        return "rsyslogd", "-n", "-iNONE", "-f", f"{folder}/rsyslog.conf"


class SyslogNg(Server):
    name = "syslog-ng"
    usual = "${MSG}"
    parsed = "$(format-json --scope none --key .portsnoop.* --shift-levels 2)"
    header = "${HOST} ${PROGRAM} ${PID} ${MSGID} $(substr ${S_ISODATE} 0 26)"

    def configure(self, folder, socket, replaced):
        text = shipper("syslog-ng/portsnoop.conf", **{
            "/run/portsnoop-syslog-ng.sock": socket, "/var/log/portsnoop-syslog-ng.json": self.out, **replaced})
        with open(f"{folder}/syslog-ng.conf", "w", encoding="utf-8") as file:
            file.write(f"@version: 4.0\noptions {{ frac-digits(6); }};\n{text}")
        return ("syslog-ng", "-F", "--no-caps", "-f", f"{folder}/syslog-ng.conf", "-R", f"{folder}/persist",
                "-c", f"{folder}/control", "-p", f"{folder}/pid")


def lists_restored(event):
    """syslog-ng 3.38 makes texts of what stands in a list."""
    ours = event["portsnoop"]
    if "pool" in ours.get("class", {}):
        ours["class"]["pool"] = [int(port) for port in ours["class"]["pool"]]
    if "blocked_by" in ours:
        ours["blocked_by"] = [json.loads(entry) if isinstance(entry, str) else entry for entry in ours["blocked_by"]]
    return event


def written(path):
    """Lines of the file and of those that it was before."""
    return [line for name in glob.glob(f"{path}*") for line in lines_of(name)]


def from_file(kind):
    server = kind().start()
    file = recording_of(1000)
    sent = replayed(file)
    feed = Feed(file, "--sink", f"file:{server.source},rotate-size=1M,keep=9")
    feed.send(0.05)
    server.arrived(1)
    server.stop()
    feed.send(0.05)
    server.start()
    # One rotation at a time, as when they are hours apart.
    for part in range(5, 0, -1):
        feed.send(1 / part)
        await_true("the file", lambda: len(written(server.source)) >= len(sent) * (6 - part) // 6)
        server.arrived(len(written(server.source)))
    feed.done()
    check(os.path.exists(f"{server.source}.2"), "it was not rotated")
    equal(arrived_equal(parse_events(server.arrived(len(sent))), sent), 0, "events that came twice")


def from_network(kind):
    sent = replayed(recording("hostile"))
    for way in ("tcp", "udp", "unix", "lines"):
        server = kind().start()
        replay(recording("hostile"), "--sink", f"{server.sinks[way]},args=yes")
        equal(arrived_equal(parse_events(server.arrived(len(sent))), sent), 0, f"events that came twice by {way}")


def every_field(kind):
    for name in ("claims", "failures", "blocked", "gaps", "hostile"):
        server = kind(written=kind.parsed).start()
        replay(recording(name), "--sink", f"{server.sinks['unix']},args=yes")
        sent = replayed(recording(name))
        arrived_equal([lists_restored(json.loads(line)) for line in server.arrived(len(sent))], sent)


def header(kind):
    """What RFC 5424 has in front of the message, as the server understands it."""
    server = kind(written=kind.header).start()
    replay(recording("claims"), "--sink", server.sinks["tcp"])
    sent = replayed(recording("claims"))
    want = [f"{get(event, 'host.name')} portsnoop {get(event, 'event.id').split('-')[0]} "
            f"{get(event, 'event.action')} {get(event, '@timestamp')[:26]}" for event in sent]
    lines = await_true("the headers", lambda: len(lines_of(server.out)) >= len(sent) and lines_of(server.out))
    equal([line.decode() for line in lines], want, "headers")


def without_arguments(kind):
    server = kind().start()
    replay(recording("claims"), "--sink", server.sinks["tcp"])
    sent = [without(event, "process.args") for event in replayed(recording("claims"))]
    arrived_equal(parse_events(server.arrived(len(sent))), sent)


def restarted(kind):
    for way, file in (("tcp", recording_of(300)), ("unix", recording_of(300)), ("lines", recording("hostile"))):
        server = kind().start()
        feed = Feed(file, "--sink", f"{server.sinks[way]},args=yes")
        feed.send(0.3)
        server.arrived(1)
        server.stop()
        feed.send(0.5)
        server.start()
        feed.done()
        sent = replayed(file)
        arrived_equal(parse_events(server.arrived(len(sent))), sent)


TITLES = {
    from_file: "reads a file of events that is rotated, across a restart",
    from_network: "takes syslog by TCP, UDP and a unix socket, and lines by TCP, hostile names too",
    every_field: "parses every field",
    header: "understands the header of a syslog message",
    without_arguments: "gets no arguments of processes unless asked for",
    restarted: "loses nothing when it is restarted in the middle of a stream",
}

for one in (Rsyslog, SyslogNg):
    for body, title in TITLES.items():
        test(f"{one.name}: {title}")(lambda body=body, one=one: body(one))


if __name__ == "__main__":
    sys.exit(suite_run("syslog"))
