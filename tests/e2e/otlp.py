#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The otlp sink, against a receiver that knows the official definitions and against the
OpenTelemetry Collector.

usage: otlp.py [PATTERN...]
"""

import contextlib
import datetime
import glob
import os
import re
import signal
import socket
import ssl
import subprocess
import sys

import collector
from back_end import (PATIENCE, TREE, BackEnd, Feed, arrived_equal, await_true, check, equal, get, packages, recording,
                      replay, replayed, room, run, suite_run, test, without)
from otlp_receiver import Receiver, answer, hang_up

RECORDINGS = sorted(os.path.basename(path)[:-4]
                    for path in glob.glob(os.path.join(TREE, "tests", "golden", "stream", "*.rec")))
SENT_LINE = re.compile(r"^portsnoop: sink otlp:\S+: (.*)$", re.M)

# ---- a record, as the event that it was ----

# What has another name there; the rest is called as it is here.
NAMES = {
    "log.record.uid": "event.id",
    "portsnoop.action": "event.action",
    "portsnoop.outcome": "event.outcome",
    "portsnoop.sequence": "event.sequence",
    "portsnoop.duration": "event.duration",
    "error.type": "error.code",
    "portsnoop.iana_number": "network.iana_number",
    "source.address": "source.ip",
    "network.peer.address": "destination.ip",
    "network.peer.port": "destination.port",
    "server.address": "server.ip",
    "portsnoop.process.entity_id": "process.entity_id",
    "process.executable.name": "process.name",
    "portsnoop.thread.id": "process.thread.id",
    "thread.name": "process.thread.name",
    "process.executable.path": "process.executable",
    "process.command_args": "process.args",
    "process.parent_pid": "process.parent.pid",
    "portsnoop.parent.name": "process.parent.name",
    "process.real_user.id": "process.user.id",
    "process.real_user.name": "process.user.name",
    "container.runtime.name": "container.runtime",
    "network.local.address": "portsnoop.local.ip",
    "network.local.port": "portsnoop.local.port",
    "k8s.pod.uid": "portsnoop.pod",
    "process.linux.cgroup": "portsnoop.cgroup",
    "process.vpid": "portsnoop.namespace_pid",
    "portsnoop.stream.program": "portsnoop.stream.program",
}
# Constants of ECS, and what follows from the action.
ECS_ONLY = ("ecs", "event.kind", "event.category", "event.type", "event.dataset")
TEXT_IN_ECS = ("process.user.id", "network.iana_number")


def put(event, path, value):
    *above, last = path.split(".")
    for name in above:
        event = event.setdefault(name, {})
    check(last not in event, f"{path} is there twice")
    event[last] = value


def value_of(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return attributes_of(value.kvlist_value.values)
    check(kind in ("string_value", "int_value", "bool_value"), "a value of kind", kind)
    return getattr(value, kind)


def attributes_of(attributes):
    found = {}
    for attribute in attributes:
        name, value = NAMES.get(attribute.key, attribute.key), value_of(attribute.value)
        put(found, name, str(value) if name in TEXT_IN_ECS else value)
    return found


def time_of(ns):
    second = datetime.datetime.fromtimestamp(ns // 10**9, datetime.timezone.utc)
    return f"{second:%Y-%m-%dT%H:%M:%S}.{ns % 10**9:09d}Z"


def event_of(part):
    """The event that a log record was made of."""
    resource, scope, record = part
    equal(scope.name, "portsnoop", "the scope")
    event = attributes_of(record.attributes)
    of_resource = attributes_of(resource.attributes)
    event["@timestamp"] = time_of(record.time_unix_nano)
    event["message"] = record.body.string_value
    put(event, "host.name", get(of_resource, "host.name"))
    equal(get(of_resource, "service.name"), "portsnoop", "service.name")
    check(record.event_name.startswith("portsnoop."), "the name of an event:", record.event_name)
    return event


def without_nulls(value):
    if isinstance(value, dict):
        kept = {name: without_nulls(one) for name, one in value.items() if one is not None}
        return {name: one for name, one in kept.items() if one != {}}
    if isinstance(value, list):
        return [without_nulls(one) for one in value]
    return value


def events_of(file, *words, args=True):
    """What is expected to be read back of it."""
    return [without_nulls(without(event, *ECS_ONLY, *(() if args else ("process.args",))))
            for event in replayed(file, *words)]


def arrived(receiver, count):
    """Events that the receiver has, when there are so many different ones."""
    def ids():
        check(not receiver.wrong, "not OTLP:", receiver.wrong[:1])
        return {attribute.value.string_value for _, _, record in receiver.seen()
                for attribute in record.attributes if attribute.key == "log.record.uid"}

    await_true(f"{count} records", lambda: len(ids()) >= count)
    return [without_nulls(event_of(part)) for part in receiver.seen()]


def receiver_new(context=None):
    return Receiver(packages("otlp-proto"), context)


def said(done):
    """The line about the sink at the end."""
    found = SENT_LINE.findall(done.words() if callable(done.words) else done.words)
    check(found, "nothing was said of the sink:", done.words())
    return found[-1]


def text_of(event, path):
    value = get(event, path)
    return "\0".join(value) if isinstance(value, list) else value


def equal_but_cut(have, sent):
    """As arrived_equal(), where a line was too long: one encoding has room for more of a text than
    the other. What is cut is the beginning of what the other one has. Returns what came twice."""
    known = {get(event, "event.id"): event for event in sent}
    changed = []
    for event in have:
        other = known.get(get(event, "event.id"), {})
        paths = {*(get(event, "portsnoop.truncated") or ()), *(get(other, "portsnoop.truncated") or ())}
        for path in paths:
            one, two = text_of(event, path), text_of(other, path)
            if one is not None and two is not None:
                shorter, longer = sorted((one.rstrip("\u2026"), two.rstrip("\u2026")), key=len)
                check(longer.startswith(shorter), f"{path} of {get(event, 'event.id')} is another text")
            event, other = (without(part, path, "portsnoop.truncated") for part in (event, other))
        if paths:
            known[get(event, "event.id")] = other
        changed.append(event)
    return arrived_equal(changed, [known[get(event, "event.id")] for event in sent])


# ---- with the official definitions ----


@test("otlp: every event of every recording arrives with all that it has")
def everything():
    check(len(RECORDINGS) > 3, "there are hardly any recordings:", RECORDINGS)
    for name in RECORDINGS:
        receiver = receiver_new()
        replay(recording(name), "--sink", f"otlp:{receiver.url},args=yes")
        sent = events_of(recording(name))
        equal(equal_but_cut(arrived(receiver, len(sent)), sent), 0, f"{name}: records that came twice")
        receiver.stop()


@test("otlp: arguments of processes stay here")
def no_arguments():
    receiver = receiver_new()
    replay(recording("hostile"), "--sink", f"otlp:{receiver.url}")
    sent = events_of(recording("hostile"), args=False)
    equal(equal_but_cut(arrived(receiver, len(sent)), sent), 0, "records that came twice")
    check(any(get(event, "process.args") for event in replayed(recording("hostile"))), "there were none to leave out")


@test("otlp: bodies are compressed, and nothing comes twice")
def compressed():
    receiver = receiver_new()
    replay(recording("claims"), "--sink", f"otlp:{receiver.url}")
    arrived(receiver, len(replayed(recording("claims"))))
    equal({headers.get("Content-Encoding") for headers, _ in receiver.requests}, {"gzip"}, "encodings")
    equal({status for _, status in receiver.requests}, {200}, "statuses")


def halves(receiver, between, *options):
    """A recording in two parts, and something in between. What the program said of its sink."""
    sent = events_of(recording("claims"))
    feed = Feed(recording("claims"), "--sink", ",".join((f"otlp:{receiver.url}", "args=yes", *options)))
    feed.send(0.5)
    arrived(receiver, 1)
    between(feed)
    feed.done()
    twice = arrived_equal(arrived(receiver, len(sent)), sent)
    return twice, said(feed.tool), len(sent)


@contextlib.contextmanager
def away(port):
    """Nobody is there who answers. Gives a function that waits until somebody has tried."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        listener.settimeout(PATIENCE)
        yield lambda: listener.accept()[0].close()


