# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""usage: check_otlp.py FILE JSON

Every line is an ExportLogsServiceRequest in OTLP's JSON encoding (opentelemetry-proto 1:
collector/logs/v1, logs/v1, common/v1, resource/v1), with the event of the same line in JSON, as
replay -o json makes it. tests/e2e/format.py asks the official definitions.
"""

import datetime
import json
import re
import sys

from flat import flat, unique

KEYS = {
    "request": {"resourceLogs"},
    "resourceLogs": {"resource", "scopeLogs", "schemaUrl"},
    "resource": {"attributes"},
    "scopeLogs": {"scope", "logRecords"},
    "scope": {"name", "version"},
    "logRecord": {"timeUnixNano", "observedTimeUnixNano", "severityNumber", "severityText", "body", "attributes",
                  "eventName"},
}


def message(value, name):
    assert type(value) is dict and value.keys() == KEYS[name], (name, value)
    return value


def value_of(value):
    """What an AnyValue is in Python. None would be an empty one, which is not used."""
    assert type(value) is dict and len(value) == 1, value
    (kind, content), = value.items()
    if kind == "stringValue":
        assert type(content) is str
        return content
    if kind == "boolValue":
        assert type(content) is bool
        return content
    if kind == "intValue":
        assert type(content) is str and re.fullmatch(r"0|-?[1-9]\d*", content), content
        assert -(1 << 63) <= int(content) < 1 << 63
        return int(content)
    assert type(content) is dict and content.keys() == {"values"}, value
    if kind == "arrayValue":
        return [value_of(part) for part in content["values"]]
    assert kind == "kvlistValue", value
    return attributes_of(content["values"])


def attributes_of(pairs):
    for pair in pairs:
        assert pair.keys() == {"key", "value"} and type(pair["key"]) is str and pair["key"], pair
    # "Attribute keys MUST be unique"
    return unique([(pair["key"], value_of(pair["value"])) for pair in pairs])


def plain(value):
    """As attributes have it: without nulls, objects in lists flat."""
    if type(value) is list:
        return [plain(part) for part in value]
    if type(value) is dict:
        return {path: part for path, part in flat(value).items() if part is not None}
    return value


# Fields of ECS with other names, or of another type.
NAMES = {
    "event.action": "portsnoop.action", "event.outcome": "portsnoop.outcome", "event.id": "log.record.uid",
    "event.sequence": "portsnoop.sequence", "event.duration": "portsnoop.duration", "error.code": "error.type",
    "network.iana_number": "portsnoop.iana_number", "source.ip": "source.address",
    "destination.ip": "network.peer.address", "destination.port": "network.peer.port", "server.ip": "server.address",
    "process.entity_id": "portsnoop.process.entity_id", "process.name": "process.executable.name",
    "process.thread.id": "portsnoop.thread.id", "process.thread.name": "thread.name",
    "process.executable": "process.executable.path", "process.args": "process.command_args",
    "process.parent.pid": "process.parent_pid", "process.parent.name": "portsnoop.parent.name",
    "process.user.id": "process.real_user.id", "process.user.name": "process.real_user.name",
    "container.runtime": "container.runtime.name", "portsnoop.local.ip": "network.local.address",
    "portsnoop.local.port": "network.local.port", "portsnoop.pod": "k8s.pod.uid",
    "portsnoop.cgroup": "process.linux.cgroup", "portsnoop.namespace_pid": "process.vpid",
}
LEFT = {"@timestamp", "message", "ecs.version", "event.kind", "event.category", "event.type", "event.dataset",
        "host.name"}
NUMBERS = {"process.user.id", "network.iana_number"}
EVENTS = {
    "bound-socket": "bind", "connected-to": "connect", "listen-for-connections": "listen",
    "autobound-socket": "autobind", "connection-established": "established", "connection-failed": "failed",
    "released-port": "release", "lost-events": "lost", "stream-start": "start", "stream-end": "end",
    "heartbeat": "heartbeat",
}


def nanoseconds(text):
    whole = datetime.datetime.fromisoformat(text[:19] + "+00:00")
    return int(whole.timestamp()) * 10 ** 9 + int(text[20:29])


def begins_equal(one, other):
    """What is cut ends with an ellipsis, in each format where it has to."""
    if type(one) is list:
        last = min(len(one), len(other)) - 1
        return one[:last] == other[:last] and begins_equal(one[last], other[last])
    length = min(len(one.removesuffix("\u2026")), len(other.removesuffix("\u2026")))
    return one[:length] == other[:length]


def check(request, event):
    logs, = message(request, "request")["resourceLogs"]
    message(logs, "resourceLogs")
    assert re.fullmatch(r"https://opentelemetry\.io/schemas/1\.\d+\.0", logs["schemaUrl"])
    resource = attributes_of(message(logs["resource"], "resource")["attributes"])
    assert resource["service.name"] == "portsnoop" and resource["service.version"]
    assert resource["host.name"] == event["host"]["name"]
    assert event["event"]["id"].startswith(resource["service.instance.id"] + "-")
    scope, = logs["scopeLogs"]
    assert message(message(scope, "scopeLogs")["scope"], "scope")["name"] == "portsnoop"
    record, = scope["logRecords"]
    message(record, "logRecord")
    assert record["timeUnixNano"] == record["observedTimeUnixNano"] == str(nanoseconds(event["@timestamp"]))
    severity = (13, "WARN") if event["event"]["action"] == "lost-events" else (
        (10, "NOTICE") if event["event"].get("outcome") == "failure" else (9, "INFO"))
    assert (record["severityNumber"], record["severityText"]) == severity
    assert record["eventName"] == "portsnoop." + EVENTS[event["event"]["action"]]
    assert value_of(record["body"]) == event["message"]
    expected = {}
    for path, value in flat(event).items():
        if path in LEFT or value is None:
            continue
        expected[NAMES.get(path, path)] = int(value) if path in NUMBERS else plain(value)
    found = attributes_of(record["attributes"])
    cut = {NAMES.get(path, path) for attributes in (found, expected)
           for path in attributes.pop("portsnoop.truncated", ())}
    for name in expected.keys() | found.keys():
        equal = begins_equal if name in cut else lambda one, other: one == other
        assert equal(found.get(name), expected.get(name)), (name, found.get(name), expected.get(name))


def lines_of(path):
    with open(path, "rb") as file:
        lines = file.read().decode("utf-8").split("\n")
    assert lines.pop() == "", "the last line has no end"
    assert lines, "there is no line"
    return lines


def main():
    requests, events = lines_of(sys.argv[1]), lines_of(sys.argv[2])
    assert len(requests) == len(events)
    for number, (request, event) in enumerate(zip(requests, events), 1):
        try:
            assert len(request.encode()) < 16384, "too long"
            check(json.loads(request, object_pairs_hook=unique), json.loads(event))
        except (AssertionError, KeyError, ValueError) as error:
            sys.exit(f"line {number}: {type(error).__name__} {str(error)[:1000]}: {request[:1000]}")


main()
