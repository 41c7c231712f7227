#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What portsnoop writes, against what others have published of the formats.

usage: format.py [PATTERN...]

Elastic's list of all fields of ECS (npm's @elastic/ecs), OpenTelemetry's semantic conventions
(npm's @opentelemetry/semantic-conventions) and the protobuf definitions of OTLP (Debian's
python3-opentelemetry-proto). Of OCSF there is no package: tests/golden/check_ocsf.py.
"""

import datetime
import glob
import ipaddress
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile

from back_end import TREE, Skip, check, equal, packages, replayed, run, suite_run, test
from otlp_receiver import definitions_load

CACHE = os.path.join(TREE, ".cache", "e2e", "npm")
ECS = "9.4.0"  # as in ecs.version
CONVENTIONS = "1.45.0"  # as in schemaUrl


def recordings():
    found = sorted(glob.glob(os.path.join(TREE, "tests", "golden", "stream", "*.rec")))
    check(found, "there is no recording")
    return found


def npm(name, version):
    """The folder of a package, without what it depends on."""
    folder = os.path.join(CACHE, f"{name.replace('/', '-')}-{version}")
    if os.path.isdir(folder):
        return folder
    if not shutil.which("npm") or not shutil.which("node"):
        raise Skip("needs npm and node")
    making = f"{folder}.{os.getpid()}"
    os.makedirs(making)
    done = subprocess.run(["npm", "pack", "--silent", "--pack-destination", making, f"{name}@{version}"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    archives = glob.glob(f"{making}/*.tgz")
    if done.returncode or len(archives) != 1:
        shutil.rmtree(making)
        raise Skip(f"cannot fetch {name}: {done.stderr.strip()[-200:]}")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(making, filter="data")
    os.unlink(archives[0])
    os.rename(making, folder)
    return folder


def node(script, *words):
    done = subprocess.run(["node", "-e", script, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60, check=False)
    equal(done.returncode, 0, done.stderr)
    return json.loads(done.stdout)


def field_names():
    """Of all fields: those that --fields takes."""
    words = run("replay", "-o", "json", "-f", "no such", "-").words()
    return words.split("is none of them): ")[1].split("; or of headings")[0].split(", ")


def flat(value, path=""):
    if type(value) is not dict:
        yield path, value
        return
    for name, part in value.items():
        yield from flat(part, f"{path}.{name}" if path else name)


# ---- ECS ----


def ecs_fields():
    folder = npm("@elastic/ecs", ECS)
    return node("console.log(JSON.stringify(require(process.argv[1]).EcsFlat))", f"{folder}/package/generated/ecs_flat.js")


def is_date(value):
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", value):
        return False
    datetime.datetime.fromisoformat(value[:26])
    return True


def is_ip(value):
    return bool(ipaddress.ip_address(value))


TYPES = {
    "keyword": lambda value: type(value) is str, "wildcard": lambda value: type(value) is str,
    "match_only_text": lambda value: type(value) is str, "boolean": lambda value: type(value) is bool,
    "long": lambda value: type(value) is int and -(1 << 63) <= value < 1 << 63,
    "date": lambda value: type(value) is str and is_date(value), "ip": lambda value: type(value) is str and is_ip(value),
}


def ecs_value(fields, path, value):
    field = fields[path]
    check(type(value) is list or "array" not in field["normalize"], f"{path} is no list:", value)
    check(type(value) is not list or "array" in field["normalize"], f"{path} is a list:", value)
    allowed = {one["name"] for one in field.get("allowed_values", ())}
    for part in value if type(value) is list else [value]:
        check(TYPES[field["type"]](part), f"{path} is no {field['type']}:", part)
        check(not allowed or part in allowed, f"{path} may not be", part)


def ecs_event(fields, event):
    for path, value in flat({name: part for name, part in event.items() if name != "portsnoop"}):
        check(path in fields, f"ECS has no field {path}")
        ecs_value(fields, path, value)
    about = event["event"]
    expected = {one["name"]: one.get("expected_event_types", ()) for one in fields["event.category"]["allowed_values"]}
    for category in about["category"]:
        for kind in about["type"]:
            check(kind in expected[category], f"event.type of {category} may not be", kind)


@test("ecs: every field of the table is one of ECS, or below portsnoop")
def ecs_table():
    fields = ecs_fields()
    check(not any(name.split(".")[0] == "portsnoop" for name in fields), "ECS has a portsnoop of its own")
    names = [name for name in field_names() if not name.startswith("portsnoop.")]
    check(len(names) > 30, "too few fields:", names)
    # for people, and only where it is asked for
    people = {"verb", "protocol", "local", "remote", "result", "class"}
    strange = [name for name in names if name not in fields and name not in people]
    equal(strange, [], "fields that ECS does not have")


@test("ecs: every event has the types and values that ECS allows")
def ecs_events():
    fields = ecs_fields()
    for recording in recordings():
        for event in replayed(recording):
            equal(event["ecs"]["version"], ECS, "ecs.version")
            ecs_event(fields, event)


# ---- OTLP ----


def requests(recording):
    return run("replay", "--release", "-o", "otlp", recording).lines()


@test("otlp: every line is a request of the official definitions")
def otlp_requests():
    message, json_format = definitions_load(packages("otlp-proto"))
    for recording in recordings():
        lines, events = requests(recording), replayed(recording)
        equal(len(lines), len(events), "lines")
        for line, event in zip(lines, events):
            # unknown members, wrong types and numbers out of range are errors to it
            request = json_format.Parse(line, message())
            (logs,) = request.resource_logs
            (record,) = logs.scope_logs[0].log_records
            attributes = {one.key: one.value for one in record.attributes}
            equal(len(attributes), len(record.attributes), "attributes with names of their own")
            equal(attributes["log.record.uid"].string_value, event["event"]["id"], "log.record.uid")
            equal(record.body.string_value, event["message"], "the body")
            second = datetime.datetime.fromisoformat(event["@timestamp"][:19] + "+00:00")
            equal(record.time_unix_nano, int(second.timestamp()) * 10**9 + int(event["@timestamp"][20:29]), "the time")
            for one in [*record.attributes, *logs.resource.attributes]:
                check(one.value.WhichOneof("value"), "an attribute without a value:", one.key)
            # and what they make of it says the same
            again = json_format.Parse(json_format.MessageToJson(request), message())
            check(again == request, "it changes on the way through", line[:300])


def conventions():
    """{name: is it deprecated} of all attributes."""
    dist = f"{npm('@opentelemetry/semantic-conventions', CONVENTIONS)}/package/dist"
    found = {}
    for part in ("stable", "experimental"):
        with open(f"{dist}/{part}_attributes.mjs", encoding="utf-8") as file:
            text = file.read()
        for comment, name in re.findall(r'/\*\*((?:(?!\*/).)*)\*/\s*const ATTR_\w+ = "([^"]+)"', text, re.S):
            found[name] = "@deprecated" in comment
    check(len(found) > 300, "too few attributes:", len(found))
    return found


@test("otlp: attributes are those of the semantic conventions, or below portsnoop")
def otlp_attributes():
    known, used = conventions(), set()
    for recording in recordings():
        for line in requests(recording):
            (logs,) = json.loads(line)["resourceLogs"]
            equal(logs["schemaUrl"], f"https://opentelemetry.io/schemas/{CONVENTIONS}", "schemaUrl")
            for record in logs["scopeLogs"][0]["logRecords"]:
                used |= {one["key"] for one in [*record["attributes"], *logs["resource"]["attributes"]]}
    check(len(used) > 50, "too few attributes:", sorted(used))
    for name in sorted(used):
        if not name.startswith("portsnoop."):
            check(name in known, "the conventions have no attribute", name)
            check(not known[name], f"{name} is deprecated")


if __name__ == "__main__":
    sys.exit(suite_run("format"))