@test("otlp: across a restart of the receiver")
def restarted():
    receiver = receiver_new()

    def between(feed):
        receiver.stop()
        with away(receiver.port) as seen:
            feed.send()
            seen()
        receiver.start()

    twice, words, count = halves(receiver, between)
    equal(twice, 0, "records that came twice")
    check(words.startswith(f"{count} events delivered"), words)


@test("otlp: what was taken by a receiver that died before it answered comes again, as the same event")
def died():
    receiver = receiver_new()

    def between(feed):
        receiver.plan(hang_up(keep=True), hang_up(keep=False))
        feed.send()

    twice, words, count = halves(receiver, between)
    check(twice > 0, "nothing came twice: libcurl or the courier has not sent it again")
    check(words.startswith(f"{count} events delivered"), words)


@test("otlp: 503 and 429 are waited for, as long as they ask for")
def busy():
    receiver = receiver_new()

    def between(feed):
        receiver.plan(answer(503, b"not now", retry=1), answer(429, retry=0), answer(502), answer(504))
        feed.send()

    twice, words, count = halves(receiver, between)
    equal(twice, 0, "records that came twice")
    equal([status for _, status in receiver.requests if status != 200], [503, 429, 502, 504], "statuses")
    check(words.startswith(f"{count} events delivered"), words)


