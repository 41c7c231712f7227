#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Other log shippers, with the configurations of tools/shippers/, where they are installed.

usage: shippers.py [PATTERN...]

None of them is a package of Debian's. Each reads a file of events that grows, across a
restart, and writes what it has of them to another file; what it adds to an event is its own
business, what it leaves out or changes is not.
"""

import json
import os
import shutil
import sys

from back_end import (BackEnd, Feed, Skip, arrived_equal, await_true, free_port, get, lines_of, recording, replayed,
                      room, shipper, suite_run, test)

# Name: configuration, its words, where it writes, the words that start it.
SHIPPERS = {
    "fluent-bit": ("fluent-bit/portsnoop.yaml", {"/var/lib/fluent-bit": "{room}", "path: /var/log\n": "path: {room}\n"},
                   "portsnoop-fluent-bit.json", ("fluent-bit", "-c", "{configuration}")),
    "vector": ("vector/portsnoop.toml", {"/run/portsnoop-vector.sock": "{room}/socket",
                                         "/var/log/portsnoop-vector": "{room}/portsnoop-vector"},
               "portsnoop-vector.json", ("vector", "--config", "{configuration}")),
    "filebeat": ("filebeat/portsnoop.yml", {"path: /var/log\n": "path: {room}\n"},
                 "portsnoop-filebeat*", ("filebeat", "-e", "--strict.perms=false", "-c", "{configuration}",
                                         "--path.data", "{room}/data")),
    "logstash": ("logstash/portsnoop.conf", {"/var/log/portsnoop-logstash": "{room}/portsnoop-logstash"},
                 "portsnoop-logstash.json", ("logstash", "-f", "{configuration}", "--path.data", "{room}/data")),
}


def ours(event, sent):
    """Of what arrived, the members that were sent."""
    if not isinstance(event, dict) or not isinstance(sent, dict):
        return event
    return {name: ours(event[name], value) for name, value in sent.items() if name in event}


def reads_file(name):
    if not shutil.which(name):
        raise Skip(f"{name} is not installed, and no Debian package has it")
    path, replaced, out, command = SHIPPERS[name]
    folder, port = room(), free_port()
    words = {"/var/log/portsnoop/events.json": f"{folder}/events.json", **replaced}
    if name != "filebeat":
        words["5170"] = str(port)
    configuration = f"{folder}/{os.path.basename(path)}"
    with open(configuration, "w", encoding="utf-8") as file:
        file.write(shipper(path, **{old: new.format(room=folder) for old, new in words.items()}))
    server = BackEnd(*(word.format(room=folder, configuration=configuration) for word in command)).start()

    def arrived():
        names = [one for one in os.listdir(folder) if one.startswith(out.rstrip("*"))]
        return [json.loads(line) for one in names for line in lines_of(f"{folder}/{one}")]

    sent = {get(event, "event.id"): event for event in replayed(recording("hostile"))}
    feed = Feed(recording("hostile"), "--sink", f"file:{folder}/events.json")
    feed.send(0.5)
    await_true("the first events", arrived, 120)
    server.restart()
    feed.done()
    await_true("all events", lambda: sent.keys() <= {get(event, "event.id") for event in arrived()}, 120)
    arrived_equal([ours(event, sent[get(event, "event.id")]) for event in arrived()], list(sent.values()))


for one in SHIPPERS:
    test(f"{one}: reads a file of events, across a restart")(lambda one=one: reads_file(one))


if __name__ == "__main__":
    sys.exit(suite_run("shippers"))