@test("otlp: a record that is refused does not take others with it")
def refused():
    receiver = receiver_new()
    sent = events_of(recording("claims"))
    bad = get(sent[len(sent) // 2], "event.id")
    receiver.refuses = bad
    done = run("replay", "--release", "--sink", f"otlp:{receiver.url},args=yes", recording("claims"))
    rest = [event for event in sent if get(event, "event.id") != bad]
    arrived_equal(arrived(receiver, len(rest)), rest)
    equal(said(done), f"{len(rest)} events delivered, 1 refused: HTTP status 400: I do not like it", "the sum")
    check(done.status != 0, "exit status 0, though an event was refused")


@test("otlp: records that the receiver says it has thrown away count as refused")
def partly():
    receiver = receiver_new()
    receiver.plan(answer(200, b'{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"full"}}', keep=True))
    count = len(replayed(recording("claims")))
    done = run("replay", "--release", "--sink", f"otlp:{receiver.url}", recording("claims"))
    check(said(done).startswith(f"{count - 3} events delivered, 3 refused: 3 records rejected: "), said(done))
    check(done.status != 0, "exit status 0, though events were refused")


@test("otlp: a header-file's headers, and its secrets are nowhere else")
def headers():
    receiver = receiver_new()
    file = os.path.join(room(), "headers")
    with open(file, "w", encoding="utf-8") as out:
        out.write("Authorization: Bearer t0psecret\n")
    os.chmod(file, 0o600)
    done = replay(recording("claims"), "--sink", f"otlp:{receiver.url},header-file={file}")
    arrived(receiver, len(replayed(recording("claims"))))
    equal({headers["Authorization"] for headers, _ in receiver.requests}, {"Bearer t0psecret"}, "headers")
    check("t0psecret" not in done.words(), done.words())
    with open(file, "w", encoding="utf-8") as out:
        out.write("X-A: t0psecret\r\nX-B: b\n")
    done = run("replay", "--release", "--sink", f"otlp:{receiver.url},header-file={file}", recording("claims"))
    check(done.status != 0, "a header with a carriage return was taken")
    check(file in done.words() and "t0psecret" not in done.words(), done.words())


# ---- TLS ----


def certificates():
    """The folder with ca.pem, other.pem (of nobody) and the server's server.pem for localhost."""
    folder = room()
    key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    script = f"""set -e; cd {folder}
        for ca in ca other; do openssl req -x509 {key} -keyout $ca.key -out $ca.pem -subj /CN=$ca -days 2; done
        openssl req {key} -keyout server.key -out server.csr -subj /CN=server
        echo subjectAltName=DNS:localhost >ext
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out server.crt
        cat server.key server.crt >server.pem"""
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    check(done.returncode == 0, done.stderr)
    return folder


@test("otlp: TLS with an authority of one's own, and none without")
def tls():
    folder = certificates()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/server.pem")
    receiver = receiver_new(context)
    sent = events_of(recording("claims"), args=False)
    spool = room()

    def feed(ca):
        return said(run("replay", "--release", "--spool", spool, "--sink", f"otlp:{receiver.url}{ca}",
                        recording("claims")))

    for times, ca in enumerate((f",ca={folder}/other.pem", ""), 1):
        words = feed(ca)
        check(words.startswith(f"0 events delivered, {times * len(sent)} kept for the next time: ")
              and "certificate" in words, words)
    equal(receiver.seen(), [], "records over a connection to nobody knows whom")
    equal(feed(f",ca={folder}/ca.pem"), f"{3 * len(sent)} events delivered", "the sum")
    equal(arrived_equal(arrived(receiver, len(sent)), sent), 2 * len(sent), "records that came twice")


# ---- the Collector ----


def port_free():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def port_open(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


class Collector(BackEnd):
    """What it takes is what `behind` has."""

    def __init__(self, behind):
        program = collector.binary()
        self.port = port_free()
        file = os.path.join(room(), "collector.yaml")
        with open(file, "w", encoding="utf-8") as out:
            out.write(collector.configuration(self.port, behind.url))
        self.url = f"http://127.0.0.1:{self.port}/v1/logs"
        super().__init__(program, "--config", f"file:{file}", ready=lambda: port_open(self.port))


@test("otlp: the OpenTelemetry Collector takes every event of every recording")
def collector_everything():
    behind = receiver_new()
    back_end = Collector(behind).start()
    for name in RECORDINGS:
        behind.records.clear()
        replay(recording(name), "--sink", f"otlp:{back_end.url},args=yes")
        sent = events_of(recording(name))
        equal(equal_but_cut(arrived(behind, len(sent)), sent), 0, f"{name}: records that came twice")
    back_end.stop()


@test("otlp: the OpenTelemetry Collector, across a restart and with a busy one behind it")
def collector_restarted():
    behind = receiver_new()
    back_end = Collector(behind).start()
    behind_url, behind.url = behind.url, back_end.url

    def between(feed):
        back_end.stop(signal.SIGKILL)
        with away(back_end.port) as seen:
            feed.send()
            seen()
        behind.plan(answer(503, retry=1), answer(429))
        back_end.start()

    twice, words, count = halves(behind, between)
    behind.url = behind_url
    equal(twice, 0, "records that came twice")
    check(words.startswith(f"{count} events delivered"), words)
    back_end.stop()


if __name__ == "__main__":
    sys.exit(suite_run("otlp"))
